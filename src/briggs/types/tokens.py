"""Reads the tokens of an answer, and the text that they spell."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from briggs.types import json
from briggs.types.any_json import integer, list_objects, members, number, text
from briggs.types.texts import read_message


class Alternative(msgspec.Struct, gc=False, frozen=True):
    """One of the most likely tokens at a position."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class Token(msgspec.Struct, gc=False, frozen=True):
    """A token of an answer. Its alternatives are decoded only on request, because they are large.

    https://platform.openai.com/docs/api-reference/chat/object
    """

    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: msgspec.Raw = msgspec.Raw(b"[]")

    def list_alternatives(self) -> list[Alternative]:
        """The most likely tokens here, in the order of the answer."""
        try:
            return _ALTERNATIVES.decode(self.top_logprobs)
        except (msgspec.DecodeError, UnicodeError):
            return [Alternative(**_clean(each)) for each in _read_objects(self.top_logprobs)]


class ChoiceTokens(msgspec.Struct, kw_only=True):
    """One choice of a response."""

    index: int = 0
    finish_reason: str | None = None
    message: dict[str, Any] = {}
    """For a text completion, a message with its text."""
    tokens: list[Token] = []
    """The tokens of the content, or otherwise of the refusal. Empty without logprobs."""


class Piece(NamedTuple):
    """The text of one token, or of several that share a character."""

    text: str
    logprob: float
    """The sum of the logprobs of its tokens."""
    first: int
    """The place of its first token, from 0."""
    last: int

    @property
    def probability(self) -> float:
        """The probability of all its tokens together."""
        return math.exp(min(self.logprob, 0.0))


class Speller:
    """Turns tokens into text as they arrive. A character may span several tokens."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._logprob = 0.0
        self._first = 0
        self._next = 0

    def spell(self, tokens: Iterable[Token]) -> Iterator[Piece]:
        """The pieces that these tokens complete."""
        for token in tokens:
            self._logprob += token.logprob
            self._next += 1
            if text := self._decoder.decode(spell(token)):
                yield Piece(text, self._logprob, self._first, self._next - 1)
                self._logprob, self._first = 0.0, self._next


def spell(token: Token | Alternative) -> bytes:
    """The bytes of a token: its own, or those of its text if it has none."""
    if token.bytes is None:
        return token.token.encode("utf-8", "replace")
    try:
        return bytes(token.bytes)
    except (OverflowError, ValueError):
        return b""


def read_answers(response: bytes) -> list[ChoiceTokens]:
    """The choices of a recorded response, whatever its shape. Empty if it has none."""
    try:
        choices = _RESPONSES.decode(response).choices
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _read_leniently(response)
    return [
        ChoiceTokens(
            index=choice.index,
            finish_reason=choice.finish_reason,
            message=read_message({"message": choice.message or choice.text}),
            tokens=choice.logprobs.content or choice.logprobs.refusal or []
            if choice.logprobs
            else [],
        )
        for choice in choices
    ]


def list_tokens(choice: dict[str, Any]) -> list[Token]:
    """The logprobs of a choice's content, or otherwise of its refusal. Empty if it has none."""
    logprobs = members(choice.get("logprobs"))
    return _read_tokens(logprobs.get("content")) or _read_tokens(logprobs.get("refusal"))


def list_logprobs(choice: dict[str, Any]) -> list[float]:
    """As `list_tokens`, but only how likely each token was."""
    logprobs = members(choice.get("logprobs"))
    tokens = logprobs.get("content") or logprobs.get("refusal")
    given = (number(token.get("logprob")) for token in list_objects(tokens))
    return [each for each in given if each is not None]


class _Logprobs(msgspec.Struct):
    content: list[Token] | None = None
    refusal: list[Token] | None = None


class _ReadChoice(msgspec.Struct):
    index: int = 0
    finish_reason: str | None = None
    message: Any = None
    text: Any = None
    logprobs: _Logprobs | None = None


class _Response(msgspec.Struct):
    choices: list[_ReadChoice] = []


_RESPONSES = msgspec.json.Decoder(_Response)
_ALTERNATIVES = msgspec.json.Decoder(list[Alternative])


def _read_leniently(response: bytes) -> list[ChoiceTokens]:
    try:
        choices = list_objects(members(json.decode(response)).get("choices"))
    except (msgspec.DecodeError, RecursionError):
        return []
    return [
        ChoiceTokens(
            index=integer(choice.get("index")) or 0,
            finish_reason=text(choice.get("finish_reason")),
            message=read_message(choice),
            tokens=list_tokens(choice),
        )
        for choice in choices
    ]


def _read_tokens(values: Any) -> list[Token]:
    return [
        Token(**_clean(token), top_logprobs=msgspec.Raw(json.encode(token.get("top_logprobs"))))
        for token in list_objects(values)
        if _is_token(token)
    ]


def _read_objects(values: msgspec.Raw) -> list[dict[str, Any]]:
    return [each for each in list_objects(json.decode(bytes(values))) if _is_token(each)]


def _is_token(token: dict[str, Any]) -> bool:
    return number(token.get("logprob")) is not None and isinstance(token.get("token"), str)


def _clean(token: dict[str, Any]) -> dict[str, Any]:
    """What a token and an alternative have in common, without bytes of the wrong type."""
    spelled = token.get("bytes")
    is_bytes = isinstance(spelled, list) and all(integer(each) is not None for each in spelled)
    return {
        "token": token["token"],
        "logprob": float(token["logprob"]),
        "bytes": spelled if is_bytes else None,
    }
