"""The request and the answer of a record in OpenAI's words, whichever vendor they went to."""

from __future__ import annotations

from typing import Any

from briggs.record.reported import read_response
from briggs.types import json
from briggs.types.any_json import members
from briggs.types.completions import Completion
from briggs.types.errors import BriggsError
from briggs.types.tokens import ChoiceTokens, read_answers
from briggs.wires.recorded.request import read_request


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
