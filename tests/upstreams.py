"""What upstreams do in the tests of several processes: they say it back, wait, or take a while."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from tests.processes import Behaviour, create_chunk, create_response
from tests.waiting import PATIENCE_S

PRICES = '[prices."steady/m"]\ninput = 0\noutput = 1000\n'
"""A cent for an answer of 10 tokens."""

USAGE = {"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 15}


def ok(handler: Any, seen: Any) -> None:
    """Says the last message again."""
    said = seen.json["messages"][-1]["content"]
    handler.send_whole(200, json.dumps(create_response(said)).encode())


class Gate:
    """Answers when it is let."""

    def __init__(self, answer: Behaviour = ok) -> None:
        self._answer = answer
        self.opened = threading.Event()
        self.waiting = threading.Semaphore(0)

    def __call__(self, handler: Any, seen: Any) -> None:
        self.waiting.release()
        assert self.opened.wait(PATIENCE_S)
        self._answer(handler, seen)


class Doled:
    """Answers as many calls as it is given leave for."""

    def __init__(self) -> None:
        self._leave = threading.Semaphore(0)

    def __call__(self, handler: Any, seen: Any) -> None:
        assert self._leave.acquire(timeout=PATIENCE_S)
        ok(handler, seen)

    def give(self, calls: int) -> None:
        """Let so many more calls be answered."""
        self._leave.release(calls)


def steady(handler: Any, seen: Any) -> None:
    """Answers with 10 tokens, after as long as it takes for all callers to come."""
    time.sleep(0.2)
    if not seen.json.get("stream"):
        handler.send_whole(200, json.dumps(create_response(usage=USAGE)).encode())
        return
    end = json.loads(create_chunk({}, finish_reason="stop")[6:])
    usage = json.dumps(end | {"choices": [], "usage": USAGE}).encode()
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": "Hi"}))
    handler.write_piece(create_chunk({}, finish_reason="stop"))
    handler.write_piece(b"data: " + usage + b"\n\ndata: [DONE]\n\n")
    handler.write_piece(b"")
