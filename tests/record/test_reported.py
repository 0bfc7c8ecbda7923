"""Recorded answers of every shape, as chat completions."""

from __future__ import annotations

import gc
import json as stdlib_json
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from briggs.record import reported
from briggs.record.reported import UNKNOWN_MODEL, read_answer, read_response
from briggs.rules import check_response
from briggs.types import json
from briggs.types.completions import Completion, Status
from briggs.types.response import CreateChatCompletionResponse
from tests.processes import create_response

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
BLOCK = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["text", "tool_use", "thinking", "image", "redacted_thinking"])
        | JSON
    },
    optional=dict.fromkeys(("text", "id", "name", "input", "thinking", "citations"), JSON),
)
CHOICE = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("index", "text", "logprobs", "function_call"), JSON),
        "finish_reason": JSON | st.sampled_from(["stop", "end_turn", "tool_calls", "error"]),
        "message": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                name: JSON | st.lists(JSON)
                for name in ("role", "content", "refusal", "tool_calls", "audio", "annotations")
            },
        ),
    },
)
ANSWER = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("id", "model", "created", "object", "usage", "error", "output"), JSON),
        **dict.fromkeys(("stop_reason", "message", "done", "promptFeedback"), JSON),
        "type": st.just("message") | JSON,
        "content": st.lists(BLOCK) | JSON,
        "choices": st.lists(CHOICE | JSON) | JSON,
        "candidates": st.lists(JSON) | JSON,
        "finish_reason": JSON,
    },
)


def read(value: Any, **members: Any) -> CreateChatCompletionResponse:
    """The completion that an answer is read as, checked like in OpenAI's package's strict mode."""
    told: dict[str, Any] = {"source": "client", "status": "finished", "model": "m", **members}
    response = value if isinstance(value, bytes) else json.encode(value)
    completion = Completion(organization_id="default", response=response, **told)
    body = read_response(completion)
    ChatCompletion.model_validate_json(body)
    return msgspec.json.decode(body, type=CreateChatCompletionResponse)


@example({"choices": [{"text": [["0"]]}]}, "finished")
@example({"choices": [{"message": [None], "text": "0"}]}, "finished")
@given(ANSWER | JSON, st.sampled_from(["finished", "failed"]))
def test_anything_reads_as_a_completion(answer: Any, status: Status) -> None:
    """Any recorded answer reads as a completion with a choice, and reads the same again."""
    completion = Completion(organization_id="default", source="client", status=status, model="m")
    told = read_answer(json.encode(answer), of=completion)
    read(told.body)
    assert read_answer(told.body, of=completion).body == told.body


@given(st.binary(max_size=100))
def test_any_bytes_read_as_a_completion(body: bytes) -> None:
    """Bytes that are not JSON become the text of a choice."""
    assert read(body).choices


def test_a_conforming_answer_is_kept_byte_for_byte() -> None:
    """A conforming answer is not changed, not even its order or white space."""
    body = b" " + stdlib_json.dumps(create_response("46"), indent=1).encode()
    assert read_answer(body, of=Completion(organization_id="default", model="m")).body == body


def test_a_record_of_the_first_version() -> None:
    """An Anthropic message that was recorded as the response reads as a completion."""
    message = {
        "type": "message",
        "id": "msg_1",
        "model": "claude",
        "content": [{"type": "text", "text": "46"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    assert read(message).choices[0].message.content == "46"


def test_a_call_without_an_answer() -> None:
    """A finished call has one choice without content. A running or failed call has no choices."""
    for status, choices in (("finished", 1), ("failed", 0), ("started", 0)):
        completion = Completion(organization_id="default", source="client", status=status)  # type: ignore[arg-type]
        response = stdlib_json.loads(read_response(completion))
        assert (len(response["choices"]), response["model"]) == (choices, UNKNOWN_MODEL)


@pytest.mark.parametrize(
    ("block", "arguments"),
    [({"input": {"a": 1}}, '{"a":1}'), ({"input": '{"a": '}, '{"a": '), ({}, "{}")],
)
def test_a_tool_that_was_cut_short(block: dict[str, Any], arguments: str) -> None:
    """A tool input that was cut short stays as text, and the finish reason is unknown."""
    message = {"type": "message", "content": [{"type": "tool_use", "name": "add", **block}]}
    answer = read(message, status="failed")
    calls = json.to_builtins(answer)["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == [arguments]
    assert answer.choices[0].finish_reason == "length"


def test_what_was_not_told_is_not_known() -> None:
    """An id, model or reason that the reading made up is not recorded as a fact."""
    facts = read_answer(
        b'{"content": "46", "stop_reason": null}',
        of=Completion(organization_id="default", model="m"),
    ).facts
    assert (facts.id, facts.model, facts.finish_reasons) == (None, None, [])
    assert (facts.prompt_tokens, facts.completion_tokens) == (None, None)


@pytest.mark.parametrize(
    "answer",
    [
        {"role": "assistant", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
        {"model": "llama", "response": "Hi", "done": True},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]},
    ],
)
def test_a_part_of_an_answer(answer: dict[str, Any]) -> None:
    """A message without its answer, and answers without their marks, are read as what they say."""
    assert read(answer).choices[0].message.content == "Hi"


def test_a_message_with_calls_alone() -> None:
    """A message without its answer keeps its calls, and its finish reason follows from them."""
    function = {"name": "add", "arguments": '{"a": 1}'}
    call = {"id": "t", "type": "function", "function": function}
    [choice] = read({"role": "assistant", "content": None, "tool_calls": [call]}).choices
    assert choice.finish_reason == "tool_calls"
    assert isinstance(choice.message.tool_calls, list)


@pytest.mark.parametrize("count", [2**63, 2**62, 10**30, -1, 1_000_000_001])
def test_counts_that_nobody_can_have_counted(count: Any) -> None:
    """Impossible counts are ignored in any vendor's format, and the answer stays."""
    message = {"type": "message", "content": [{"type": "text", "text": "Hi"}], "model": "claude"}
    for answer in (
        create_response(usage={"prompt_tokens": count, "completion_tokens": 1}),
        create_response(usage={"prompt_tokens": 1, "completion_tokens": count}),
        {
            **message,
            "stop_reason": "end_turn",
            "usage": {"input_tokens": count, "output_tokens": 1},
        },
    ):
        facts = read_answer(
            json.encode(answer), of=Completion(organization_id="default", model="m")
        ).facts
        assert (facts.prompt_tokens, facts.total_tokens) == (None, None)
        assert facts.finish_reasons == ["stop"]


@pytest.mark.parametrize("logprobs", [False, True])
def test_a_plain_answer_reads_as_any(monkeypatch: pytest.MonkeyPatch, logprobs: bool) -> None:
    """The quick reading of a plain answer gives the same body and facts as the full one."""
    value = create_response(model="gpt-4o")
    if logprobs:
        value["choices"][0]["logprobs"] = {
            "content": [
                {"token": part, "logprob": -1.5, "bytes": list(part.encode()), "top_logprobs": []}
                for part in value["choices"][0]["message"]["content"]
            ],
            "refusal": None,
        }
    value["usage"] = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    body = stdlib_json.dumps(value).encode()
    of = Completion(organization_id="default", model="m")
    quick = read_answer(body, of=of)
    assert quick.is_plain
    monkeypatch.setattr(reported, "_read_plain", lambda _: None)
    assert read_answer(body, of=of) == quick._replace(is_plain=False)
    assert check_response(body) == []


def create_large(count: int = 3_000, **members: Any) -> dict[str, Any]:
    """An answer that is mostly logprobs, with alternatives."""
    words = [f" wörd{number % 97}" for number in range(count)]
    tokens = [
        {
            "token": word,
            "logprob": -0.5,
            "bytes": list(word.encode()),
            "top_logprobs": [{"token": " x", "logprob": -3, "bytes": [32, 120]}],
        }
        for word in words
    ]
    usage = {"prompt_tokens": 1, "completion_tokens": count, "total_tokens": count + 1}
    value = create_response("".join(words), usage=usage, **members)
    value["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
    return value


def change_choice(value: dict[str, Any], **members: Any) -> dict[str, Any]:
    value["choices"][0] |= members
    return value


def change_tokens(value: dict[str, Any], **members: Any) -> dict[str, Any]:
    for token in value["choices"][0]["logprobs"]["content"][5:9]:
        token |= members
    return value


@pytest.mark.parametrize(
    ("value", "is_quick"),
    [
        (create_large(), True),
        (create_large(model=UNKNOWN_MODEL), True),
        (create_large(error=None, id=""), True),
        (change_choice(create_large(), finish_reason="end_turn"), True),
        (change_choice(create_large(), finish_reason=None, extra=[1]), True),
        (change_choice(create_large(), text="t", message={"role": "assistant"}), False),
        (change_choice(create_large(), message={"content": "\ud83d"}), False),
        (change_choice(create_large(), logprobs={"tokens": ["a"] * 50_000}), True),
        (change_choice(create_large(), logprobs=["a"] * 50_000), True),
        (change_choice(create_large(), logprobs={"content": [{}] * 50_000}), False),
        (change_tokens(create_large(), token="\ufffd"), False),
        (change_tokens(create_large(), bytes=None), True),
        (change_tokens(create_large(), bytes="no"), False),
        (change_tokens(create_large(), logprob=9.5), False),
        (create_large() | {"choices": []}, False),
        (create_large() | {"choices": "x" * 500_000}, False),
        (create_large() | {"usage": {"prompt_tokens": -1}}, True),
    ],
)
def test_a_large_answer_reads_as_any(
    monkeypatch: pytest.MonkeyPatch, value: dict[str, Any], is_quick: bool
) -> None:
    """The reading that makes no objects of logprobs gives the same body and facts as the full."""
    body = json.encode_plain(value)
    of = Completion(organization_id="default", model="m")
    quick = reported._read_large(body, of=of)
    assert (quick is not None) is is_quick
    read = read_answer(body, of=of)
    monkeypatch.setattr(reported, "_read_large", lambda _, of: None)
    assert read_answer(body, of=of) == read
    assert quick in (None, read)


def count_calls(act: Callable[..., object], *given: object) -> int:
    """How many functions written in Python run. What watches the garbage is not among them."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    gc.disable()
    sys.setprofile(note)
    try:
        act(*given)
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def test_a_longer_answer_takes_no_more_steps() -> None:
    """Reading the record of an answer of ten times the tokens runs not one function more."""
    counts = []
    for tokens in (3_000, 30_000):
        answer = json.encode_plain(change_choice(create_large(tokens), finish_reason="end_turn"))
        completion = Completion(organization_id="default", source="client", model="m")
        completion.response = read_answer(answer, of=completion).body
        as_posted = count_calls(read_response, completion)
        completion.received = answer
        counts.append((as_posted, count_calls(read_response, completion)))
    assert counts[0] == counts[1]


def test_what_was_mended_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that was mended when it came is on record as it was read. Only a model that the
    request named later is written into it."""
    value = create_response("46", model=UNKNOWN_MODEL)
    told = {"source": "client", "status": "finished", "received": b"{}"}
    completion = Completion(organization_id="o", response=json.encode(value), **told)  # type: ignore[arg-type]
    monkeypatch.setattr(reported, "read_answer", None)
    assert read_response(completion) == completion.response
    completion.model = "gpt-4o"
    assert json.decode(read_response(completion)) == value | {"model": "gpt-4o"}
