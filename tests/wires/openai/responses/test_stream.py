"""The events of a streamed response tell the same as the whole response."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.errors import UpstreamRejected, UpstreamTruncated
from briggs.types.fold import Fold, join_text
from briggs.wires.openai.responses.answer import write_answer
from briggs.wires.openai.responses.stream import ResponseFrames
from tests.types.strategies import responses, spelled

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ASKED = {"model": "a/m", "input": "hi", "include": ["message.output_text.logprobs"]}
Chunk = dict[str, Any]


def create_completion(**asked: Any) -> Completion:
    request = json.encode({**ASKED, **asked})
    return Completion(organization_id="default", request=request, model="a/m", duration_ms=900.0)


def stream(chunks: list[Chunk], completion: Completion) -> list[dict[str, Any]]:
    frames = ResponseFrames(completion)
    return read_events(frames.write([json.encode(chunk) for chunk in chunks]) + frames.end())


def read_events(frames: bytes) -> list[dict[str, Any]]:
    events = []
    for frame in frames.split(b"\n\n")[:-1]:
        name, _, data = frame.partition(b"\ndata: ")
        event = json.decode(data)
        assert name == f"event: {event['type']}".encode()
        events.append(event)
    return events


def chunk(delta: dict[str, Any] | None = None, **members: Any) -> Chunk:
    head: Chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
    if delta is None:
        return {**head, "choices": [], **members}
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None, **members}]}


def finish(reason: str) -> list[Chunk]:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return [chunk({}, finish_reason=reason), chunk(usage=usage)]


def replay(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The output items as a client puts them together from the deltas."""
    items: dict[int, dict[str, Any]] = {}
    for event in events:
        kind, _, ending = event["type"].rpartition(".")
        item = items.get(event.get("output_index", -1), {})
        match kind, ending:
            case "response.output_item", "added":
                assert event["output_index"] == len(items)
                items[event["output_index"]] = json.decode(json.encode(event["item"]))
            case "response.content_part", "added":
                assert event["content_index"] == len(item["content"])
                item["content"].append(json.decode(json.encode(event["part"])))
            case "response.function_call_arguments", "delta":
                item["arguments"] = join_text([item["arguments"], event["delta"]])
            case "response.custom_tool_call_input", "delta":
                item["input"] = join_text([item["input"], event["delta"]])
            case _, "delta":
                part = item["content"][event["content_index"]]
                name = "refusal" if kind == "response.refusal" else "text"
                part[name] = join_text([part[name], event["delta"]])
                part.get("logprobs", []).extend(event.get("logprobs", []))
            case "response.output_text.annotation", "added":
                item["content"][event["content_index"]]["annotations"].append(event["annotation"])
            case "response.output_item", "done":
                item["status"] = event["item"].get("status")
        if "item_id" in event:
            assert event["item_id"] == item["id"]
    return list(items.values())


def forget_status(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: item[name] for name in item if name != "status"} for item in items]


def check(chunks: list[Chunk], **asked: Any) -> list[dict[str, Any]]:
    """Check all that holds for every stream, and return its events."""
    completion = create_completion(**asked)
    events = stream(chunks, completion)
    folded = Fold()
    for one in chunks:
        folded.add(one)
    whole = json.decode(write_answer(json.encode(folded.response()), completion=completion))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    first, second = (event["type"] for event in events[:2])
    assert (first, second) == ("response.created", "response.in_progress")
    last = events[-1]
    assert last["response"] == whole
    assert last["type"] == f"response.{whole['status']}"
    key = {item["id"]: at for at, item in enumerate(whole["output"])}
    told = sorted(replay(events), key=lambda item: key[item["id"]])
    assert forget_status(told) == forget_status(whole["output"])
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert {item["id"] for item in done} == key.keys()
    return events


@given(data=st.data())
def test_every_stream_folds_to_the_whole_response(data: st.DataObject) -> None:
    """However an answer is split into chunks, its last event is the whole response, and the
    deltas add up to it."""
    response = data.draw(responses())
    response["choices"] = response["choices"][:1]
    check(data.draw(spelled(response)))


def validate(events: list[dict[str, Any]]) -> None:
    for event in events:
        EVENTS.validate_python(event, strict=False)


def test_events_in_the_order_of_the_specification() -> None:
    """Reasoning, a message and two calls: each item is whole before the next begins."""
    events = check(
        [
            chunk({"role": "assistant", "content": None}),
            chunk({"reasoning_content": "Hm"}),
            chunk({"content": "Hel"}),
            chunk({"content": "lo"}),
            chunk({"tool_calls": [call(0, "c1", "f", "")]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
            chunk({"tool_calls": [custom(1, "c2", "g")]}),
            chunk({"tool_calls": [{"index": 1, "custom": {"input": "x"}}]}),
            *finish("tool_calls"),
        ]
    )
    assert [event["type"].removeprefix("response.") for event in events] == [
        *("created", "in_progress"),
        *("output_item.added", "content_part.added", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        *("output_item.added", "custom_tool_call_input.delta"),
        *("custom_tool_call_input.done", "output_item.done"),
        "completed",
    ]
    validate(events)
    final = Response.model_validate(events[-1]["response"])
    assert final.usage is not None
    assert final.usage.total_tokens == 5
    assert [item.type for item in final.output] == [
        *("reasoning", "message", "function_call", "custom_tool_call")
    ]


def call(index: int, id: str, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": id, "type": "function", "function": function}


def custom(index: int, id: str, name: str) -> dict[str, Any]:
    return {"index": index, "id": id, "type": "custom", "custom": {"name": name, "input": ""}}


def test_what_comes_late_is_told_again() -> None:
    """Text after a call, and reasoning after text, belong to the items that have begun."""
    events = check(
        [
            chunk({"reasoning_content": "a"}),
            chunk({"content": "b"}),
            chunk({"reasoning_content": "c"}),
            chunk({"tool_calls": [call(0, "c1", "f", "{}")]}),
            chunk({"content": "d"}),
            *finish("stop"),
        ]
    )
    thought, said, _ = events[-1]["response"]["output"]
    assert thought["content"][0]["text"] == "ac"
    assert said["content"][0]["text"] == "bd"
    validate(events)


def test_an_answer_without_text() -> None:
    """An empty answer has an empty message, and a refusal is a part of its own."""
    events = check([chunk({"role": "assistant", "content": ""}), *finish("stop")])
    [message] = events[-1]["response"]["output"]
    assert message["content"][0]["text"] == ""
    validate(events)
    events = check([chunk({"refusal": "N"}), chunk({"refusal": "o"}), *finish("stop")])
    [message] = events[-1]["response"]["output"]
    assert message["content"] == [{"type": "refusal", "refusal": "No"}]
    validate(events)


def test_an_answer_that_was_cut_short() -> None:
    """It ends with `response.incomplete`, and its last item is incomplete."""
    for reason, native in (("length", "max_output_tokens"), ("content_filter", "content_filter")):
        events = check([chunk({"content": "Hel"}), *finish(reason)])
        assert events[-1]["type"] == "response.incomplete"
        assert events[-1]["response"]["incomplete_details"] == {"reason": native}
        assert events[-2]["item"]["status"] == "incomplete"
        validate(events)


def test_logprobs_and_citations() -> None:
    """They come with the text to which they belong, if the caller asked for them."""
    top = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}
    token = {**top, "top_logprobs": [top]}
    place = {"start_index": 0, "end_index": 2, "url": "https://a.example", "title": "A"}
    cited = {"annotations": [{"type": "url_citation", "url_citation": place}]}
    chunks = [
        chunk({"content": "Hi"}, logprobs={"content": [token], "refusal": None}),
        chunk(cited),
        *finish("stop"),
    ]
    events = check(chunks)
    part = events[-1]["response"]["output"][0]["content"][0]
    assert part["logprobs"] == [token]
    assert part["annotations"] == [{"type": "url_citation", **place}]
    validate(events)
    part = check(chunks, include=[])[-1]["response"]["output"][0]["content"][0]
    assert part["logprobs"] == []


def test_a_stream_that_fails() -> None:
    """The response fails, and then comes the error that OpenAI's clients raise."""
    frames = ResponseFrames(create_completion())
    begun = read_events(frames.write([json.encode(chunk({"content": "Hel"}))]))
    failed, error = read_events(frames.fail(UpstreamTruncated("m was cut."), passed=b""))
    assert failed["sequence_number"] == len(begun)
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "m was cut."}
    assert failed["response"]["output"][0]["content"][0]["text"] == "Hel"
    assert error["error"]["code"] == error["code"] == "upstream_truncated"
    validate([failed, error])
    limit = UpstreamRejected("Slow down.", upstream_status=429)
    failed, _ = read_events(frames.fail(limit, passed=b""))
    assert failed["response"]["error"]["code"] == "rate_limit_exceeded"


def test_a_vendors_stream_that_breaks() -> None:
    """The error has the number after the vendor's last event."""
    passed = b'data: {"sequence_number": 7}\n\ndata: {"sequence_number":12, "x": 1}\n\n'
    frames = ResponseFrames(create_completion())
    [error] = read_events(frames.fail(UpstreamTruncated("m was cut."), passed=passed))
    assert (error["type"], error["sequence_number"]) == ("error", 13)
