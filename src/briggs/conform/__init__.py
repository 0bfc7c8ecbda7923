"""Mends an upstream's answer to follow the specification, or explains why it cannot.

A conforming answer passes unchanged, at the cost of one decode. In any other answer, whatever can
be mended without inventing content is mended. If that is not enough, the answer is rejected. The
rules (E5, C2, ...) are those of the rule book. The specification is the page of the chat completion
object, https://platform.openai.com/docs/api-reference/chat/object.
"""

from briggs.conform.finish import InBandError
from briggs.conform.response import conform_plain, conform_response, conform_strict
from briggs.conform.stream import ConformStream
from briggs.conform.strict import Asked, Conformed, Facts, NotConforming
from briggs.conform.usage import restore_words

__all__ = [
    "Asked",
    "ConformStream",
    "Conformed",
    "Facts",
    "InBandError",
    "NotConforming",
    "conform_plain",
    "conform_response",
    "conform_strict",
    "restore_words",
]
