"""JSON that is read can be written back without loss."""

from __future__ import annotations

import copy
import json as stdlib_json
import pickle
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import briggs
from briggs.types import json
from briggs.types.chunk import CreateChatCompletionStreamResponse
from briggs.types.messages import (
    ChatCompletionRequestMessageContentPartText,
    ChatCompletionRequestUserMessage,
    UnknownContentPart,
    UnknownMessage,
)
from briggs.types.request import CreateChatCompletionRequest
from briggs.types.response import (
    ChatCompletionResponseMessage,
    ChatCompletionRole,
    CreateChatCompletionResponse,
)
from briggs.types.tools import FunctionCallChunk
from tests.types.strategies import json_of, json_values

VOCABULARY = sorted(
    (
        value
        for name in briggs.__all__
        if isinstance(value := getattr(briggs, name), type)
        and issubclass(value, json.Object)
        and not issubclass(value, json.Unknown)
        and value is not json.Object
    ),
    key=lambda cls: cls.__name__,
)
WHOLE = [
    CreateChatCompletionRequest,
    CreateChatCompletionResponse,
    CreateChatCompletionStreamResponse,
]


@given(value=json_values())
def test_any_json_survives(value: Any) -> None:
    """Any JSON value, including lone surrogates and integers of any size, comes back equal."""
    assert json.decode(json.encode(value)) == value


@pytest.mark.parametrize("cls", VOCABULARY, ids=lambda cls: cls.__name__)
@settings(max_examples=10)
@given(data=st.data())
def test_every_type_is_lossless(cls: type[json.Object], data: st.DataObject) -> None:
    """Unknown members at any depth, big integers, key order, absence and null are kept."""
    received = json.encode(data.draw(json_of(cls)))
    value = json.decode(received, cls)
    assert json.encode(value) == received
    assert json.decode(json.encode(value), cls) == value
    assert stdlib_json.loads(json.encode(value)) == stdlib_json.loads(received)


@pytest.mark.parametrize("cls", WHOLE, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_a_plain_decoder_reads_the_same(cls: type[json.Object], data: st.DataObject) -> None:
    """If msgspec's own decoder accepts the JSON, it gives an equal value."""
    received = json.encode(data.draw(json_of(cls)))
    try:
        plain = msgspec.json.Decoder(cls).decode(received)
    except msgspec.DecodeError:
        return
    assert plain == json.decode(received, cls)


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """A value with one part replaced."""
    if not value or not isinstance(value, dict | list) or draw(st.booleans()):
        return draw(json_values())
    place = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
    value[place] = draw(damaged(value[place]))
    return value


@pytest.mark.parametrize("cls", WHOLE, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_damage_is_refused_or_kept(cls: type[json.Object], data: st.DataObject) -> None:
    """A value of the wrong type raises only DecodeError. A value that is read is kept."""
    received = json.encode(data.draw(json_of(cls).flatmap(damaged)))
    try:
        value = json.decode(received, cls)
    except msgspec.DecodeError:
        return
    assert json.encode(value) == received


def test_the_last_of_two_equal_keys_wins() -> None:
    """If a key comes twice, its last value counts."""
    assert json.decode(b'{"a":1,"b":2,"a":3}') == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (rb'"\ud83d"', "\ud83d"),
        (rb'"x\uDE0A y\u0000"', "x\ude0a y\0"),
        (rb'{"\ud83d":"\ud83d\ude0a"}', {"\ud83d": "😊"}),
    ],
)
def test_lone_surrogates_are_read_and_written_as_escapes(data: bytes, value: Any) -> None:
    """A lone surrogate, which UTF-8 does not allow, is read, and written as an escape."""
    assert json.decode(data) == value
    assert json.decode(data.decode()) == value
    assert json.encode(value).isascii()
    assert json.decode(json.encode(value)) == value


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b'{"a":NaN}', "byte 5"),
        (b'{"a":1', "truncated"),
        (b"[1,]", "byte 3"),
        (rb'["\ud83d",]', "byte 10"),
        (rb'["\ud83d",NaN]', "NaN"),
        (rb'["\ud83d",-Infinity]', "-Infinity"),
        (rb'["\ud83d",1e999]', "out of range"),
        (b'"\xed\xa0\xbd"', "byte 1"),
        (b'"\xff"', "byte 1"),
        (b"[" * 100_000, "deep"),
        (b'["\\ud83d",' + b"[" * 100_000, "deep"),
        (b"\xef\xbb\xbf{}", "byte 0"),
        (b"", "truncated"),
    ],
)
def test_what_is_no_json_is_refused_with_its_position(data: bytes, position: str) -> None:
    """JSON that RFC 8259 does not allow raises DecodeError with the position."""
    with pytest.raises(msgspec.DecodeError, match=position):
        json.decode(data)


def test_a_wrong_type_is_refused_with_its_path() -> None:
    """JSON of the wrong type raises ValidationError with the path."""
    data = b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":5}]}]}'
    with pytest.raises(msgspec.ValidationError, match=r"\$\.messages\[0\]\.content\[0\]\.text"):
        json.decode(data, CreateChatCompletionRequest)


def test_unknown_parts_and_roles_are_kept() -> None:
    """A part or a message of an unknown type is an `Unknown` with all its members."""
    data = (
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"video_url","video_url":{}},'
        b'{"text":"hi","type":"text"}]},{"role":"critic","content":"no"}]}'
    )
    request = json.decode(data, CreateChatCompletionRequest)
    message, critic = request.messages
    assert isinstance(message, ChatCompletionRequestUserMessage)
    assert message.content == [
        UnknownContentPart(members={"type": "video_url", "video_url": {}}),
        ChatCompletionRequestMessageContentPartText(text="hi"),
    ]
    assert [part.extra for part in message.content] == [{}, {}]
    assert critic == UnknownMessage(members={"role": "critic", "content": "no"})
    assert json.encode(request) == data


def test_an_edit_wins_over_what_was_read() -> None:
    """A changed field keeps its place, a new one comes last, and the rest is unchanged."""
    message = json.decode(
        b'{"reasoning":"hm","content":"a","role":"assistant"}', ChatCompletionResponseMessage
    )
    message.content = "b"
    message.refusal = "no"
    message.extra["reasoning"] = "aha"
    message.extra["mood"] = [1]
    assert json.encode(message) == (
        b'{"reasoning":"aha","content":"b","role":"assistant","refusal":"no","mood":[1]}'
    )


def test_a_field_set_to_unset_is_left_out() -> None:
    """UNSET removes a member, and `del` removes an unknown one."""
    choice = json.decode(b'{"x":1,"name":"f","arguments":"{}"}', FunctionCallChunk)
    choice.name = msgspec.UNSET
    del choice.extra["x"]
    assert json.encode(choice) == b'{"arguments":"{}"}'


def test_unknown_members_can_be_given_to_a_value_made_by_hand() -> None:
    """`extra` of a new value is empty, accepts typed values, and is written after the fields."""
    message = ChatCompletionResponseMessage(role=ChatCompletionRole.Assistant, content="a")
    assert message.extra == {}
    message.extra = {"call": FunctionCallChunk(name="f")}
    assert json.encode(message) == (
        b'{"role":"assistant","content":"a","refusal":null,"call":{"name":"f"}}'
    )


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_copies_lose_nothing(twin: Callable[[Any], Any]) -> None:
    """A copy, a deep copy and a pickle keep the unknown members and the order."""
    data = b'{"choices":[],"x":{"y":1},"object":"chat.completion","model":"m","created":1,"id":"a"}'
    value = json.decode(data, CreateChatCompletionResponse)
    assert json.encode(twin(value)) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": "\\ud83d", "b": "\\\\ud83d", "c": "\\uD83D\\udE00"}',
        b"[1, 2.5e3, null, true]",
        b'{"a": 1,}',
        b'{"a": NaN}',
        b'{"a": "\\ux"}',
        b'{"a": "\xff"}',
        b'{"a": 1} more',
        b"[" * 100_000 + b"]" * 100_000,
        b"",
    ],
)
def test_check(data: bytes) -> None:
    """`check` accepts exactly the JSON that `decode` accepts."""
    try:
        json.decode(data)
    except msgspec.DecodeError:
        with pytest.raises(msgspec.DecodeError):
            json.check(data)
    else:
        json.check(data)


@pytest.mark.parametrize("depth", [300, 600, 900])
def test_what_could_be_read_can_be_written(depth: int) -> None:
    """Reading takes fewer frames of the stack than writing, which finds room all the same."""
    data = b'{"x":' * depth + b"[1]" + b"}" * depth
    value = json.decode(data)
    assert json.encode(value) == data
    assert json.encode({"data": [value]}) == b'{"data":[%b]}' % data
    assert sys.getrecursionlimit() < 8_000


def test_raw_members_beside_half_a_character() -> None:
    """Members that are bytes already are written beside a name that only escapes can write."""
    written = json.encode_plain({"\ud800": msgspec.Raw(b'{"a": [1.5, null]}'), "b": 1})
    assert stdlib_json.loads(written) == {"\ud800": {"a": [1.5, None]}, "b": 1}
