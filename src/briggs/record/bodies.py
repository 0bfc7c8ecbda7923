"""The request and the answer of a record in OpenAI's words, whichever vendor they went to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from msgspec import UnsetType

from briggs.record.judge import LARGE_BYTES
from briggs.record.reported import read_response
from briggs.types import json
from briggs.types.any_json import members
from briggs.types.completions import Completion
from briggs.types.errors import BriggsError
from briggs.types.tokens import ChoiceTokens, read_answers
from briggs.wires.recorded.request import read_request

Read = TypeVar("Read")


async def read_aside(read: Callable[[], Read], *, of: Iterable[bytes | UnsetType | None]) -> Read:
    """Read bodies, in a thread if there is much to read."""
    is_large = sum(len(body) for body in of if body) >= LARGE_BYTES
    return await asyncio.to_thread(read) if is_large else read()


def read_asked(completion: Completion) -> dict[str, Any]:
    """The request as a chat request. Empty if there is none that can be read."""
    return read_request(_decode(completion.request))


def read_answered(completion: Completion) -> dict[str, Any]:
    """The answer as a chat completion. Empty if there is none that can be read."""
    return _decode(find_response(completion))


def list_answers(completion: Completion) -> list[ChoiceTokens]:
    """The choices of the answer, with their tokens."""
    response = completion.response or b"null"
    answers = read_answers(response)
    if answers or completion.source != "client":
        return answers
    return read_answers(read_response(completion))


def find_response(completion: Completion) -> bytes | None:
    """The bytes of the answer as a chat completion."""
    if completion.source == "client" and completion.response is not None:
        return read_response(completion)
    return completion.response


def _decode(body: bytes | None) -> dict[str, Any]:
    try:
        return members(json.decode(body or b"null"))
    except (ValueError, BriggsError):
        return {}
