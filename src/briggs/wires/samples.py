"""Reads samples of evals in the shapes of other tools, and in our own.

| shape | members |
|---|---|
| ours | `messages`, `references`, `tool_calls`, `parameters`, `metadata`, `id` |
| inspect-ai | `input` (text or messages), `target` (one or several), `choices`, `id`, `metadata` |
| OpenAI's evals | `input` (text or messages), `ideal` (one or several); `item` around them |
| training files | `messages` that end with an answer, or `prompt` and `completion`; `tools` |
| tables | a column for each of these. Other columns become metadata |

https://inspect.aisi.org.uk/datasets.html and https://github.com/openai/evals (November 2026).
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects, members, text
from briggs.types.datasets import (
    ID_LENGTH_MAX,
    MESSAGES_MAX,
    REFERENCES_MAX,
    SAMPLE_BYTES_MAX,
    Sample,
)
from briggs.types.errors import InvalidRequest

_ASKED = ("messages", "input", "prompt", "question")
_RIGHT = ("references", "target", "ideal", "completion", "reference", "expected", "answer")
_KNOWN = (*_ASKED, *_RIGHT, "id", "choices", "tools", "tool_calls", "parameters", "metadata")
_KEPT = ("tools", "tool_choice", "parallel_tool_calls", "response_format")
METADATA_MAX = 100
_METADATA_LENGTH_MAX = 10_000


def read_sample(row: Mapping[str, Any], *, number: int) -> Sample:
    """Read one sample, which is the one with this number, from 1. Raises `InvalidRequest`."""
    if set(row) <= {"item", "id"} and isinstance(row.get("item"), dict):
        row = {**row["item"], **({"id": row["id"]} if "id" in row else {})}
    where = f"Sample {number}"
    messages = _read_messages(row, where)
    references, calls = _read_right(row, where)
    if not references and not calls and messages[-1].get("role") == "assistant":
        references, calls = _split_answer(messages)
    if choices := row.get("choices"):
        messages = _add_choices(messages, _parse(choices), where)
    sample = Sample(
        id=_read_id(row.get("id"), number),
        messages=messages,
        references=references,
        tool_calls=calls,
        parameters=_read_parameters(row, where),
        metadata=_read_metadata(row),
    )
    size = len(json.encode(sample))
    if size > SAMPLE_BYTES_MAX:
        raise InvalidRequest(
            f"{where} has {size:,} bytes, and the limit is {SAMPLE_BYTES_MAX:,}: leave it out, or "
            "make it shorter.",
            param="samples",
        )
    return sample


def read_calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tool calls of a message, each as `name` and `arguments`."""
    calls = []
    for call in list_objects(message.get("tool_calls")):
        function = members(call.get("function")) or members(call.get("custom")) or call
        arguments = function.get("arguments", function.get("input", {}))
        if isinstance(arguments, str):
            arguments = _parse(arguments)
        calls.append({"name": text(function.get("name")) or "", "arguments": arguments})
    return calls


def _read_messages(row: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    name = next((each for each in _ASKED if row.get(each)), None)
    if name is None:
        raise _refuse(where, f"has no question: give it one of {', '.join(_ASKED)}")
    asked = _parse(row[name])
    if isinstance(asked, str):
        return [{"role": "user", "content": asked}]
    if not isinstance(asked, list) or len(list_objects(asked)) != len(asked):
        raise _refuse(where, f"is wrong: '{name}' is neither a text nor a list of messages")
    if len(asked) > MESSAGES_MAX:
        raise _refuse(where, f"has more than {MESSAGES_MAX:,} messages")
    if not all(text(each.get("role")) for each in asked):
        raise _refuse(where, f"is wrong: a message in '{name}' has no 'role'")
    return [dict(each) for each in asked]


def _read_right(row: Mapping[str, Any], where: str) -> tuple[list[str], list[dict[str, Any]]]:
    calls = _parse(row.get("tool_calls") or [])
    if not isinstance(calls, list):
        raise _refuse(where, "is wrong: 'tool_calls' is not a list")
    name = next((each for each in _RIGHT if row.get(each) not in (None, "", [])), None)
    right = None if name is None else _parse(row[name])
    if name == "completion" and list_objects(right):
        message = list_objects(right)[-1]
        return _split_answer([message])
    listed = right if isinstance(right, list) else [] if right is None else [right]
    if len(listed) > REFERENCES_MAX or len(calls) > REFERENCES_MAX:
        raise _refuse(where, f"has more than {REFERENCES_MAX} right answers")
    written = [each if isinstance(each, str) else _write(each) for each in listed]
    return written, read_calls({"tool_calls": calls})


def _split_answer(messages: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Take the last message away, and return it as what is right."""
    answer = messages.pop()
    content = answer.get("content")
    if isinstance(content, list):
        content = "".join(text(each.get("text")) or "" for each in list_objects(content))
    return [content] if isinstance(content, str) and content else [], read_calls(answer)


def _add_choices(messages: list[dict[str, Any]], choices: Any, where: str) -> list[dict[str, Any]]:
    """Write lettered choices below the question, as the answer's letter is its target."""
    if not isinstance(choices, list) or not 1 < len(choices) <= len(string.ascii_uppercase):
        raise _refuse(where, "is wrong: 'choices' is not a list of 2 to 26 answers")
    asked = messages[-1].get("content")
    if not isinstance(asked, str):
        raise _refuse(where, "is wrong: it has 'choices', and its last message is not a text")
    lines = [
        f"{letter}) {choice}"
        for letter, choice in zip(string.ascii_uppercase, choices, strict=False)
    ]
    content = "\n".join([asked, "", *lines, "", "Answer with the letter only."])
    return [*messages[:-1], {**messages[-1], "content": content}]


def _read_parameters(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    given = _parse(row.get("parameters") or {})
    if not isinstance(given, dict):
        raise _refuse(where, "is wrong: 'parameters' is not an object")
    beside = {name: _parse(row[name]) for name in _KEPT if row.get(name)}
    return check_parameters({**beside, **given}, where=where)


def check_parameters(parameters: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The members of requests that a sample or a run may set. Raises `InvalidRequest`."""
    for name in ("model", "messages", "stream", "stream_options", "n"):
        if name in parameters:
            raise _refuse(where, f"is wrong: 'parameters' must not have '{name}'")
    return dict(parameters)


def _read_metadata(row: Mapping[str, Any]) -> dict[str, str]:
    given = members(_parse(row.get("metadata") or {}))
    others = {
        name: value for name, value in row.items() if name not in _KNOWN and name not in _KEPT
    }
    pairs = {**others, **given}
    return {
        str(name)[:ID_LENGTH_MAX]: (value if isinstance(value, str) else _write(value))[
            :_METADATA_LENGTH_MAX
        ]
        for name, value in [*pairs.items()][:METADATA_MAX]
        if value is not None
    }


def _read_id(given: Any, number: int) -> str:
    if isinstance(given, str | int) and not isinstance(given, bool) and str(given):
        return str(given)[:ID_LENGTH_MAX]
    return str(number)


def _parse(value: Any) -> Any:
    """A value of a table's cell, which may be JSON. Other texts stay as they are."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _write(value: Any) -> str:
    return json.encode(value).decode("utf-8", "replace")


def _refuse(where: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{where} {problem}.", param="samples")
