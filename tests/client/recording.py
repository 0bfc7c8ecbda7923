"""A process that records: its spool, its server, and an upstream that is not Briggs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from briggs.client import log as logs
from briggs.client.log import Log
from briggs.client.sync import Client
from tests.api.behaviours import embeds
from tests.api.openai.upstreams import MESSAGE, TEXT, answers
from tests.processes import Behaviour, Seen, Upstream, create_chunk, create_response

NOBODY = "http://127.0.0.1:9"
"""An address without a server: port 9 is reserved for the discard protocol."""
COUNTS = (
    "finish_reasons", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens",
)  # fmt: skip
MESSAGES: Any = [{"role": "user", "content": "one two"}]


@contextmanager
def recording(
    patch: pytest.MonkeyPatch, spool: Path, *, url: str, api_key: str = "sk-briggs-none"
) -> Iterator[Log]:
    """Make this process log to a server, through a spool folder."""
    for name in ("BRIGGS_DATA", "BRIGGS_URL", "BRIGGS_API_KEY"):
        patch.delenv(name, raising=False)
    patch.setenv("BRIGGS_SPOOL", str(spool))
    log = Log(url, api_key)
    patch.setattr(logs, "_log", log)
    yield log


def list_all(client: Client) -> list[dict[str, Any]]:
    """All recorded completions, oldest first."""
    found = client.completions.iterate(status="any", include=["request"])
    return [
        {
            "id": item.id,
            "said": "".join(choice["message"].get("content") or "" for choice in item.choices),
            **{name: getattr(item.briggs, name) for name in ("status", "source", "stream")},
            **{name: getattr(item.briggs, name) for name in COUNTS},
            **{name: getattr(item.briggs, name) for name in ("tags", "session_id", "request")},
            **{
                name: getattr(item.briggs, name)
                for name in ("failure_kind", "failure_reason", "violates")
            },
        }
        for item in found
    ]


def open_vendors() -> Upstream:
    """Answers in the formats of OpenAI and Anthropic."""
    return Upstream(
        {
            "openai": _answer,
            "anthropic": _answer_as_anthropic,
            "refuses": _refuse,
            "embeds": embeds,
            "texts": _continue,
        }
    )


_HELLO = {**MESSAGE, "content": [{**TEXT, "text": "Hello", "annotations": []}]}


def _answer(handler: Any, seen: Seen) -> None:
    if seen.path.endswith("/responses"):
        answers(_HELLO, size=300)(handler, seen)
        return
    if not seen.json.get("stream"):
        handler.send_whole(200, json.dumps(create_response("Hello")).encode())
        return
    handler.begin_stream()
    for text in ("Hel", "lo"):
        handler.write_piece(create_chunk({"role": "assistant", "content": text}))
    handler.write_piece(create_chunk({}, finish_reason="stop"))
    handler.write_piece(b"data: [DONE]\n\n")
    handler.write_piece(b"")


def _continue(handler: Any, seen: Seen) -> None:
    """Answers with a text completion."""

    def write(text: str, reason: str | None) -> bytes:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
        identity = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}
        return json.dumps({**identity, "choices": [choice]}).encode()

    if not seen.json.get("stream"):
        handler.send_whole(200, write("Hello", "stop"))
        return
    handler.begin_stream()
    for chunk in (write("Hel", None), write("lo", "stop")):
        handler.write_piece(b"data: " + chunk + b"\n\n")
    handler.write_piece(b"data: [DONE]\n\n")
    handler.write_piece(b"")


def _refuse(handler: Any, seen: Seen) -> None:
    handler.send_whole(400, b'{"error": {"message": "no, thank you", "type": "refused"}}')


_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {**_MESSAGE, "content": [], "stop_reason": None},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "Hello"},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
]


def _answer_as_anthropic(handler: Any, seen: Seen) -> None:
    if not seen.json.get("stream"):
        handler.send_whole(200, json.dumps(_MESSAGE).encode())
        return
    handler.begin_stream()
    for event in _EVENTS:
        handler.write_piece(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    handler.write_piece(b"")


def scripted(*answers: tuple[int, dict[str, str], bytes]) -> Behaviour:
    """An upstream that gives these answers in order, and then repeats the last."""
    left = list(answers)

    def behave(handler: Any, seen: Seen) -> None:
        status, headers, body = left.pop(0) if len(left) > 1 else left[0]
        handler.send_whole(status, body, headers)

    return behave
