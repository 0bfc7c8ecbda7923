"""The fold of a stream is the response that its chunks form."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.types import json
from briggs.types.chunk import CreateChatCompletionStreamResponse
from briggs.types.fold import Fold, fold
from briggs.types.response import CreateChatCompletionResponse, FinishReason
from briggs.types.sse import EventReader
from tests.types.strategies import json_of, json_values, responses, spelled


def folded(*chunks: dict[str, Any]) -> dict[str, Any]:
    collected = Fold()
    for chunk in chunks:
        collected.add(chunk)
    return collected.response()


def folded_deltas(*deltas: dict[str, Any]) -> dict[str, Any]:
    """The message that the deltas of one choice form."""
    response = folded(*({"choices": [{"index": 0, "delta": delta}]} for delta in deltas))
    message: dict[str, Any] = response["choices"][0]["message"]
    return message


@given(data=st.data())
def test_the_chunks_of_a_response_fold_to_it(data: st.DataObject) -> None:
    """However a response is split into chunks, the fold returns it."""
    response = data.draw(responses())
    chunks = data.draw(spelled(response))
    assert folded(*chunks) == response


@given(data=st.data())
def test_any_split_of_the_bytes_folds_to_the_same(data: st.DataObject) -> None:
    """The fold does not depend on how the network splits a stream."""
    response = data.draw(responses())
    chunks = data.draw(spelled(response))
    stream = b"".join(b"data: " + json.encode(chunk) + b"\r\n\r\n" for chunk in chunks)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader, collected = EventReader(), Fold()
    for start, end in zip([0, *places], [*places, len(stream)], strict=True):
        for event in reader.feed(stream[start:end]):
            collected.add(json.decode(event.data))
    assert collected.response() == response


@given(data=st.data())
def test_typed_chunks_fold_to_a_typed_response(data: st.DataObject) -> None:
    """`fold` turns the chunks of the SDK into the response of a whole call."""
    response = data.draw(responses())
    chunks = [
        json.decode(json.encode(chunk), CreateChatCompletionStreamResponse)
        for chunk in data.draw(spelled(response))
    ]
    assert json.to_builtins(fold(chunks)) == response


@given(chunks=st.lists(json_of(CreateChatCompletionStreamResponse), max_size=3))
def test_folding_changes_no_chunk_and_can_be_asked_for_twice(chunks: list[dict[str, Any]]) -> None:
    """A fold in the middle of a stream does not change the fold at its end."""
    before = copy.deepcopy(chunks)
    collected = Fold()
    for chunk in chunks:
        collected.add(chunk)
        collected.response()
    assert collected.response() == folded(*chunks)
    assert chunks == before


NAMES = st.sampled_from(
    [
        *("id", "index", "choices", "delta", "message", "logprobs", "finish_reason", "usage"),
        *("content", "role", "refusal", "tool_calls", "function", "arguments", "name", "type"),
        *("custom", "input", "audio", "data", "function_call", "annotations", "x_groq", "x"),
    ]
)
WILD = st.recursive(
    json_values(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(chunks=st.lists(st.dictionaries(NAMES, WILD, max_size=5), max_size=4))
def test_no_chunk_is_too_odd(chunks: list[dict[str, Any]]) -> None:
    """The fold accepts any JSON object as a chunk, and has the required keys."""
    response = folded(*chunks)
    assert {"id", "object", "created", "model", "choices"} <= set(response)
    for choice in response["choices"]:
        assert {"index", "message", "logprobs", "finish_reason"} <= set(choice)
        assert {"role", "content", "refusal"} <= set(choice["message"])


def test_what_never_came_is_null_or_empty() -> None:
    """Required members that never came are null, or empty if null is not allowed."""
    assert folded({"choices": [{"index": 0, "delta": {}}]}) == {
        "id": "",
        "object": "chat.completion",
        "created": 0,
        "model": "",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "refusal": None},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }


def test_the_first_identity_that_is_not_empty_counts() -> None:
    """The first non-empty id, created, model and fingerprint count. Azure's come late."""
    response = folded(
        {"id": "", "created": 0, "model": "", "system_fingerprint": None, "choices": []},
        {"id": "a", "created": 1, "model": "m", "system_fingerprint": "fp", "choices": []},
        {"id": "b", "created": 2, "model": "n", "system_fingerprint": "fq", "choices": []},
    )
    names = ("id", "created", "model", "system_fingerprint")
    assert [response[name] for name in names] == ["a", 1, "m", "fp"]


@pytest.mark.parametrize(
    "chunks",
    [
        [{"usage": {"total_tokens": 1}}, {"usage": {"total_tokens": 7}}, {"usage": None}],
        [{"usage": {}}, {"x_groq": {"id": "r", "usage": {"total_tokens": 7}}}],
        [{"choices": [{"index": 0, "delta": {}, "usage": {"total_tokens": 7}}]}, {"usage": None}],
        [{"x_groq": {"usage": {"total_tokens": 1}}}, {"usage": {"total_tokens": 7}}],
    ],
)
def test_the_last_usage_counts(chunks: list[dict[str, Any]]) -> None:
    """Usages are never added: the last counts. Groq's and Moonshot's count if there is no other."""
    assert folded(*chunks)["usage"] == {"total_tokens": 7}


def test_obfuscation_is_not_part_of_the_answer() -> None:
    """Padding is dropped. Unknown members are kept, each with its last value that is not null."""
    response = folded(
        {"obfuscation": "xx", "a": 1, "b": None}, {"obfuscation": "y", "a": 2}, {"a": None}
    )
    assert "obfuscation" not in response
    assert (response["a"], response["b"]) == (2, None)


def test_an_empty_role_or_reason_is_none() -> None:
    """An empty text counts as null. The first role and the last reason count."""
    response = folded(
        {"choices": [{"index": 0, "delta": {"role": ""}, "finish_reason": ""}]},
        {"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": "length"}]},
        {"choices": [{"index": 0, "delta": {"role": "user"}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "delta": {"role": None}, "finish_reason": ""}]},
    )
    assert response["choices"][0]["message"]["role"] == "assistant"
    assert response["choices"][0]["finish_reason"] == "stop"


def test_choices_are_sorted_by_index() -> None:
    """Choices may come in any order and several to a chunk. They are sorted by index."""
    response = folded(
        {
            "choices": [
                {"index": 2, "delta": {"content": "c"}},
                {"index": 0, "delta": {"content": "a"}},
            ]
        },
        {"choices": [{"index": "1", "delta": {"content": "b"}}]},
    )
    assert [choice["index"] for choice in response["choices"]] == [0, 1, 2]
    assert [choice["message"]["content"] for choice in response["choices"]] == ["a", "b", "c"]


def call(**members: Any) -> dict[str, Any]:
    return {"tool_calls": [members]}


def names_and_arguments(message: dict[str, Any]) -> list[tuple[str, str]]:
    functions = [call["function"] for call in message["tool_calls"]]
    return [(function["name"], function["arguments"]) for function in functions]


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param(
            [
                call(index=0, id="a", type="function", function={"name": "f", "arguments": "{}"}),
                call(index=0, id="b", type="function", function={"name": "g", "arguments": "[]"}),
            ],
            id="every call has index 0",
        ),
        pytest.param(
            [
                call(index=0, id="a", type="function", function={"name": "f", "arguments": "{"}),
                call(index=1, id="b", type="function", function={"name": "g", "arguments": "["}),
                call(index=0, id="a", type="function", function={"name": "f", "arguments": "}"}),
                call(index=1, id="b", type="function", function={"name": "g", "arguments": "]"}),
            ],
            id="everything is repeated",
        ),
        pytest.param(
            [
                call(index=0, id="a", type="function", function={"name": "f", "arguments": "{"}),
                call(index=0, id="b", type="function", function={"name": "g", "arguments": "[]"}),
                call(index=0, id="a", function={"arguments": "}"}),
            ],
            id="index 0 in turns",
        ),
        pytest.param(
            [
                call(id="a", function={"name": "f", "arguments": "{"}),
                call(function={"arguments": "}"}),
                call(id="b", function={"name": "g", "arguments": "["}),
                call(function={"arguments": "]"}),
            ],
            id="no index",
        ),
        pytest.param(
            [
                call(function={"name": "f", "arguments": {}}),
                call(function={"name": "g", "arguments": []}),
            ],
            id="neither index nor id",
        ),
        pytest.param(
            [
                call(index=0, id="", function={"name": "f", "arguments": "{}"}),
                call(index=0, id="", function={"name": "g", "arguments": "[]"}),
            ],
            id="index 0, no id",
        ),
        pytest.param(
            [
                {
                    "tool_calls": [
                        {"id": "a", "function": {"name": "f", "arguments": {}}},
                        {"id": "b", "function": {"name": "g", "arguments": []}},
                    ]
                },
            ],
            id="both in one delta, no index, objects as arguments",
        ),
        pytest.param(
            [
                call(index=1, id="b", function={"name": "g", "arguments": None}),
                call(index=0, id="", function={"name": "", "arguments": "{"}),
                call(index=0, id="a", function={"name": "f", "arguments": "}"}),
                call(index=1, id=None, function={"name": None, "arguments": "[]"}),
            ],
            id="late ids, null arguments",
        ),
    ],
)
def test_tool_calls_survive_their_senders(deltas: list[dict[str, Any]]) -> None:
    """Two calls stay two calls, whatever the upstream does with indices, ids and names."""
    message = folded_deltas(*deltas)
    assert names_and_arguments(message) == [("f", "{}"), ("g", "[]")]
    assert [call["type"] for call in message["tool_calls"]] == ["function", "function"]
    assert all("index" not in call for call in message["tool_calls"])


def test_a_name_counts_once() -> None:
    """The first name of a call stays, and names are never joined."""
    message = folded_deltas(
        call(index=0, id="a", function={"name": "f"}), call(index=0, function={"name": "g"})
    )
    assert names_and_arguments(message) == [("f", "")]


def test_unknown_members_of_a_call_are_kept() -> None:
    """Signatures and the like, which some providers want back, stay on their call."""
    message = folded_deltas(
        call(index=0, id="a", function={"name": "f", "arguments": ""}, extra_content={"s": 1})
    )
    assert message["tool_calls"][0]["extra_content"] == {"s": 1}


def test_custom_tool_calls_are_joined() -> None:
    """The input of a custom tool comes in pieces like the arguments of a function."""
    message = folded_deltas(
        call(index=0, id="a", type="custom", custom={"name": "sql", "input": "SELECT "}),
        call(index=0, custom={"input": "1"}),
    )
    assert message["tool_calls"] == [
        {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    ]


def test_a_call_without_arguments_has_empty_ones() -> None:
    """Arguments are always text, even if none came."""
    message = folded_deltas(
        call(index=0, id="a", function={"name": "f"}), {"function_call": {"name": "g"}}
    )
    assert names_and_arguments(message) == [("f", "")]
    assert message["function_call"] == {"name": "g", "arguments": ""}


def test_no_calls_are_none() -> None:
    """Empty or null lists of calls, and null in place of a call, leave no member."""
    message = folded_deltas(
        {"tool_calls": []}, {"tool_calls": None}, {"function_call": None, "annotations": None}
    )
    assert set(message) == {"role", "content", "refusal"}


def test_unknown_members_of_deltas_are_joined_extended_or_replaced() -> None:
    """Unknown text and lists are joined. For anything else, the last value counts."""
    message = folded_deltas(
        {"reasoning": "h", "reasoning_details": [1], "score": 1, "never": None},
        {"reasoning": None, "reasoning_details": [2], "score": 2},
        {"reasoning": "m"},
    )
    assert message["reasoning"] == "hm"
    assert message["reasoning_details"] == [1, 2]
    assert message["score"] == 2
    assert message["never"] is None


def test_content_in_parts_stays_in_parts() -> None:
    """If content comes as lists of parts, no part is lost."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    message = folded_deltas({"content": ""}, {"content": [thought]}, {"content": "42"})
    assert message["content"] == [thought, "42"]


def test_who_refuses_has_no_content() -> None:
    """The empty content of a first chunk becomes null next to a refusal."""
    message = folded_deltas({"content": "", "refusal": None}, {"refusal": "No"}, {"refusal": "."})
    assert (message["content"], message["refusal"]) == (None, "No.")


def test_halves_of_a_surrogate_pair_meet() -> None:
    """A surrogate pair split over two deltas is joined. A lone surrogate stays."""
    message = folded_deltas({"content": "x \ud83d"}, {"content": "\ude0a y \ud83d"})
    assert message["content"] == "x 😊 y \ud83d"


def test_logprobs_are_null_where_none_came() -> None:
    """The lists of log probabilities are joined; a list that never came is null."""
    choices = [
        {"index": 0, "delta": {}, "logprobs": {"content": []}},
        {"index": 0, "delta": {}, "logprobs": {"content": [{"token": "a"}], "refusal": None}},
        {"index": 0, "delta": {}, "logprobs": None},
        {"index": 0, "delta": {}, "logprobs": {"content": [{"token": "b"}]}},
    ]
    response = folded(*({"choices": [choice]} for choice in choices))
    assert response["choices"][0]["logprobs"] == {
        "content": [{"token": "a"}, {"token": "b"}],
        "refusal": None,
    }


def test_base64_that_was_cut_anywhere_is_joined() -> None:
    """Base64 audio that was cut at any character is joined correctly."""
    message = folded_deltas({"audio": {"data": "AAE"}}, {"audio": {"data": "C"}})
    assert message["audio"] == {"data": "AAEC"}
    message = folded_deltas({"audio": {"data": "AA=="}}, {"audio": {"data": "no base64!"}})
    assert message["audio"] == {"data": "AA==no base64!"}


def test_a_message_in_place_of_deltas_is_read() -> None:
    """A whole message in place of a delta is read. If a chunk has both, only the delta counts."""
    response = folded(
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}}]},
        {"choices": [{"index": 0, "delta": {"content": "b"}, "message": {"content": "ab"}}]},
    )
    assert response["choices"][0]["message"]["content"] == "ab"


def test_unknown_members_of_a_choice_are_kept() -> None:
    """Other members of a choice, such as filter results, are kept from any chunk."""
    response = folded(
        {"choices": [{"index": 0, "delta": {"content": "a"}, "token_ids": [1, 2], "stop": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "token_ids": [3]}]},
        {"choices": [{"index": 0, "finish_reason": None, "content_filter_results": {"hate": 0}}]},
    )
    choice = response["choices"][0]
    assert choice["token_ids"] == [1, 2, 3]
    assert choice["stop"] is None
    assert choice["content_filter_results"] == {"hate": 0}
    assert choice["finish_reason"] == "stop"


def test_a_stream_that_was_cut_folds_to_no_typed_response() -> None:
    """Without a finish_reason `fold` raises, and says which choice has none."""
    chunk = b'{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[%s]}'
    first = json.decode(
        chunk % b'{"index":0,"delta":{"content":"a"}}', CreateChatCompletionStreamResponse
    )
    with pytest.raises(msgspec.ValidationError, match="finish_reason"):
        fold([first])
    last = json.decode(
        chunk % b'{"index":0,"delta":{},"finish_reason":"stop"}',
        CreateChatCompletionStreamResponse,
    )
    response = fold([first, last])
    assert isinstance(response, CreateChatCompletionResponse)
    assert response.choices[0].finish_reason is FinishReason.Stop
