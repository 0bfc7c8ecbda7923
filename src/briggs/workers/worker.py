"""A worker: a process that answers on the port that it shares with the others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys

import msgspec

from briggs import server
from briggs.alerts.checks import check_all
from briggs.app import App, open_app
from briggs.settings import SettingsError, open_settings
from briggs.types.errors import BriggsError
from briggs.workers import borrowing
from briggs.workers.line import LineLost, PeerLine, open_line
from briggs.workers.link import Link, SharedBook
from briggs.workers.messages import Welcome, decode

LEFT_S = 5.0
"""How long calls in flight have to end when the supervisor has died. Until then, the folder is in
use, and no other Briggs can take it over."""


async def work(end: socket.socket, listener: socket.socket) -> None:
    """Answer until the supervisor says so or dies."""
    server.set_up_log()
    lost = asyncio.Event()
    line = await open_line(end, on_lost=lost.set)
    welcome = decode(await line.call("welcome"), of=Welcome)
    settings = open_settings(
        data=welcome.data, config=welcome.config, check=check_all, content=welcome.content
    )
    link = Link(line, number=welcome.number, state=welcome.state)
    over = borrowing.listen(line)
    async with open_app(
        settings,
        peers=link,
        book=SharedBook(line),
        lend=lambda: borrowing.BorrowedChildren(line, over),
        worker=welcome.number,
    ) as app:
        link.on_keeper = app.parts.store.keep_order
        _offer(line, app)

        def begin() -> None:
            app.parts.running.prices.load()
            line.tell("ready", b"%d" % welcome.version)

        running = server.Server(app, on_started=begin, on_reload=lambda: line.tell("reload"))
        watching = asyncio.create_task(_stop_when_lost(lost, running))
        try:
            await running.answer(listener)
        finally:
            watching.cancel()
    line.close()


def _offer(line: PeerLine, app: App) -> None:
    """Offer the supervisor what it may call."""
    store = app.parts.store

    async def check(content: bytes) -> bytes:
        await app.check(_read_content(content))
        return b""

    async def fail_left(_: bytes) -> bytes:
        with contextlib.suppress(BriggsError):
            await store.fail_left()
        return b""

    def reload(content: bytes) -> bytes:
        return msgspec.msgpack.encode(app.reload(_read_content(content)))

    def count_refused(_: bytes) -> bytes:
        app.parts.reload_failures += 1
        return b""

    line.functions["check"] = check
    line.functions["reload"] = reload
    line.functions["count_refused"] = count_refused
    line.functions["fail_left"] = fail_left


def _read_content(body: bytes) -> bytes | None:
    return msgspec.msgpack.decode(body, type=bytes | None)


async def _stop_when_lost(lost: asyncio.Event, running: server.Server) -> None:
    await lost.wait()
    running.stop(within_s=LEFT_S)


def main() -> None:
    """Run on the end of a pair of sockets, and on one that listens. Their numbers are given."""
    import uvloop

    line, port = map(int, sys.argv[1:])
    os.set_inheritable(line, False)
    os.set_inheritable(port, False)
    with socket.socket(fileno=line) as end, socket.socket(fileno=port) as listener:
        try:
            uvloop.run(work(end, listener))
        except (SettingsError, BriggsError, LineLost) as error:
            sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
