"""Passes a request to an ASGI framework, and its answer back.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from briggs.transport.callers.cycle import Cycle

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Framework = Callable[[Scope, Receive, Send], Awaitable[None]]

_VERSION = {"version": "3.0", "spec_version": "2.3"}


async def answer_by(framework: Framework, cycle: Cycle, *, state: dict[str, Any]) -> None:
    """Let a framework answer. It finds `state` in its scope."""
    translation = _Translation(cycle)
    await framework(_describe(cycle, state), translation.receive, translation.send)


class _Translation:
    """Translates between ASGI's messages and a cycle."""

    def __init__(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self._is_read = False
        self._head: Message | None = None

    async def receive(self) -> Message:
        """The next piece of the body, or a disconnect. Raises what `wait` raises."""
        cycle = self._cycle
        if not cycle.is_whole or self._is_read:
            await cycle.wait()
        if cycle.is_left or cycle.is_complete:
            return {"type": "http.disconnect"}
        self._is_read = cycle.is_whole
        return {"type": "http.request", "body": cycle.take(), "more_body": not cycle.is_whole}

    async def send(self, message: Message) -> None:
        """Send a piece of the answer. The head is held back until the first piece of the body."""
        cycle = self._cycle
        if message["type"] == "http.response.start":
            self._head = message
            return
        body = message.get("body", b"")
        await cycle.drain()
        if self._head is not None:
            head, self._head = self._head, None
            cycle.begin(head["status"], list(head.get("headers", ())), body)
        else:
            cycle.write(body)
        if not message.get("more_body", False):
            cycle.finish()


def _describe(cycle: Cycle, state: dict[str, Any]) -> Scope:
    path = cycle.path.decode("latin-1")
    return {
        "type": "http",
        "asgi": _VERSION,
        "http_version": cycle.version,
        "method": cycle.method,
        "scheme": "http",
        "path": unquote(path) if "%" in path else path,
        "raw_path": cycle.path,
        "query_string": cycle.query,
        "root_path": "",
        "headers": cycle.headers,
        "state": state,
        **cycle.line.addresses,
    }
