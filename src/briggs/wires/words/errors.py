"""Failures that arrive as answers, and the message of an error of any shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from briggs.types import json

# How deeply an error may be nested in errors and lists.
_WRAPPINGS_MAX = 8
_WORDS_CHARACTERS_MAX = 4000


def is_error(answer: Mapping[str, Any]) -> bool:
    """Whether an object in place of an answer is an error without a member `error`."""
    match answer:
        case {"choices": _}:
            return False
        case {"object": "error"} | {"detail": _} | {"message": str()}:
            # vLLM, FastAPI and AWS.
            return True
    return False


def describe_error(error: Any) -> str:
    """The message of an upstream's error of any shape: a string, an object or a list."""
    words = _find_words(error)
    if len(words) > _WORDS_CHARACTERS_MAX:
        return f"{words[:_WORDS_CHARACTERS_MAX]}..."
    return words


def _find_words(error: Any) -> str:
    inner = error
    for _ in range(_WRAPPINGS_MAX):
        match inner:
            case str():
                return inner
            case {"message": str(message)} if message:
                return message
            case {"msg": str(message), "loc": list(place)}:
                # FastAPI's format for an invalid request.
                return f"{'.'.join(map(str, place))}: {message}"
            case (
                [inner]
                | {"error": inner}
                | {"detail": inner}
                | {"message": inner}
                | {"errors": inner}
            ):
                continue
            case _:
                break
    return json.encode_plain(inner or error).decode("utf-8", "replace")
