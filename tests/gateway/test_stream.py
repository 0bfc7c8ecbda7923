"""A streamed answer, and what becomes of it when the upstream fails in the middle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.processes import create_chunk, read_frames
from tests.providers.vendors import run_vendor


def fail(handler: Any, seen: Any) -> None:
    """Says something and fails, all in one write."""
    said = create_chunk({"role": "assistant", "content": "Hel"})
    handler.begin_stream()
    handler.write_piece(said + b'data: {"error": {"message": "boom", "code": 503}}\n\n')
    handler.write_piece(b"")


def test_a_failure_behind_a_good_chunk(tmp_path: Path) -> None:
    """What came before a failure gets to the caller, even if one read brought both."""
    request = {"model": "openai/m", "messages": [{"role": "user", "content": "?"}], "stream": True}
    with run_vendor(tmp_path, fail, kind="openai", path="/v1") as vendor:
        reply = vendor.server.chat(request)
        recorded = vendor.server.find(reply)
    said, error = map(json.loads, read_frames(reply.body))
    assert said["choices"][0]["delta"]["content"] == "Hel"
    assert "boom" in error["error"]["message"]
    assert recorded["briggs"]["status"] == "failed"
    assert recorded["choices"][0]["message"]["content"] == "Hel"
