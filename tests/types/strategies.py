"""Strategies for random JSON: any value, values of our types, and streams of a response."""

from __future__ import annotations

import base64
import string
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from briggs.types.json import Unknown

Json = Any

# Every code point that JSON can say: U+0000, and half of a surrogate pair, included.
text = st.text(st.characters(), max_size=8) | st.sampled_from(["\0", "\ud83d", "😊", " a\x85"])
plain_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
integers = st.integers(-(2**80), 2**80) | st.sampled_from([2**63 - 1, -(2**63), 2**64])
numbers = integers | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | text


def json_values() -> st.SearchStrategy[Json]:
    """Any JSON value."""
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=6,
    )


def unknown_members() -> st.SearchStrategy[dict[str, Json]]:
    """Unknown members. Mostly none."""
    names = st.sampled_from(["x_groq", "reasoning_content", "timings", "é", "\0", ""])
    return st.just({}) | st.dictionaries(names, json_values(), max_size=2)


@cache
def json_of(type: Any) -> st.SearchStrategy[Json]:
    """JSON of a type, with unknown members in every object, and members in any order."""
    return _json_of(inspect.type_info(type))


def _json_of(info: inspect.Type) -> st.SearchStrategy[Json]:
    for kind, build in _BUILDERS.items():
        if isinstance(info, kind):
            return build(info)
    raise NotImplementedError(f"no strategy for {info}")


def _struct(info: Any) -> st.SearchStrategy[Json]:
    if issubclass(info.cls, Unknown):
        tags = st.text(string.ascii_lowercase, min_size=1).map(lambda tag: f"unknown_{tag}")
        return st.tuples(tags, unknown_members()).flatmap(
            lambda parts: _shuffled({info.tag_field: parts[0], **parts[1]})
        )
    required = {field.name: _json_of(field.type) for field in info.fields if field.required}
    optional = {field.name: _json_of(field.type) for field in info.fields if not field.required}
    if info.tag_field is not None:
        required[info.tag_field] = st.just(info.tag)
    known = st.fixed_dictionaries(required, optional=optional)
    return st.tuples(unknown_members(), known).flatmap(
        lambda parts: _shuffled({**parts[0], **parts[1]})
    )


def _shuffled(members: dict[str, Json]) -> st.SearchStrategy[dict[str, Json]]:
    return st.permutations(list(members.items())).map(dict)


def _union(info: Any) -> st.SearchStrategy[Json]:
    return st.one_of(*(_json_of(kind) for kind in info.types if not _is_unset(kind)))


def _is_unset(info: inspect.Type) -> bool:
    return isinstance(info, inspect.CustomType) and info.cls is msgspec.UnsetType


_BUILDERS: dict[Any, Callable[[Any], st.SearchStrategy[Json]]] = {
    inspect.StructType: _struct,
    inspect.UnionType: _union,
    inspect.ListType: lambda info: st.lists(_json_of(info.item_type), max_size=2),
    inspect.DictType: lambda info: st.dictionaries(text, _json_of(info.value_type), max_size=2),
    inspect.EnumType: lambda info: st.sampled_from([member.value for member in info.cls]),
    inspect.LiteralType: lambda info: st.sampled_from(info.values),
    inspect.StrType: lambda info: text,
    inspect.IntType: lambda info: integers,
    inspect.FloatType: lambda info: numbers,
    inspect.BoolType: lambda info: st.booleans(),
    inspect.NoneType: lambda info: st.none(),
    inspect.AnyType: lambda info: json_values(),
}


def _utf16_text(**sizes: int) -> st.SearchStrategy[str]:
    """Text without lone surrogates, which a stream may cut between any two UTF-16 units."""
    return st.text(st.sampled_from('ab"\\\n\0é😊\u2028'), **sizes)


tokens = st.fixed_dictionaries(
    {
        "token": _utf16_text(max_size=3),
        "logprob": st.floats(-20, 0),
        "bytes": st.none() | st.lists(st.integers(0, 255), max_size=3),
        "top_logprobs": st.just([]),
    }
)
functions = st.fixed_dictionaries(
    {"name": st.text("abc_", min_size=1, max_size=5), "arguments": _utf16_text(max_size=8)}
)
unknown_deltas = st.dictionaries(
    st.sampled_from(["reasoning_content", "thinking", "x"]),
    _utf16_text(min_size=1, max_size=8) | st.lists(st.integers(), min_size=1) | st.integers(),
)


def _calls(bodies: list[dict[str, Json]]) -> list[dict[str, Json]]:
    return [
        {"id": f"call_{place}", "type": "function", "function": body}
        for place, body in enumerate(bodies)
    ]


@st.composite
def _messages(draw: st.DrawFn) -> dict[str, Json]:
    message: dict[str, Json] = {"role": "assistant", "content": None, "refusal": None}
    if draw(st.booleans()):
        message["refusal"] = draw(_utf16_text(min_size=1, max_size=8))
    else:
        message["content"] = draw(st.none() | _utf16_text(max_size=12))
    if bodies := draw(st.lists(functions, max_size=3)):
        message["tool_calls"] = _calls(bodies)
    if draw(st.booleans()):
        message["function_call"] = draw(functions)
    if draw(st.booleans()):
        data = draw(st.binary(min_size=1, max_size=9))
        message["audio"] = {
            "id": "audio_1",
            "data": base64.b64encode(data).decode(),
            "transcript": draw(_utf16_text(max_size=5)),
            "expires_at": 1790000000,
        }
    return message | draw(unknown_deltas)


@st.composite
def responses(draw: st.DrawFn) -> dict[str, Json]:
    """A response that a stream can express."""
    response: dict[str, Json] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "m-1",
        "choices": [],
    }
    for index in range(draw(st.integers(1, 3))):
        logprobs = st.none() | st.lists(tokens, max_size=4)
        pair = {"content": draw(logprobs), "refusal": draw(logprobs)}
        choice = {
            "index": index,
            "message": draw(_messages()),
            "logprobs": draw(st.sampled_from([None, pair])),
            "finish_reason": draw(st.sampled_from(["stop", "length", "tool_calls"])),
        }
        response["choices"].append(choice)
    if draw(st.booleans()):
        response["usage"] = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    if draw(st.booleans()):
        response["system_fingerprint"] = "fp_1"
    return response | draw(st.sampled_from([{}, {"x_unknown": {"a": [None]}}]))


@st.composite
def spelled(draw: st.DrawFn, response: dict[str, Json]) -> list[dict[str, Json]]:
    """The chunks of a response: choices in turn, texts and lists in pieces."""
    waiting = [draw(_spelled_choice(choice)) for choice in response["choices"]]
    head = {name: response[name] for name in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"
    chunks = []
    while waiting:
        queue = draw(st.sampled_from(waiting))
        chunks.append(head | {"choices": [queue.pop(0)]})
        waiting = [queue for queue in waiting if queue]
    rest = {name: response[name] for name in response if name not in (*head, "choices")}
    return [*chunks, head | {"choices": []} | rest]


@st.composite
def _spelled_choice(draw: st.DrawFn, choice: dict[str, Json]) -> list[dict[str, Json]]:
    message = choice["message"]
    deltas: list[dict[str, Json]] = [{"role": "assistant"}]
    for name, value in message.items():
        if name == "tool_calls":
            for index, call in enumerate(value):
                deltas += [{name: [delta]} for delta in draw(_spelled_call(call, index))]
        elif name == "function_call":
            deltas += [{name: delta} for delta in draw(_spelled_members(value))]
        elif name == "audio":
            deltas += [{name: delta} for delta in draw(_spelled_audio(value))]
        elif name != "role":
            deltas += draw(_spelled_members({name: value}))
    pieces: list[dict[str, Json]] = [{"delta": delta} for delta in deltas]
    if choice["logprobs"] is not None:
        lists = draw(_spelled_members(choice["logprobs"], either=("content", "refusal")))
        pieces += [{"delta": {}, "logprobs": logprobs} for logprobs in lists]
    pieces.append({"delta": {}, "finish_reason": choice["finish_reason"]})
    return [
        {"index": choice["index"], "logprobs": None, "finish_reason": None} | piece
        for piece in pieces
    ]


@st.composite
def _spelled_call(draw: st.DrawFn, call: dict[str, Json], index: int) -> list[dict[str, Json]]:
    pieces = draw(_cut(call["function"]["arguments"]))
    first = {"index": index, **call, "function": {**call["function"], "arguments": ""}}
    return [first, *({"index": index, "function": {"arguments": piece}} for piece in pieces)]


@st.composite
def _spelled_audio(draw: st.DrawFn, audio: dict[str, Json]) -> list[dict[str, Json]]:
    data = base64.b64decode(audio["data"])
    cut = draw(st.integers(0, len(data)))
    pieces = [base64.b64encode(piece).decode() for piece in (data[:cut], data[cut:])]
    return [
        {"id": audio["id"]},
        *({"data": piece} for piece in pieces),
        *draw(_spelled_members({"transcript": audio["transcript"]})),
        {"expires_at": audio["expires_at"]},
    ]


@st.composite
def _spelled_members(
    draw: st.DrawFn, members: dict[str, Json], either: tuple[str, ...] = ()
) -> list[dict[str, Json]]:
    nothing = dict.fromkeys(either)
    return [
        nothing | {name: piece}
        for name, value in members.items()
        for piece in ([value] if name == "name" else draw(_cut(value)))
    ]


@st.composite
def _cut(draw: st.DrawFn, value: Json) -> list[Json]:
    """A text, split between any two UTF-16 units, or a list, in two or three pieces."""
    if not isinstance(value, str | list):
        return [value]
    units = _units(value) if isinstance(value, str) else value
    places = sorted(draw(st.lists(st.integers(0, len(units)), max_size=2)))
    pieces = [units[a:b] for a, b in zip([0, *places], [*places, len(units)], strict=True)]
    return ["".join(piece) for piece in pieces] if isinstance(value, str) else pieces


def _units(value: str) -> list[str]:
    data = value.encode("utf-16-le", "surrogatepass")
    return [chr(int.from_bytes(data[i : i + 2], "little")) for i in range(0, len(data), 2)]
