"""What a list shows of a completion: the last question, the start of the answer, how sure it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects
from briggs.types.probabilities import bin_levels
from briggs.types.texts import call_text, content_text
from briggs.types.tokens import ChoiceTokens, read_answers
from briggs.wires.recorded.request import list_messages

CHARACTERS_MAX = 300
CALLS_MAX = 3
BINS_MAX = 28


class Preview(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A completion on two lines."""

    asked: str = ""
    """The last message of the user, or else the last of all."""
    answered: str = ""
    """The first choice's content, or its refusal."""
    calls: list[str] = []
    """The first choice's tool calls, as `name(arguments)`. At most `CALLS_MAX`."""
    calls_count: int = 0
    levels: str = ""
    """The level of each token of the first choice, from 0 to 7, in at most `BINS_MAX` bins. Empty
    without logprobs."""


def read_preview(request: bytes, response: bytes | None) -> Preview:
    """Read what a list shows. Bodies of any shape are accepted."""
    preview = Preview(asked=_cut(_read_asked(request)))
    answers = read_answers(response) if response else []
    if answers:
        _read_answer(answers[0], into=preview)
    return preview


class _Message(msgspec.Struct):
    role: str
    content: Any = None


class _Request(msgspec.Struct):
    messages: list[msgspec.Raw]


_REQUESTS = msgspec.json.Decoder(_Request)
_MESSAGES = msgspec.json.Decoder(_Message)
_SPACE = re.compile(r"\s+")


def _read_asked(request: bytes) -> str:
    try:
        messages: Iterable[_Message] = map(
            _MESSAGES.decode, reversed(_REQUESTS.decode(request).messages)
        )
        return _find_asked(messages)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _read_leniently(request)


def _find_asked(messages: Iterable[_Message]) -> str:
    """The last message of the user. Without one, the last message with a text."""
    last = ""
    for each in messages:
        if each.role == "user":
            return content_text(each.content)
        last = last or content_text(each.content)
    return last


def _read_leniently(request: bytes) -> str:
    """Read a request of another vendor, or one with text that the fast decoder rejects."""
    try:
        messages = list_objects(list_messages(json.decode(request)))
    except (msgspec.DecodeError, RecursionError):
        return request[: 4 * CHARACTERS_MAX].decode("utf-8", "replace")
    read = [_Message(str(each.get("role")), each.get("content")) for each in messages]
    return _find_asked(reversed(read))


def _read_answer(answer: ChoiceTokens, *, into: Preview) -> None:
    message = answer.message
    into.answered = _cut(content_text(message.get("content")) or str(message.get("refusal") or ""))
    calls = list_objects(message.get("tool_calls"))
    if isinstance(message.get("function_call"), dict):
        calls.append({"function": message["function_call"]})
    into.calls = [_cut(call_text(call)) for call in calls[:CALLS_MAX]]
    into.calls_count = len(calls)
    levels = bin_levels([token.logprob for token in answer.tokens], bins_max=BINS_MAX)
    into.levels = "".join(map(str, levels))


def _cut(text: str) -> str:
    """The beginning of a text, on one line."""
    line = _SPACE.sub(" ", text[: 4 * CHARACTERS_MAX]).strip()
    return line if len(line) <= CHARACTERS_MAX else line[: CHARACTERS_MAX - 1] + "…"
