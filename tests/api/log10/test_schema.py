"""Completions in the v1 format pass log10ts's validation, whatever was reported."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.api.log10.completions import present
from briggs.types.completions import Completion
from tests.api.log10.zod import Refused, check_completion
from tests.processes import create_response

USER = {"role": "user", "content": "What is 12 + 34?"}
CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "name", "type", "text", "tool_calls", "function", "arguments", "id",
             "message", "logprobs", "finish_reason", "index", "x"]
        ), inner, max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


def show(**members: Any) -> dict[str, Any]:
    """A completion in the v1 format, validated as log10ts would."""
    told: dict[str, Any] = {
        name: json.dumps(value).encode() if name in ("request", "response") else value
        for name, value in members.items()
    }
    completion = present(
        Completion(organization_id="default", source="client", status="finished", **told)
    )
    check_completion(completion)
    return json.loads(json.dumps(completion))  # type: ignore[no-any-return]


def ask(**members: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [USER], **members}


def answer(message: Any = None, **choice: Any) -> dict[str, Any]:
    """A response whose only choice has these members."""
    response = create_response()
    response["choices"][0].update(choice)
    response["choices"][0]["message"].update(message or {})
    return response


def test_the_checks_refuse() -> None:
    """Our copy of the validation is as strict as the original."""
    good = {"organization_id": "o", "kind": "chat"}
    check_completion(good)
    bad: list[dict[str, Any]] = [
        {"kind": "completion"}, {"id": None}, {"tags": None}, {"duration": None},
        {"request": {}}, {"response": {}}, {"session_id": None}, {"response": answer(logprobs={})},
        {"request": ask(messages=[{"role": "developer", "content": ""}])},
        {"request": ask(response_format={"type": "json_schema"})},
        {"request": ask(tool_choice={"type": "any"})},
        {"response": answer({"tool_calls": None})}, {"response": answer(finish_reason=None)},
        {"response": {**create_response(), "object": "chat"}},
        {"response": {**create_response(), "usage": None}}, {"stacktrace": "text"},
    ]  # fmt: skip
    for each in bad:
        with pytest.raises(Refused):
            check_completion({**good, **each})


@pytest.mark.parametrize(
    "request_",
    [
        ask(),
        ask(messages=[{"role": "developer", "content": [{"type": "text", "text": "a"}]}, USER]),
        ask(messages=[{**USER, "name": None}]),
        ask(messages=[USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}]),
        ask(messages=[{"role": "assistant", "tool_calls": None, "function_call": None,
                       "refusal": None, "content": "a"}]),
        ask(messages=[{"role": "tool", "tool_call_id": "c", "content": "46"}]),
        ask(messages=[{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "u", "detail": None}}]}]),
        ask(response_format={"type": "json_schema", "json_schema": {"name": "n"}}),
        ask(tool_choice={"type": "any"}),
        ask(tools=[{"type": "function", "function": {
            "name": "f", "description": None, "parameters": {"enum": [None]}}}]),
        ask(**dict.fromkeys(("temperature", "user", "tools", "stream_options", "max_tokens"))),
        ask(stop=["a", "b"], logit_bias={"1": 2}, seed=3.0, top_p=1, n=1, stream=False),
        ask(model=None), ask(max_completion_tokens=5, reasoning_effort=None),
    ],
)  # fmt: skip
def test_requests_that_can_be_said(request_: dict[str, Any]) -> None:
    """A request is shown in the format of 2024, without parameters that it lacks."""
    shown = show(request=request_)["request"]
    assert len(shown["messages"]) == len(request_["messages"])


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": [], "model": "m"}, None, [], "text", {}, ask(messages=None),
    ],
)  # fmt: skip
def test_requests_that_cannot(request_: Any) -> None:
    """A request without messages is left out, and the rest is shown."""
    assert "request" not in show(request=request_)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"role": "tool", "content": "46"}, {"role": "tool", "content": "46", "tool_call_id": ""}),
        ({"role": "function", "content": "46"}, {"role": "function", "content": "46", "name": ""}),
        ({"role": "nobody", "content": {"a": 7}}, {"role": "user", "content": '{"a":7}'}),
        ({"role": "assistant", "content": None, "tool_calls": [CALL, {"id": "broken"}]},
         {"role": "assistant", "content": None, "tool_calls": [CALL]}),
        (7, {"role": "user", "content": "7"}),
        ({"role": "user", "content": [{"type": "text", "text": "hear"}, {"type": "input_audio"}]},
         {"role": "user", "content": [{"type": "text", "text": "hear"},
                                      {"type": "text", "text": '{"type":"input_audio"}'}]}),
        ({"role": "tool", "content": [{"type": "image"}], "tool_call_id": "c"},
         {"role": "tool", "content": '[{"type":"image"}]', "tool_call_id": "c"}),
    ],
)  # fmt: skip
def test_one_message_does_not_lose_the_others(message: Any, shown: dict[str, Any]) -> None:
    """Of a message that did not exist in 2024, what fits is shown. So are all other messages."""
    asked = show(request=ask(messages=[USER, message, USER]))["request"]
    assert asked["messages"] == [USER, shown, USER]


def test_a_result_without_its_id() -> None:
    """log10ts strips the id of a tool's result. It is restored if only one call waits."""
    other = {**CALL, "id": "other"}

    def ids(*calls: Any) -> list[str]:
        results = [{"role": "tool", "content": "46"} for _ in calls]
        asked = [USER, {"role": "assistant", "content": None, "tool_calls": list(calls)}, *results]
        shown = show(request=ask(messages=asked))["request"]["messages"]
        return [message["tool_call_id"] for message in shown[2:]]

    assert ids(CALL) == [CALL["id"]]
    assert ids(CALL, other) == ["", ""]


def test_the_nulls_that_log10py_needs() -> None:
    """A parameter that was not sent is null where log10py fails on a missing one."""
    asked = show(request=ask())["request"]
    names = ("logit_bias", "top_logprobs", "max_tokens", "seed", "stream_options")
    assert {name: asked[name] for name in names} == dict.fromkeys(names)
    assert show(request=ask(seed=7))["request"]["seed"] == 7


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (answer(), "stop"),
        (answer({"refusal": None, "audio": None, "tool_calls": None, "function_call": None,
                 "annotations": None}), "stop"),
        (answer({"content": None, "tool_calls": [CALL]}, finish_reason="tool_calls"), "tool_calls"),
        (answer({"content": None, "tool_calls": [CALL]}, finish_reason=None), "tool_calls"),
        (answer(finish_reason="end_turn"), "stop"), (answer(finish_reason="max_tokens"), "length"),
        (answer(finish_reason=None), "stop"), (answer(logprobs={"tokens": []}), "stop"),
        (answer(logprobs={"content": [
            {"token": "a", "logprob": 0, "bytes": None, "top_logprobs": []}]}), "stop"),
        (create_response(object="completion"), "stop"), (create_response(object="chat"), "stop"),
        (create_response(system_fingerprint=None, usage=None, created=None), "stop"),
        (create_response(created=1_790_000_000_000, usage={"prompt_tokens": 5}), "stop"),
        (create_response(service_tier=None, system_fingerprint=""), "stop"),
        (create_response(choices=[{"message": {"content": "a"}, "delta": {}}]), "stop"),
    ],
)  # fmt: skip
def test_responses_that_can_be_said(response: dict[str, Any], reason: str) -> None:
    """A response is converted to the format of 2024, and keeps its content."""
    [choice] = show(response=response)["response"]["choices"]
    assert choice["finish_reason"] == reason
    message = response["choices"][0]["message"]
    assert choice["message"]["content"] == message.get("content")
    assert choice["message"].get("tool_calls") == (message.get("tool_calls") or None)


@pytest.mark.parametrize(
    "response",
    [
        None, [], {}, create_response(id=None), create_response(choices=None),
        create_response(choices=[None]), answer(finish_reason="exploded"),
        create_response(choices=[{"text": "of a prompt", "index": 0, "finish_reason": "stop"}]),
        {"type": "message", "content": [{"type": "text", "text": "of Anthropic"}]},
        answer({"tool_calls": [{"id": "c", "type": "custom", "custom": {}}]}),
        answer({"tool_calls": [{"id": "c", "type": "custom",
                                "custom": {"name": "f", "input": "x"}}]}),
    ],
)  # fmt: skip
def test_responses_of_any_shape(response: Any) -> None:
    """A response of another vendor is shown as a completion."""
    [choice] = show(response=response)["response"]["choices"]
    assert choice["finish_reason"] in ("stop", "tool_calls")


def test_the_rest_of_a_completion() -> None:
    """Unknown values are absent, and kinds and stacks have the v1 format."""
    bare = show(kind="completion")
    assert bare["kind"] == "prompt"
    assert None not in bare.values()
    frames: list[Any] = [
        {"file": "a", "line": 7, "lineno": 7, "name": "f"}, {"lineno": None}, "text", {"lineno": 1},
    ]  # fmt: skip
    shown = show(call_site={"stacktrace": frames}, duration_ms=1500.0, tags=["a"], session_id="s")
    assert [frame["line"] for frame in shown["stacktrace"]] == ["7", ""]
    assert (shown["duration"], shown["tags"], shown["session_id"]) == (1.5, ["a"], "s")
    assert "stacktrace" not in show(call_site={"stacktrace": "text"})


@given(JSON, JSON)
def test_anything(inside: Any, around: Any) -> None:
    """log10ts accepts every request and response that is shown."""
    message = inside if isinstance(inside, dict) else {"tool_calls": inside}
    show(request=ask(messages=[inside, {**USER, **message}]), response=answer(message))
    show(request=inside, response=inside)
    show(request=ask(tools=around, stop=inside), response=create_response(choices=[inside, around]))
    show(request=ask(messages=around), response=answer(logprobs=inside, finish_reason=around))
