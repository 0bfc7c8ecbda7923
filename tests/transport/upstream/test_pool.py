"""Connections are kept and reused, and no call ever gets the answer of another."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from briggs.transport import BrokenOff, TimedOut, Transport, Unreachable
from briggs.transport.upstream.pool import Pool
from tests.transport.servers import Peer, begin_chunked, chunk, serve, whole
from tests.waiting import PATIENCE_S, until


async def _echo(peer: Peer) -> None:
    """Answers each request with its own body."""
    while True:
        request = await peer.read_request()
        await peer.send(whole(request.body))


async def test_a_connection_is_used_again(transport: Transport) -> None:
    """Consecutive calls share one connection."""
    async with serve(_echo) as server:
        for number in range(20):
            body = str(number).encode()
            assert (await transport.send("POST", server.url, headers={}, body=body)).body == body
        assert server.connections == 1


async def test_two_hundred_calls_at_once_get_their_own_answers(transport: Transport) -> None:
    """However many calls there are at once, each gets its own answer."""

    async def call(number: int) -> None:
        body = b"%d;" % number * (1 + number * 37 % 3000)
        async with asyncio.timeout(PATIENCE_S):
            reply = await transport.send("POST", server.url, headers={}, body=body)
        assert reply.body == body

    async with serve(_echo) as server:
        for _ in range(2):
            await asyncio.gather(*(call(number) for number in range(200)))
        assert server.connections <= 200


async def test_a_burst_does_not_flood_a_short_queue(transport: Transport) -> None:
    """A server that queues five connections and accepts slowly is not overwhelmed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _EchoHandler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    try:
        async with asyncio.timeout(PATIENCE_S):
            replies = await asyncio.gather(
                *(transport.send("POST", url, headers={}, body=b"%d" % n) for n in range(150))
            )
        assert [reply.body for reply in replies] == [b"%d" % n for n in range(150)]
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


class _EchoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Silences the access log."""


@pytest.mark.parametrize("number", range(2))
async def test_who_gives_up_waiting_leaves_the_line(number: int, transport: Transport) -> None:
    """A call that is cancelled while it waits for a connection takes none from the others."""
    async with serve(_echo) as server:
        calls = [
            asyncio.ensure_future(
                transport.send("POST", server.url, headers={}, body=b"%d" % place)
            )
            for place in range(40)
        ]
        await asyncio.sleep(0.001 * number)
        for call in calls[::2]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for place in range(1, 40, 2):
            assert calls[place].result().body == b"%d" % place


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("resets", [False, True])
async def test_a_connection_that_was_closed_meanwhile_is_replaced(
    streams: bool, resets: bool, transport: Transport
) -> None:
    """If a kept connection turns out to be closed, the request is sent again."""
    bodies: list[bytes] = []

    async def behave(peer: Peer) -> None:
        await peer.answer(whole(b"first"))
        # The second request is taken, and then the server is gone.
        with contextlib.suppress(EOFError):
            bodies.append((await peer.read_request()).body)
            if server.connections == 1:
                if resets:
                    peer.reset()
                return
            await peer.send(whole(b"second"))

    async with serve(behave) as server:
        assert (await transport.send("POST", server.url, headers={})).body == b"first"
        if streams:
            async with transport.stream("POST", server.url, headers={}, body=b"x") as reply:
                body = b"".join([piece async for piece in reply.body])
        else:
            body = (await transport.send("POST", server.url, headers={}, body=b"x")).body
        # The new connection answers its first request.
        assert body == b"first"
        assert server.connections == 2
    assert bodies == [b"x"]


async def test_calls_that_wait_for_a_connection_fail_together() -> None:
    """The error of one attempt to connect goes to every call that waits for a connection."""
    transport = Transport(proxies=False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        calls = (transport.send("GET", url, headers={}) for _ in range(50))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unreachable}
    await transport.close()


async def test_closing_does_not_wait_for_a_connection_that_is_being_made() -> None:
    """A host that does not react does not delay `close`."""
    transport = Transport(connect_timeout_s=30, proxies=False)

    async def behave(peer: Peer) -> None:
        await peer.wait_until_closed()

    async with serve(behave) as server:
        url = server.url.replace("http", "https")
        tasks = [asyncio.create_task(transport.send("GET", url, headers={})) for _ in range(70)]
        await asyncio.sleep(0.05)
        async with asyncio.timeout(PATIENCE_S):
            await transport.close()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unreachable}


async def test_a_request_that_waits_less_for_a_connection() -> None:
    """A request may have a shorter timeout than others, and does not shorten theirs."""
    transport = Transport(connect_timeout_s=0.5, proxies=False)

    async def behave(peer: Peer) -> None:
        await peer.wait_until_closed()

    async with serve(behave) as server:
        url = server.url.replace("http", "https")
        patient = asyncio.create_task(transport.send("GET", url, headers={}))
        with pytest.raises(Unreachable, match=r"^no connection within 0\.05 s$"):
            await transport.send("GET", url, headers={}, connect_timeout_s=0.05)
        with pytest.raises(Unreachable, match=r"^no connection within 0\.5 s$"):
            await patient
    await transport.close()


async def test_a_connection_closed_while_idle_is_not_used(transport: Transport) -> None:
    """A connection that is known to be closed is not tried."""

    async def behave(peer: Peer) -> None:
        await peer.answer(whole(b"only"))

    async with serve(behave) as server:
        for _ in range(3):
            assert (await transport.send("GET", server.url, headers={})).body == b"only"
            await asyncio.sleep(0.02)
        assert server.connections == 3


async def test_a_new_connection_that_breaks_is_not_tried_again(transport: Transport) -> None:
    """A request that the server may have acted on is not sent again."""

    async def behave(peer: Peer) -> None:
        await peer.read_request()

    async with serve(behave) as server:
        with pytest.raises(BrokenOff):
            await transport.send("POST", server.url, headers={}, body=b"x")
        assert server.connections == 1


async def test_a_kept_connection_is_tried_again_only_once(transport: Transport) -> None:
    """If the second connection breaks too, the call fails."""

    async def behave(peer: Peer) -> None:
        if server.connections == 1:
            await peer.answer(whole(b"first"))
        await peer.read_request()

    async with serve(behave) as server:
        await transport.send("POST", server.url, headers={})
        with pytest.raises(BrokenOff):
            await transport.send("POST", server.url, headers={})
        assert server.connections == 2


async def test_an_answer_that_has_begun_is_not_asked_for_again(transport: Transport) -> None:
    """One byte of an answer shows that the server acted on the request."""

    async def behave(peer: Peer) -> None:
        await peer.answer(whole(b"first"))
        await peer.answer(b"H")

    async with serve(behave) as server:
        await transport.send("POST", server.url, headers={})
        with pytest.raises(BrokenOff):
            await transport.send("POST", server.url, headers={})
        assert server.connections == 1


@pytest.mark.parametrize(
    "wire",
    [
        whole(b"one", "connection: close"),
        b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\none",
        whole(b"one") + b"more",
        whole(b"one") + whole(b"another's"),
        b"HTTP/1.1 204 No Content\r\n\r\n" + whole(b"another's"),
    ],
)
async def test_some_answers_end_their_connection(wire: bytes, transport: Transport) -> None:
    """A connection that announces its end, or received too much, is not kept."""

    async def behave(peer: Peer) -> None:
        await peer.answer(wire)
        await peer.wait_until_closed()

    async with serve(behave) as server:
        for _ in range(2):
            assert (await transport.send("GET", server.url, headers={})).body in (b"one", b"")
        assert server.connections == 2


async def test_what_comes_unasked_is_no_answer(transport: Transport) -> None:
    """An answer that comes between two calls is not given to the second."""
    answered, closed = asyncio.Event(), asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.answer(whole(b"one"))
        await answered.wait()
        await peer.send(whole(b"nobody's"))
        await peer.wait_until_closed()
        closed.set()

    async with serve(behave) as server:
        assert (await transport.send("GET", server.url, headers={})).body == b"one"
        answered.set()
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()
        assert (await transport.send("GET", server.url, headers={})).body == b"one"
        assert server.connections == 2


async def test_an_early_answer_to_a_large_request_ends_its_connection(
    transport: Transport,
) -> None:
    """The unsent rest of a request that was answered early does not disturb the next call."""

    async def behave(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(whole(b"too large", status="413 Content Too Large"))
        await peer.wait_until_closed()

    async with serve(behave) as server:
        for _ in range(2):
            body = bytes(20_000_000)
            reply = await transport.send("POST", server.url, headers={}, body=body)
            assert (reply.status, reply.body) == (413, b"too large")
        assert server.connections == 2


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", whole(b"12345")[:-2]])
async def test_a_call_that_is_cancelled_closes_its_connection(
    begun: bytes, transport: Transport
) -> None:
    """The server sees at once that a call was cancelled, and the next call gets its own answer."""
    is_begun, closed = asyncio.Event(), asyncio.Event()

    async def behave(peer: Peer) -> None:
        request = await peer.read_request()
        if request.body == b"next":
            await peer.send(whole(b"next"))
        else:
            await peer.send(begun)
            is_begun.set()
            await peer.wait_until_closed()
            closed.set()

    async with serve(behave) as server:
        task = asyncio.create_task(transport.send("POST", server.url, headers={}, body=b"one"))
        await until(is_begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()
        reply = await transport.send("POST", server.url, headers={}, body=b"next")
        assert reply.body == b"next"


async def test_calls_that_are_cancelled_at_any_moment_leave_the_pool_clean(
    transport: Transport,
) -> None:
    """Whenever calls are cancelled, the others get their own answers."""

    async def call(number: int) -> None:
        body = b"%d" % number * 999
        task = asyncio.create_task(transport.send("POST", server.url, headers={}, body=body))
        if number % 3:
            await asyncio.sleep(number % 17 / 4000)
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            assert (await task).body == body

    async with serve(_echo) as server:
        for _ in range(5):
            await asyncio.gather(*(call(number) for number in range(60)))


async def test_a_server_that_says_nothing_is_timed_out() -> None:
    """The time for an answer is counted from the last byte that came."""

    async def behave(peer: Peer) -> None:
        await peer.read_request()
        for byte in whole(b"slow"):
            await peer.send(bytes([byte]))
            await asyncio.sleep(0.03)
        await peer.read_request()
        await peer.send(whole(b"never")[:-1])
        await peer.wait_until_closed()

    transport = Transport(read_timeout_s=1, proxies=False)
    loop = asyncio.get_running_loop()
    async with serve(behave) as server:
        assert (await transport.send("GET", server.url, headers={})).body == b"slow"
        began = loop.time()
        with pytest.raises(TimedOut, match=r"\b1 s"):
            await transport.send("GET", server.url, headers={})
        assert loop.time() - began > 0.99
    await transport.close()


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    """An unused connection is closed after a while."""
    pool = Pool(connect_timeout_s=1, read_timeout_s=9, idle_timeout_s=0.05, idle_connections_max=2)
    transport = _with_pool(pool)
    async with serve(_echo) as server:
        await transport.send("GET", server.url, headers={})
        assert server.connections == 1
        await until(lambda: server.open_connections == 0)
    await transport.close()


async def test_only_so_many_connections_are_kept() -> None:
    """After a burst of calls, most connections are closed."""
    pool = Pool(connect_timeout_s=1, read_timeout_s=9, idle_timeout_s=9, idle_connections_max=2)
    transport = _with_pool(pool)
    async with serve(_echo) as server:
        calls = (transport.send("GET", server.url, headers={}) for _ in range(10))
        await asyncio.gather(*calls)
        await until(lambda: server.open_connections == 2)
    await transport.close()


async def test_what_cannot_be_reached(transport: Transport) -> None:
    """Every failure to connect is `Unreachable`, and its message says why."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(Unreachable, match=r"^Connection refused$"):
            await transport.send("GET", url, headers={})
    with pytest.raises(Unreachable, match=r"(?i)name"):
        await transport.send("GET", "http://nowhere.invalid/", headers={})
    with pytest.raises(Unreachable):
        await transport.send("GET", f"http://{'x' * 70}.invalid/", headers={})


async def test_a_connection_that_is_not_accepted_is_timed_out() -> None:
    """A host that does not react at all is unreachable after the time for connecting."""
    transport = Transport(connect_timeout_s=0.1, proxies=False)
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        # The server's queue is full, so the next connection gets no reaction.
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        with pytest.raises(Unreachable, match=r"no connection within 0\.1 s"):
            await transport.send("GET", f"http://127.0.0.1:{port}/", headers={})
    await transport.close()


async def test_the_next_address_is_tried(transport: Transport) -> None:
    """`localhost` may be two addresses; a server on either is found."""
    async with serve(_echo) as server:
        url = f"http://localhost:{server.port}/"
        assert (await transport.send("GET", url, headers={})).status == 200


async def test_ipv6(transport: Transport) -> None:
    """A host in brackets is an IPv6 address."""
    async with serve(_echo, host="::1") as server:
        reply = await transport.send("POST", server.url, headers={}, body=b"six")
        assert reply.body == b"six"


async def test_closing_ends_the_calls_in_flight() -> None:
    """A closed transport leaves no call waiting and opens no connection."""

    is_begun = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(begin_chunked() + chunk(b"x"))
        is_begun.set()
        await peer.wait_until_closed()

    transport = Transport(proxies=False)
    async with serve(behave) as server:
        task = asyncio.create_task(transport.send("GET", server.url, headers={}))
        await until(is_begun.is_set)
        await transport.close()
        with pytest.raises(BrokenOff):
            await task
        with pytest.raises(Unreachable, match="closed"):
            await transport.send("GET", server.url, headers={})


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_closing_ends_the_calls_that_connect(scheme: str) -> None:
    """A connection that was being opened is not left open."""

    async def behave(peer: Peer) -> None:
        await peer.wait_until_closed()

    for delay_s in (0, 0.001, 0.02):
        transport = Transport(connect_timeout_s=0.1, proxies=False)
        async with serve(behave) as server:
            url = server.url.replace("http", scheme)
            task = asyncio.create_task(transport.send("GET", url, headers={}))
            await asyncio.sleep(delay_s)
            await transport.close()
            with pytest.raises((BrokenOff, Unreachable)):
                await task


def _with_pool(pool: Pool) -> Transport:
    transport = Transport(proxies=False)
    transport._pool = pool
    return transport
