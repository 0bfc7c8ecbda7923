"""Callers' connections, driven by bytes over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator

import httptools
import pytest

from briggs.transport.callers.asgi import Framework, Receive, Scope, Send, answer_by
from briggs.transport.callers.connection import CallerConnection, Patience
from briggs.transport.callers.cycle import Application, Cycle
from briggs.transport.errors import BrokenOff, TimedOut
from tests.waiting import PATIENCE_S

ASK = b"POST /echo?a=%20b HTTP/1.1\r\nHost: here\r\ncontent-length: 5\r\n\r\nhello"
GET = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"


class _Server:
    """What uvicorn knows about its connections."""

    def __init__(self) -> None:
        self.connections: set[CallerConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.total_requests = 0
        self.port = 0


@contextlib.asynccontextmanager
async def serve(
    application: Application,
    *,
    head_s: float = 5,
    body_s: float = 5,
    idle_s: float = 5,
    write_s: float = 5,
) -> AsyncIterator[_Server]:
    """Run an application on a port of its own. No call is left at the end."""
    server = _Server()
    patience = Patience(head_s=head_s, body_s=body_s, idle_s=idle_s, write_s=write_s)
    listener = await asyncio.get_running_loop().create_server(
        lambda: CallerConnection(
            application, server=server, patience=patience, refuse=lambda message: message.encode()
        ),
        "127.0.0.1",
        0,
    )
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for connection in list(server.connections):
            connection.shutdown()
        async with asyncio.timeout(PATIENCE_S):
            while server.connections or server.tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


def by(framework: Framework) -> Application:
    """The application that lets a framework answer."""
    return lambda cycle: answer_by(framework, cycle, state={})


async def send(server: _Server, *pieces: bytes, answers: int | None = None) -> bytes:
    """Read until the connection ends, or so many whole answers have come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.01)
    answer, counting = b"", _Counting()
    parser = httptools.HttpResponseParser(counting)
    async with asyncio.timeout(PATIENCE_S):
        while counting.answers != answers and (piece := await reader.read(65536)):
            answer += piece
            if answers is not None:
                parser.feed_data(piece)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


class _Counting:
    """Counts whole answers, of which `100 Continue` is one."""

    answers = 0

    def on_message_complete(self) -> None:
        self.answers += 1


async def send_all(server: _Server, *pieces: bytes, answers: int = 1) -> bytes:
    """Read so many answers on a connection that stays open."""
    return await send(server, *pieces, answers=answers)


async def read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        piece: bytes = message["body"]
        body += piece
        if not message["more_body"]:
            return body


async def answer(send: Send, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, b"%b:%b" % (scope["method"].encode(), await read(receive)))


async def test_the_scope_is_what_was_asked() -> None:
    """Path, query, headers and addresses are those of ASGI."""
    seen: list[Scope] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope))
        await echo(scope, receive, send)

    async with serve(by(application)) as server:
        await send_all(server, ASK)
        await send_all(server, b"GET http://other.example/a%2Fb HTTP/1.1\r\nhost: x\r\n\r\n")
    first, second = seen
    assert (first["type"], first["method"], first["path"]) == ("http", "POST", "/echo")
    assert (first["query_string"], first["http_version"]) == (b"a=%20b", "1.1")
    assert first["headers"] == [(b"host", b"here"), (b"content-length", b"5")]
    assert first["client"][0] == "127.0.0.1"
    assert first["server"] == ("127.0.0.1", server.port)
    assert (second["path"], second["raw_path"]) == ("/a/b", b"/a%2Fb")


async def test_requests_are_answered_in_their_order() -> None:
    """Requests that come before the first is answered wait, and none is lost."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read(receive)
        await asyncio.sleep(0.05 if body == b"slow!" else 0)
        await answer(send, body)

    slow = ASK.replace(b"hello", b"slow!")
    async with serve(by(application)) as server:
        got = await send_all(server, slow + ASK + ASK[:30], ASK[30:] + slow, answers=4)
        assert server.total_requests == 4
    assert [part.rpartition(b"\n")[2] for part in got.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"slow!",
        b"hello",
        b"hello",
        b"slow!",
    ]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_body_may_come_in_pieces(size: int) -> None:
    """A body is the same, however it is cut or framed."""
    head = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
    framed = head + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    async with serve(by(echo)) as server:
        for whole in (ASK, framed):
            pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
            assert (await send_all(server, *pieces)).endswith(b"\r\n\r\nPOST:hello")


async def test_a_large_body_is_read_as_it_is_taken() -> None:
    """We stop reading while the application lags, and continue when it has caught up."""
    size = 3_000_000

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05)
        await answer(send, b"%d" % len(await read(receive)))

    request = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % size
    async with serve(by(application)) as server:
        assert (await send_all(server, request, bytes(size))).endswith(b"\r\n\r\n%d" % size)


async def test_others_are_answered_between_many_requests_of_one_caller() -> None:
    """Requests that come all at once keep no other caller waiting for all their answers."""
    answered: list[str] = []
    is_over = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        answered.append(scope["path"])
        await answer(send, b"")
        if len(answered) > 1000:
            is_over.set()

    async with serve(by(application)) as server:
        _, other = await asyncio.open_connection("127.0.0.1", server.port)
        _, many = await asyncio.open_connection("127.0.0.1", server.port)
        many.write(GET * 1000)
        other.write(GET.replace(b"/", b"/other", 1))
        await is_over.wait()
        other.close()
        many.close()
    assert answered.index("/other") < 900


async def test_answers_wait_until_the_caller_reads() -> None:
    """A caller who sends many requests and reads no answer gets a few of them written."""
    answered = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal answered
        answered += 1
        await answer(send, b"x" * 1_000_000)

    async with serve(by(application)) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(GET * 200)
        await asyncio.sleep(0.5)
        writer.close()
    assert 0 < answered < 100


async def test_an_answer_without_a_length_is_chunked() -> None:
    """A streamed answer's head is sent with its first piece, and its end is sent."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"three"})

    async with serve(by(application)) as server:
        got = await send_all(server, GET)
        older = await send(server, GET.replace(b"1.1", b"1.0"))
    assert got == (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"
    )
    # A client that does not know chunks reads until the end.
    assert older == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonethree"


@pytest.mark.parametrize(("status", "line"), [(404, b"404 Not Found"), (498, b"498 ")])
async def test_any_status_can_be_answered(status: int, line: bytes) -> None:
    """Statuses that no standard defines have an empty phrase."""

    async def application(cycle: Cycle) -> None:
        cycle.answer(status, [(b"content-length", b"0")], b"")

    async with serve(application) as server:
        assert (await send_all(server, GET)).startswith(b"HTTP/1.1 " + line + b"\r\n")


async def test_no_body_where_none_belongs() -> None:
    """HEAD gets the length of what GET would get, and nothing after it."""
    async with serve(by(echo)) as server:
        got = await send(server, b"HEAD / HTTP/1.1\r\nhost: h\r\n\r\n" + LAST)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n"
    assert got == head % 5 + b"\r\n" + head % 4 + b"connection: close\r\n\r\nGET:"


async def test_nothing_is_asked_behind_the_last_request() -> None:
    """Bytes after the last request of a connection have no effect."""
    asked: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await echo(scope, receive, send)

    async with serve(by(application)) as server:
        await send(server, GET.replace(b"host", b"connection: close\r\nhost") + ASK)
    assert asked == ["/"]


@pytest.mark.parametrize(
    "request_",
    [
        GET.replace(b"host: here", b"host: here\r\nconnection: close"),
        GET.replace(b"1.1", b"1.0"),
    ],
)
async def test_the_last_request_of_a_connection(request_: bytes) -> None:
    """The last request on a connection is answered, and then the connection closes."""
    async with serve(by(echo)) as server:
        got = await send(server, request_ + b"\r\n")
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in got
    assert got.endswith(b"\r\n\r\nGET:")


async def test_a_caller_who_waits_to_be_told_to_go_on() -> None:
    """`Expect: 100-continue` is answered when the body is wanted, and not before."""
    head, _, body = ASK.replace(b"Host", b"expect: 100-continue\r\nHost").partition(b"\r\n\r\n")
    async with serve(by(echo)) as server:
        got = await send_all(server, head + b"\r\n\r\n", body, answers=2)
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert got.endswith(b"POST:hello")


async def test_nobody_changes_to_another_protocol() -> None:
    """An offer to switch protocols is declined: this request and the next get HTTP/1.1 answers."""
    offer = ASK.replace(b"Host", b"connection: upgrade\r\nupgrade: h2c\r\nHost")
    async with serve(by(echo)) as server:
        assert (await send_all(server, offer + ASK, answers=2)).count(b"POST:hello") == 2
        assert (await send_all(server, offer[:-3], offer[-3:])).endswith(b"POST:hello")
        tunnel = b"CONNECT here:80 HTTP/1.1\r\nhost: here\r\n\r\n"
        assert (await send(server, tunnel)).startswith(b"HTTP/1.1 400 ")


async def test_what_is_not_http() -> None:
    """Malformed input gets an error. After a valid request, that one is answered first."""
    async with serve(by(echo)) as server:
        assert (await send(server, b"\x16\x03\x01\x02\x00")).startswith(b"HTTP/1.1 400 ")
        both = await send(server, ASK + b"\x16\x03\x01\x02\x00\r\n\r\n")
    assert both.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"400" not in both


async def test_a_malformed_request_for_a_head() -> None:
    """The answer to HEAD is a head, even if it is an error that has a length."""
    async with serve(by(echo)) as server:
        got = await send(server, b"HEAD /a HTTP/1.1\r\nhost: here\r\nx y: z\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 ")
    assert got.endswith(b"\r\n\r\n")


async def test_a_head_without_an_end() -> None:
    """Headers are limited, so that they cannot fill the memory."""
    async with serve(by(echo)) as server:
        got = await send(server, GET[:-2], *[b"x-more: " + bytes([97]) * 30_000 + b"\r\n"] * 4)
    assert got.startswith(b"HTTP/1.1 400 ")


async def test_connections_that_say_nothing_are_closed() -> None:
    """A silent connection closes before a head, within one and after an answer, each in time."""
    async with serve(by(echo), head_s=0.1, idle_s=0.2) as server:
        assert await send(server) == b""
        assert await send(server, GET[:10]) == b""
        assert (await send(server, GET)).endswith(b"GET:")


async def test_a_body_that_stops_coming() -> None:
    """A body that comes too slowly raises an error, and its answer is still sent."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await read(receive)
        except TimedOut as error:
            await answer(send, str(error).encode(), (b"connection", b"close"))

    async with serve(by(application), body_s=0.1) as server:
        assert (await send(server, ASK[:-1])).endswith(b"came for 0.1 s")


async def test_a_slow_answer_outlasts_every_time() -> None:
    """No timeout applies while the caller waits for the application."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.4)
        await echo(scope, receive, send)

    async with serve(by(application), head_s=0.1, body_s=0.1, idle_s=0.1) as server:
        assert (await send(server, ASK)).endswith(b"POST:hello")


async def test_a_caller_who_reads_slowly_slows_us_down() -> None:
    """At most a little output is buffered for a slow caller."""
    sent = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async with serve(by(application)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
        writer.write(GET)
        await asyncio.sleep(0.2)
        assert sent < 150
        while await reader.read(1_000_000):
            if sent == 200:
                break
        writer.close()
        await writer.wait_closed()


async def test_a_framework_hears_of_a_hang_up() -> None:
    """An application that waits for more input learns that the caller is gone."""
    heard: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await read(receive)
        heard.append((await receive())["type"])
        await answer(send, b"nobody reads this")

    async with serve(by(application)) as server:
        await hang_up(server, ASK)
        await hang_up(server, GET)
    assert heard == ["http.disconnect", "http.disconnect"]


async def test_a_hang_up_cancels_who_watches_for_it() -> None:
    """`on_hang_up` is called before the cancellation, so that the two can be told apart."""
    heard: list[str] = []

    async def application(cycle: Cycle) -> None:
        cycle.watch(lambda: heard.append("hang-up"))
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    async with serve(application) as server:
        await hang_up(server, ASK)
    assert heard == ["hang-up", "cancelled"]


async def hang_up(server: _Server, request: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    await asyncio.sleep(0.05)
    writer.close()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("after", ["nothing", "the head", "a piece"])
async def test_a_defect_is_no_answer(after: str, caplog: pytest.LogCaptureFixture) -> None:
    """A defect is logged and answered with 500, or the connection breaks off in mid-answer."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if after != "nothing":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if after == "a piece":
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
        raise ZeroDivisionError

    async with serve(by(application)) as server:
        got = await send(server, GET)
    assert "ZeroDivisionError" in caplog.text
    if after == "a piece":
        assert not got.endswith(b"0\r\n\r\n")
    else:
        assert got.startswith(b"HTTP/1.1 500 ")


async def test_a_header_cannot_hold_another(caplog: pytest.LogCaptureFixture) -> None:
    """A line break in a header is a defect, wherever it came from."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"", (b"x-text", b"a\r\nset-cookie: b"))

    async with serve(by(application)) as server:
        got = await send(server, GET)
    assert got.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in got
    assert "line break" in caplog.text


CHUNKED = b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n"


async def show(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the names of the headers and the body."""
    names = b",".join(name for name, _ in scope["headers"])
    await answer(send, names + b":" + await read(receive))


async def test_trailers_are_no_headers() -> None:
    """Trailers do not change what the request was admitted for."""
    trailers = b"authorization: Bearer right\r\nhost: other\r\norigin: http://other\r\n"
    request = CHUNKED + b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n"
    async with serve(by(show)) as server:
        for size in (1000, 20):
            pieces = [request[at : at + size] for at in range(0, len(request), size)]
            got = await send_all(server, *pieces)
            assert got.endswith(b"\r\n\r\nhost,transfer-encoding:hello")


@pytest.mark.parametrize("piece", [b"x-late: a\r\n", b"x-late: " + b"a" * 100])
async def test_trailers_have_an_end(piece: bytes) -> None:
    """A caller who sends trailers for ever is refused and cut off."""
    refused: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await read(receive)
        except BrokenOff as error:
            refused.append(str(error))
            await answer(send, str(error).encode())

    async with serve(by(application)) as server:
        got = await send(server, CHUNKED + b"0\r\n" + piece, *[piece * 1000] * 12)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in got
    assert "trailers" in refused[0]


async def test_chunk_extensions_have_an_end() -> None:
    """Chunk extensions have a limit of their own, because they are not body."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await read(receive)
        except BrokenOff as error:
            await answer(send, str(error).encode())

    async with serve(by(application)) as server:
        got = await send(server, CHUNKED + b"5;a=", *[b"b" * 30_000] * 4)
    assert b"chunk extensions" in got


async def drip(server: _Server, begin: bytes, piece: bytes) -> bytes:
    """The answer to a caller who sends a piece every 20 ms, until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(begin)

    async def go_on() -> None:
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(piece)
                await asyncio.sleep(0.02)
                await writer.drain()

    sending = asyncio.create_task(go_on())
    got = b""
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionError):
            while answered := await reader.read(65536):
                got += answered
        # The server sends no more. A caller who continues to send is cut off.
        await sending
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return got


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"", b"\r\n"),
        (GET, b"\r\n"),
        (b"GET / HTTP/1.1\r\nhost: here\r\nx-a: ", b"a"),
        (ASK.replace(b"length: 5", b"length: 5000"), b"a"),
        (CHUNKED, b"1\r\na\r\n"),
        (CHUNKED + b"5;a=", b"a"),
        (CHUNKED + b"5\r\nhello\r\n0\r\nx-late: ", b"a"),
    ],
)
async def test_nobody_is_waited_for_by_the_byte(begin: bytes, piece: bytes) -> None:
    """Each part of a request has its own timeout, which further bytes do not extend."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await read(receive)
            await answer(send, b"whole")
        except TimedOut:
            await answer(send, b"too slow")

    async with serve(by(application), head_s=0.4, body_s=0.4, idle_s=0.4) as server:
        got = await drip(server, begin, piece)
    assert got.endswith((b"whole", b"too slow")) or got == b""
    assert got.endswith(b"too slow") == (begin.startswith(b"POST"))


async def test_a_slow_body_may_come_at_the_least_rate() -> None:
    """A body may take longer than the timeout of one part, if it comes fast enough."""
    pieces = [b"a" * 40] * 25
    request = ASK.replace(b"length: 5", b"length: 1005")
    async with serve(by(echo), body_s=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        for piece in pieces:
            await asyncio.sleep(0.03)
            writer.write(piece)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        await writer.wait_closed()


async def test_a_beginning_that_waits_behind_a_slow_answer() -> None:
    """A head that began while another request was answered has its own timeout too."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.3)
        await echo(scope, receive, send)

    async with serve(by(application), head_s=0.1, idle_s=5) as server:
        got = await send(server, GET + GET[:10])
    assert got.endswith(b"GET:")


async def test_a_body_that_is_not_wanted() -> None:
    """An answer before the end of the body is the last: it is read, and the sender is cut off."""

    async def application(cycle: Cycle) -> None:
        cycle.answer(401, [(b"content-length", b"2")], b"no")

    request = ASK.replace(b"length: 5", b"length: 5000000")
    async with serve(application) as server:
        got = await send(server, request, *[bytes(500_000)] * 8)
        slow = await drip(server, request, b"a")
    for answered in (got, slow):
        assert answered.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        assert b"connection: close\r\n" in answered
        assert answered.endswith(b"no")


async def test_an_answer_that_is_not_read() -> None:
    """A caller who reads nothing of an answer is cut off, and its buffer is freed."""

    async def application(cycle: Cycle) -> None:
        body = bytes(20_000_000)
        cycle.answer(200, [(b"content-length", b"%d" % len(body))], body)

    async with serve(application, write_s=0.1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
        writer.write(GET)
        async with asyncio.timeout(PATIENCE_S):
            while not server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        del reader


HEAD = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD.replace(b"host: here\r\n", b""), 400),
        (HEAD.replace(b"host: here", b"host: here\r\nhost: there"), 400),
        (HEAD.replace(b"host: here", b"host: here\r\nhost: here"), 400),
        (HEAD.replace(b"host", b"origin: http://a\r\norigin: http://b\r\nhost"), 400),
        (HEAD.replace(b"host", b"authorization: a\r\nauthorization: b\r\nhost"), 400),
        (HEAD.replace(b"host", b"accept: a\r\naccept: b\r\nhost"), 200),
        (HEAD.replace(b"host", b"expect: 200-ok\r\nhost"), 417),
        (HEAD.replace(b"host", b"transfer-encoding: gzip, chunked\r\nhost"), 501),
        (HEAD.replace(b"1.1", b"2.0"), 505),
        (HEAD.replace(b"/ ", b"* "), 200),
        (HEAD.replace(b"/ ", b"http:// "), 400),
        (HEAD.replace(b"/ ", b"http://a@here/ "), 400),
        (HEAD.replace(b"host: here\r\n", b"").replace(b"1.1", b"1.0"), 200),
        (HEAD.replace(b"host", b"content-length: " + b"0" * 5000 + b"\r\nhost"), 200),
        (HEAD.replace(b"host", b"content-length: " + b"9" * 5000 + b"\r\nhost"), 400),
        (HEAD.replace(b"host", b"x-a: " + b"a" * 70_000 + b"\r\nhost"), 400),
    ],
)
async def test_heads_that_are_refused(
    request_: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Each invalid request has its own status and message, and ends its connection."""
    async with serve(by(echo)) as server:
        got = await send(server, request_, answers=1 if status == 200 else None)
    assert got.startswith(b"HTTP/1.1 %d " % status), got
    if status != 200:
        assert b"\r\nconnection: close\r\n" in got
        assert b"\r\nx-request-id: req_" in got
    assert not caplog.records


async def test_a_refusal_waits_for_its_turn() -> None:
    """A refusal is sent after the answer to the previous request, not into it."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read(receive)
        await asyncio.sleep(0.05)
        await answer(send, body)

    refused = HEAD.replace(b"host", b"expect: 200-ok\r\nhost")
    async with serve(by(application)) as server:
        got = await send(server, ASK + refused)
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"417"]


async def test_a_target_that_names_a_host() -> None:
    """If the target names a host, that one counts, whatever `Host` says."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"%b %b" % (scope["raw_path"], dict(scope["headers"])[b"host"]))

    target = HEAD.replace(b"/ ", b"http://evil.example:80/a?b ")
    async with serve(by(application)) as server:
        assert (await send_all(server, target)).endswith(b"\r\n\r\n/a evil.example:80")


@pytest.mark.parametrize(
    ("version", "connection"), [(b"1.1", b"Upgrade, close"), (b"1.0", b"Upgrade")]
)
async def test_an_offer_changes_nothing_else(version: bytes, connection: bytes) -> None:
    """An offer to switch protocols keeps the request's version and its `Connection: close`."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one"})

    offer = HEAD.replace(b"host", b"connection: %b\r\nupgrade: h2c\r\nhost" % connection)
    async with serve(by(application)) as server:
        got = await send(server, offer.replace(b"1.1", version))
    assert b"connection: close" in got
    assert (b"transfer-encoding" in got) == (version == b"1.1")


async def test_values_have_no_space_around_them() -> None:
    """White space around a header's value is not part of it (RFC 9110, 5.5)."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, dict(scope["headers"])[b"x-a"] + b".")

    async with serve(by(application)) as server:
        got = await send_all(server, HEAD.replace(b"host", b"x-a: \t a b \t \r\nhost"))
    assert got.endswith(b"\r\n\r\na b.")


async def test_a_call_leaves_nothing_for_the_collector() -> None:
    """A call's objects are freed when it ends, without the garbage collector."""
    left: list[weakref.ref[object]] = []

    class Witness:
        """Keeps references to its arguments, as an exchange does."""

        def __init__(self, cycle: Cycle) -> None:
            self.cycle = cycle
            cycle.watch(self.hang_up)
            left.append(weakref.ref(self))

        def hang_up(self) -> None: ...

    async def application(cycle: Cycle) -> None:
        Witness(cycle)
        await cycle.wait()
        cycle.answer(200, [(b"content-length", b"5")], cycle.take())

    gc.collect()
    gc.disable()
    try:
        async with serve(application) as server:
            for _ in range(3):
                assert (await send_all(server, ASK)).endswith(b"hello")
        assert [one() for one in left] == [None, None, None]
    finally:
        gc.enable()
