"""Streamed answers, also when the upstream fails in the middle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.processes import create_chunk, read_frames
from tests.wires.vendors import run_vendor


def fail(handler: Any, seen: Any) -> None:
    """Sends a chunk and an error in one write."""
    said = create_chunk({"role": "assistant", "content": "Hel"})
    handler.begin_stream()
    handler.write_piece(said + b'data: {"error": {"message": "boom", "code": 503}}\n\n')
    handler.write_piece(b"")


def spell(handler: Any, seen: Any) -> None:
    """Speaks the older wire: its choices have `text`, not `delta`."""
    handler.begin_stream()
    for text, reason in (("Hel", None), ("lo", None), ("", "stop")):
        chunk = json.loads(create_chunk({}, finish_reason=reason)[6:])
        del chunk["choices"][0]["delta"]
        chunk["choices"][0]["text"] = text
        handler.write_piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    handler.write_piece(b"data: [DONE]\n\n")
    handler.write_piece(b"")


def test_the_text_of_the_older_wire_is_the_content(tmp_path: Path) -> None:
    """`text` reaches the caller and the record as content, and the fix is noted."""
    request = {"model": "openai/m", "messages": [{"role": "user", "content": "?"}], "stream": True}
    with run_vendor(tmp_path, spell, kind="openai", path="/v1") as vendor:
        reply = vendor.server.chat(request)
        recorded = vendor.server.find(reply)
    chunks = map(json.loads, read_frames(reply.body)[:-1])
    said = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert "".join(filter(None, said)) == "Hello"
    assert recorded["choices"][0]["message"]["content"] == "Hello"
    assert {fix["rule"] for fix in recorded["briggs"]["fixes"]} >= {"S13"}


def test_a_failure_behind_a_good_chunk(tmp_path: Path) -> None:
    """Chunks before a failure reach the caller, even if both came in one read."""
    request = {"model": "openai/m", "messages": [{"role": "user", "content": "?"}], "stream": True}
    with run_vendor(tmp_path, fail, kind="openai", path="/v1") as vendor:
        reply = vendor.server.chat(request)
        recorded = vendor.server.find(reply)
    said, error = map(json.loads, read_frames(reply.body))
    assert said["choices"][0]["delta"]["content"] == "Hel"
    assert "boom" in error["error"]["message"]
    assert recorded["briggs"]["status"] == "failed"
    assert recorded["choices"][0]["message"]["content"] == "Hel"
