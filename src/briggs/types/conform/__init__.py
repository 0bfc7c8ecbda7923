"""Brings what an upstream sends to the specification, or says why that cannot be done.

A conforming answer passes as the bytes that came: it costs one decode. Of any other, what can
be restored without inventing anything is restored, and the rest is refused. The rules (E5, C2,
...) are those of the rule book; the specification is the page of the chat completion object,
https://platform.openai.com/docs/api-reference/chat/object.
"""

from briggs.types.conform.finish import InBandError, describe_error, find_finish_reason
from briggs.types.conform.response import conform_response
from briggs.types.conform.stream import USAGE_SO_FAR, ConformStream
from briggs.types.conform.strict import (
    COUNT_MAX,
    FINISH_REASONS,
    Asked,
    Conformed,
    Facts,
    NotConforming,
)
from briggs.types.conform.usage import read_cost, read_dollars, restore_words

__all__ = [
    "COUNT_MAX",
    "FINISH_REASONS",
    "USAGE_SO_FAR",
    "Asked",
    "ConformStream",
    "Conformed",
    "Facts",
    "InBandError",
    "NotConforming",
    "conform_response",
    "describe_error",
    "find_finish_reason",
    "read_cost",
    "read_dollars",
    "restore_words",
]
