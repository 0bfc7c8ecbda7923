"""Forms that are too large, or that are no form: whoever sends them holds up nobody else."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from starlette.requests import Request

from briggs.web.csrf import VISITORS_BYTES_MAX, read_form
from tests.processes import Server
from tests.web.visitor import Visitor

FORM = {"content-type": "application/x-www-form-urlencoded"}
ESCAPES = b"&key=" + b"%41" * 900_000


def test_a_stranger_sends_no_large_form(server: Server) -> None:
    """Without a session a form is refused unread, and a visitor may send only a small one."""
    reply = server.send(
        "POST", "/sign-in", ESCAPES, headers={"accept": "text/html", **FORM}, key=None
    )
    assert reply.status == 403
    visitor = Visitor(server, key=None)
    visitor.visit("/sign-in")
    assert visitor.post("/sign-in", key="x" * VISITORS_BYTES_MAX).status == 413
    assert visitor.post("/sign-in", key="x" * (VISITORS_BYTES_MAX - 1_000)).status == 401


async def test_a_large_form_holds_up_nobody() -> None:
    """While a form of megabytes is read, the event loop goes on."""
    limits = SimpleNamespace(body_bytes_max=10_000_000)
    parts = SimpleNamespace(running=SimpleNamespace(limits=limits))
    app = SimpleNamespace(state=SimpleNamespace(parts=parts))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": ESCAPES}

    request = Request({"type": "http", "app": app, "headers": []}, receive)
    request.state.key = "any"
    reading = asyncio.create_task(read_form(request))
    turns = 0
    while not reading.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert set(reading.result()["key"]) == {"A"}
    assert turns > 10


def test_a_form_is_no_json(visitor: Visitor) -> None:
    """A form sent to where JSON is wanted is refused, and read once."""
    reply = visitor.post("/completions/tags/restore", id="x")
    assert (reply.status, b"cannot be read" in reply.body) == (400, True)
