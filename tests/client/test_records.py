"""The bodies that report records: folded streams, whole answers, and bytes that are not JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from briggs.client.records import CallRecord, encode_body, read_error, tell
from briggs.wires.anthropic.fold import fold_events
from tests.processes import create_chunk

REQUEST = b'{"model": "m", "messages": []}'
CHUNKS = create_chunk({"role": "assistant", "content": "Hel"}) + create_chunk({"content": "lo"})
LAST = create_chunk({}, finish_reason="stop")


def read_told(**members: Any) -> dict[str, Any]:
    record = CallRecord(**{"request": REQUEST, **members})
    return dict(json.loads(tell(record)))


def test_both_sides_are_told_as_they_were() -> None:
    """The report has the request and the response as JSON, with the time and the duration."""
    told = read_told(received=b'{"id": "1"}', created_at=1_790_000_000_000_000, duration_ms=1500)
    assert told["request"] == json.loads(REQUEST)
    assert told["response"] == {"id": "1"}
    assert told["status"] == "finished"
    assert (told["created_at_ms"], told["duration"]) == (1_790_000_000_000, 1.5)


def test_a_stream_is_told_folded() -> None:
    """The chunks of a stream are reported as one answer."""
    told = read_told(received=CHUNKS + LAST + b"data: [DONE]\n\n", is_stream=True)
    assert told["response"]["choices"][0]["message"]["content"] == "Hello"


def test_a_stream_that_was_left_at_its_end_was_finished() -> None:
    """A stream that was read up to [DONE] is complete. One that was left before is not."""
    left = {"is_stream": True, "status": "failed", "failure_kind": "hang_up"}
    whole = read_told(received=CHUNKS + LAST + b"data: [DONE]\n\n", **left)
    half = read_told(received=CHUNKS, **left)
    assert (whole["status"], "failure_kind" in whole) == ("finished", False)
    assert (half["status"], half["failure_kind"]) == ("failed", "hang_up")
    assert half["response"]["choices"][0]["message"]["content"] == "Hello"


def test_when_a_program_left_is_told() -> None:
    """A stream left before its last event has `caller_left_ms`, even if its choices had ended."""
    left = {"is_stream": True, "status": "failed", "failure_kind": "hang_up", "duration_ms": 7}
    for received, status in ((CHUNKS, "failed"), (CHUNKS + LAST, "finished")):
        told = read_told(received=received, **left)
        assert (told["status"], told["caller_left_ms"]) == (status, 7)
    assert "caller_left_ms" not in read_told(received=CHUNKS + b"data: [DONE]\n\n", **left)
    assert "caller_left_ms" not in read_told(received=CHUNKS + LAST, is_stream=True, duration_ms=7)


@given(received=st.binary(max_size=200), is_stream=st.booleans())
def test_anything_can_be_told(received: bytes, is_stream: bool) -> None:
    """For any bytes, the report is JSON and includes the request."""
    told = read_told(received=received, is_stream=is_stream)
    assert told["request"] == json.loads(REQUEST)


@given(request=st.binary(max_size=50))
def test_a_request_that_is_no_json_is_told_as_text(request: bytes) -> None:
    """The request is always reported."""
    assert "request" in read_told(request=request)


def test_anthropics_events_spell_a_message() -> None:
    """Text, thinking with its signature, a tool's input and the usage are joined."""
    deltas = [
        (0, {"type": "thinking_delta", "thinking": "hm"}),
        (0, {"type": "signature_delta", "signature": "s"}),
        (1, {"type": "text_delta", "text": "He"}),
        (1, {"type": "text_delta", "text": "llo"}),
        (2, {"type": "input_json_delta", "partial_json": '{"a": '}),
        (2, {"type": "input_json_delta", "partial_json": "1}"}),
    ]
    blocks = [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    message = fold_events(
        [
            {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3}}},
            *(
                {"type": "content_block_start", "index": index, "content_block": block}
                for index, block in enumerate(blocks)
            ),
            *(
                {"type": "content_block_delta", "index": index, "delta": delta}
                for index, delta in deltas
            ),
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use"},
                "usage": {"output_tokens": 2},
            },
            {"type": "message_stop"},
        ]
    )
    assert message == {
        "id": "m",
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 2},
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        ],
    }


def test_errors_are_read_in_every_shape() -> None:
    """A message is found in OpenAI's error object, a bare string and a body that is not JSON."""
    assert read_error(b'{"error": {"message": "no"}}') == "no"
    assert read_error(b'{"error": "no"}') == "no"
    assert read_error(b"<html>no</html>") == "<html>no</html>"


def test_bodies_of_every_kind() -> None:
    """Bytes and strings stay unchanged. Dicts become JSON."""
    assert encode_body(b"{}") == b"{}"
    assert encode_body("{}") == b"{}"
    assert encode_body({"a": 1}) == b'{"a":1}'
