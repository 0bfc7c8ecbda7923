"""The rule book: what a chat completion must be, and what of it an answer breaks.

    >>> [finding.rule for finding in check_response(b"{}")]
    ['E5', 'E5', 'E5', 'E5', 'E5']

The checks take any bytes. Rules that need the request do not apply without it.
"""

from briggs.types.rules.book import Finding, Rule
from briggs.types.rules.checks import (
    BYTES_MAX,
    RULES,
    check_error,
    check_request,
    check_response,
    check_stream,
    is_checkable,
)

__all__ = [
    "BYTES_MAX",
    "RULES",
    "Finding",
    "Rule",
    "check_error",
    "check_request",
    "check_response",
    "check_stream",
    "is_checkable",
]
