"""Upstreams that speak `/v1/responses`, as OpenAI does: whole, streamed, and failing."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.processes import Behaviour

USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 123,
}
SEARCH = {
    "id": "ws_67c",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "news"},
}
THOUGHT = {
    "id": "rs_67c",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Thinking"}],
    "encrypted_content": "gAAAAB",
}
CITED = {
    "type": "url_citation",
    "start_index": 0,
    "end_index": 5,
    "url": "https://news.example",
    "title": "News",
}
TEXT = {"type": "output_text", "text": "Hello 😊", "annotations": [CITED], "logprobs": []}
MESSAGE = {
    "id": "msg_67c",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [TEXT],
}
CALL = {
    "id": "fc_67c",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "f",
    "arguments": '{"a": 1}',
}


def create_response(*output: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A response as OpenAI sends it, with a member that nobody knows."""
    return {
        "id": "resp_67ccd3a9da748190baa7f1570fe91ac604becb25c45c1d41",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "gpt-5-2026-08-07",
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE,
        "metadata": {},
        "billing": {"payer": "developer"},
        **members,
    }


def write_whole(response: dict[str, Any]) -> bytes:
    """In OpenAI's own layout."""
    return json.dumps(response, indent=2, ensure_ascii=False).encode()


def list_events(*output: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    """The events of the stream of a response."""
    whole = create_response(*output, **members)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(output):
        events += _list_item_events(item, index)
    events.append({"type": f"response.{whole['status']}", "response": whole})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _list_item_events(item: dict[str, Any], index: int) -> list[dict[str, Any]]:
    place: dict[str, Any] = {"output_index": index, "item_id": item["id"]}
    begun = dict(item)
    begun |= {name: [] for name in ("content", "summary") if name in item}
    events: list[dict[str, Any]] = []
    match item["type"]:
        case "message":
            for number, part in enumerate(item["content"]):
                events += _list_text_events(part, {**place, "content_index": number})
        case "reasoning":
            for number, part in enumerate(item["summary"]):
                at = {**place, "summary_index": number}
                name = "response.reasoning_summary"
                events += [
                    {"type": f"{name}_part.added", **at, "part": {**part, "text": ""}},
                    {"type": f"{name}_text.delta", **at, "delta": part["text"]},
                    {"type": f"{name}_text.done", **at, "text": part["text"]},
                    {"type": f"{name}_part.done", **at, "part": part},
                ]
        case "function_call":
            begun["arguments"] = ""
            name = "response.function_call_arguments"
            given = item["arguments"]
            events += [
                {"type": f"{name}.delta", **place, "delta": given[:3]},
                {"type": f"{name}.delta", **place, "delta": given[3:]},
                {"type": f"{name}.done", **place, "arguments": given, "name": item["name"]},
            ]
        case "web_search_call":
            steps = ("in_progress", "searching", "completed")
            events += [{"type": f"response.web_search_call.{step}", **place} for step in steps]
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        *events,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _list_text_events(part: dict[str, Any], place: dict[str, Any]) -> list[dict[str, Any]]:
    if part["type"] == "refusal":
        return [
            {"type": "response.content_part.added", **place, "part": {**part, "refusal": ""}},
            {"type": "response.refusal.delta", **place, "delta": part["refusal"]},
            {"type": "response.refusal.done", **place, "refusal": part["refusal"]},
            {"type": "response.content_part.done", **place, "part": part},
        ]
    name, text = "response.output_text", part["text"]
    begun = {**part, "text": "", "annotations": []}
    return [
        {"type": "response.content_part.added", **place, "part": begun},
        *(
            {"type": f"{name}.delta", **place, "delta": piece, "logprobs": [], "obfuscation": "x9"}
            for piece in (text[:2], text[2:])
        ),
        *(
            {"type": f"{name}.annotation.added", **place, "annotation_index": at, "annotation": one}
            for at, one in enumerate(part["annotations"])
        ),
        {"type": f"{name}.done", **place, "text": text, "logprobs": part["logprobs"]},
        {"type": "response.content_part.done", **place, "part": part},
    ]


def write_events(events: list[dict[str, Any]]) -> bytes:
    """A stream as OpenAI writes it."""
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        for event in events
    )


def answers(*output: dict[str, Any], size: int = 0, **members: Any) -> Behaviour:
    """An upstream that sends this response, whole or streamed in writes of `size` bytes."""

    def behave(handler: Any, seen: Any) -> None:
        if not seen.json.get("stream"):
            handler.send_whole(200, write_whole(create_response(*output, **members)))
            return
        stream = write_events(list_events(*output, **members))
        send(handler, stream, size=size or len(stream))

    return behave


def send(handler: Any, stream: bytes, *, size: int) -> None:
    """Send a stream in writes of `size` bytes."""
    handler.begin_stream()
    for begin in range(0, len(stream), size):
        handler.write_piece(stream[begin : begin + size])
        time.sleep(0.0005)
    handler.write_piece(b"")
