"""A streamed body arrives as it was sent, and only while it is read."""

from __future__ import annotations

import asyncio

import pytest

from briggs.transport import BrokenOff, TimedOut, Transport
from tests.transport.servers import LAST, Peer, begin_chunked, chunk, chunked, serve, whole
from tests.waiting import PATIENCE_S


async def test_pieces_come_as_they_are_sent(transport: Transport) -> None:
    """Each piece is handed over before the next one is sent."""
    seen = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.answer(begin_chunked("content-type: text/event-stream"))
        for number in range(20):
            await peer.send(chunk(b"%d" % number))
            await seen.wait()
            seen.clear()
        await peer.send(LAST)
        await peer.wait_until_closed()

    async with serve(behave) as server:
        async with transport.stream("GET", server.url, headers={}) as reply:
            assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
            pieces = []
            async for piece in reply.body:
                pieces.append(piece)
                seen.set()
        assert pieces == [b"%d" % number for number in range(20)]


async def test_what_has_come_meanwhile_is_one_piece(transport: Transport) -> None:
    """A slow reader gets everything that has come at once."""

    async def behave(peer: Peer) -> None:
        await peer.answer(begin_chunked(), *(chunk(b"x" * 10) for _ in range(50)))
        answered.set()
        await peer.wait_until_closed()

    answered = asyncio.Event()
    async with (
        serve(behave) as server,
        transport.stream("GET", server.url, headers={}) as reply,
    ):
        await answered.wait()
        await asyncio.sleep(0.05)
        assert await anext(aiter(reply.body)) == b"x" * 500


async def test_a_stream_that_was_read_to_its_end_keeps_its_connection(
    transport: Transport,
) -> None:
    """The connection is reused, even if the reader has not taken everything yet."""

    async def behave(peer: Peer) -> None:
        while True:
            await peer.answer(chunked(b"one", b"two"))

    async with serve(behave) as server:
        async with transport.stream("GET", server.url, headers={}) as first:
            await asyncio.sleep(0.05)
            async with transport.stream("GET", server.url, headers={}) as second:
                assert b"".join([piece async for piece in second.body]) == b"onetwo"
            assert b"".join([piece async for piece in first.body]) == b"onetwo"
        assert (await transport.send("GET", server.url, headers={})).body == b"onetwo"
        assert server.connections == 1


@pytest.mark.parametrize("read", [False, True])
async def test_leaving_early_closes_the_connection(read: bool, transport: Transport) -> None:
    """The other side sees at once that reading has stopped, and the next call is served."""
    closed = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.answer(begin_chunked(), chunk(b"one"))
        await peer.wait_until_closed()
        closed.set()

    async with serve(behave) as server:
        async with transport.stream("GET", server.url, headers={}) as reply:
            if read:
                assert await anext(aiter(reply.body)) == b"one"
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()
        with pytest.raises(BrokenOff):
            async for _ in reply.body:
                pass
        async with transport.stream("GET", server.url, headers={}) as reply:
            assert await anext(aiter(reply.body)) == b"one"
        assert server.connections == 2


async def test_a_reader_who_is_cancelled_closes_the_connection(transport: Transport) -> None:
    """The other side sees when the reading task is cancelled."""
    closed = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.answer(begin_chunked(), chunk(b"one"))
        await peer.wait_until_closed()
        closed.set()

    async def read() -> None:
        async with transport.stream("GET", server.url, headers={}) as reply:
            async for _ in reply.body:
                pass

    async with serve(behave) as server:
        task = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()


async def test_a_stream_that_breaks_off_gives_what_came_and_then_an_error(
    transport: Transport,
) -> None:
    """Everything that has come is handed over before the reader gets the error."""
    for resets in (False, True):

        async def behave(peer: Peer, *, resets: bool = resets) -> None:
            await peer.answer(begin_chunked(), chunk(b"one"))
            await asyncio.sleep(0.05)
            if resets:
                peer.reset()

        pieces = []
        async with (
            serve(behave) as server,
            transport.stream("GET", server.url, headers={}) as reply,
        ):
            with pytest.raises(BrokenOff):
                async for piece in reply.body:
                    pieces.append(piece)  # noqa: PERF401
        assert pieces == [b"one"]


async def test_a_stream_that_halts_is_timed_out() -> None:
    """The timeout applies between two pieces. A whole answer may take any time."""

    async def behave(peer: Peer) -> None:
        await peer.answer(begin_chunked())
        for _ in range(10):
            await peer.send(chunk(b"x"))
            await asyncio.sleep(0.12)
        await peer.wait_until_closed()

    transport = Transport(read_timeout_s=1, proxies=False)
    pieces = []
    async with (
        serve(behave) as server,
        transport.stream("GET", server.url, headers={}) as reply,
    ):
        with pytest.raises(TimedOut):
            async for piece in reply.body:
                pieces.append(piece)  # noqa: PERF401
    assert b"".join(pieces) == b"x" * 10
    await transport.close()


async def test_a_slow_reader_is_not_timed_out() -> None:
    """The timeout counts only while the reader waits for the other side."""
    waits_no_more = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.answer(begin_chunked(), chunk(b"one"))
        await waits_no_more.wait()
        await peer.send(chunk(b"two") + LAST)
        await peer.wait_until_closed()

    transport = Transport(read_timeout_s=1, proxies=False)
    async with (
        serve(behave) as server,
        transport.stream("GET", server.url, headers={}) as reply,
    ):
        body = aiter(reply.body)
        assert await anext(body) == b"one"
        await asyncio.sleep(1.2)
        waits_no_more.set()
        assert await anext(body) == b"two"
    await transport.close()


async def test_a_reader_who_lags_slows_the_other_side(transport: Transport) -> None:
    """Unread data are limited in size, and all of it arrives in the end."""
    sent = 0
    total = 40_000_000

    async def behave(peer: Peer) -> None:
        nonlocal sent
        while True:
            await peer.read_request()
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
            sent = 0
            while sent < total:
                await peer.send(b"x" * 100_000)
                sent += 100_000

    async with serve(behave) as server:
        async with transport.stream("GET", server.url, headers={}) as reply:
            await asyncio.sleep(0.2)
            assert sent < total / 2
            size = 0
            async for piece in reply.body:
                assert len(piece) < 1_000_000
                size += len(piece)
        assert size == total
        reply_of_next = await transport.send("GET", server.url, headers={})
        assert len(reply_of_next.body) == total
        assert server.connections == 1


async def test_leaving_a_paused_stream_closes_it(transport: Transport) -> None:
    """The other side also sees it when a slow reader gives up."""
    closed = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                await peer.send(b"x" * 100_000)
        finally:
            closed.set()

    async with serve(behave) as server:
        async with transport.stream("GET", server.url, headers={}):
            await asyncio.sleep(0.1)
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()


async def test_a_whole_answer_to_a_streamed_request(transport: Transport) -> None:
    """A refusal that is not a stream can be read like one."""

    async def behave(peer: Peer) -> None:
        await peer.answer(whole(b"{}", "retry-after: 3", status="429 Too Many Requests"))
        await peer.wait_until_closed()

    async with (
        serve(behave) as server,
        transport.stream("GET", server.url, headers={}) as reply,
    ):
        assert (reply.status, reply.headers["retry-after"]) == (429, "3")
        assert b"".join([piece async for piece in reply.body]) == b"{}"
