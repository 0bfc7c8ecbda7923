"""The rule book: what a chat completion must look like, and how an answer breaks it.

    >>> [finding.rule for finding in check_response(b"{}")]
    ['E5', 'E5', 'E5', 'E5', 'E5']

The checks accept any bytes. Rules that compare with the request need it.
"""

from briggs.rules.book import Finding, Rule
from briggs.rules.checks import (
    BYTES_MAX,
    RULES,
    check_blocks_error,
    check_blocks_message,
    check_blocks_stream,
    check_embeddings,
    check_error,
    check_model_response,
    check_model_stream,
    check_moderation,
    check_request,
    check_response,
    check_stream,
    check_text,
    check_text_stream,
    is_checkable,
)

__all__ = [
    "BYTES_MAX",
    "RULES",
    "Finding",
    "Rule",
    "check_blocks_error",
    "check_blocks_message",
    "check_blocks_stream",
    "check_embeddings",
    "check_error",
    "check_model_response",
    "check_model_stream",
    "check_moderation",
    "check_request",
    "check_response",
    "check_stream",
    "check_text",
    "check_text_stream",
    "is_checkable",
]
