"""TLS: nothing is sent to a server that cannot prove its identity."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from briggs.transport import BrokenOff, Transport, Unreachable
from tests.transport.servers import Peer, begin_chunked, chunk, serve, whole
from tests.waiting import PATIENCE_S


async def _echo(peer: Peer) -> None:
    while True:
        await peer.send(whole((await peer.read_request()).body))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_trusted_server_is_answered(
    host: str, tls: ssl.SSLContext, transport: Transport
) -> None:
    """Calls share one connection, which names the host and speaks HTTP/1.1."""
    named: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: named.append(name)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    async with serve(_echo, tls=tls) as server:
        url = f"https://{host}:{server.port}/"
        for _ in range(3):
            body = b"x" * 500_000
            assert (await transport.send("POST", url, headers={}, body=body)).body == body
        assert server.connections == 1
    assert named == [host if host == "localhost" else None]


async def test_a_stream_over_tls(tls: ssl.SSLContext, transport: Transport) -> None:
    """Pieces arrive as they are sent, and the server sees when the reader leaves early."""
    closed = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.answer(begin_chunked(), chunk(b"one"))
        await peer.wait_until_closed()
        closed.set()

    async with serve(behave, tls=tls) as server:
        async with transport.stream("GET", server.url, headers={}) as reply:
            assert await anext(aiter(reply.body)) == b"one"
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()


async def test_a_body_until_the_end_over_tls(tls: ssl.SSLContext, transport: Transport) -> None:
    """A server that closes the connection properly has ended its answer."""

    async def behave(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with serve(behave, tls=tls) as server:
        assert (await transport.send("GET", server.url, headers={})).body == b"all of it"


async def test_a_kept_connection_that_was_closed_over_tls(
    tls: ssl.SSLContext, transport: Transport
) -> None:
    """A kept connection that turns out to be closed is replaced, as without TLS."""

    async def behave(peer: Peer) -> None:
        await peer.answer(whole(b"one"))
        await peer.read_request()

    async with serve(behave, tls=tls) as server:
        for number in range(2):
            body = b"%d" % number
            assert (await transport.send("POST", server.url, headers={}, body=body)).body == b"one"
        assert server.connections == 2


async def test_an_unknown_authority_is_refused(
    tls: ssl.SSLContext, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate from an unknown authority is not accepted."""
    monkeypatch.delenv("SSL_CERT_FILE")
    async with serve(_echo, tls=tls) as server:
        with pytest.raises(Unreachable, match="certificate is not trusted"):
            await transport.send("GET", server.url, headers={})


async def test_another_host_s_certificate_is_refused(
    tls: ssl.SSLContext, transport: Transport
) -> None:
    """A certificate must be for the requested host."""
    async with serve(_echo, host="::1", tls=tls) as server:
        with pytest.raises(Unreachable, match=r"certificate is not trusted.*::1"):
            await transport.send("GET", server.url, headers={})


async def test_a_server_without_tls_is_unreachable(transport: Transport) -> None:
    """https never falls back to http."""

    async def behave(peer: Peer) -> None:
        await peer.reader.read(10)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serve(behave) as server:
        with pytest.raises((Unreachable, BrokenOff)):
            await transport.send("GET", server.url.replace("http", "https"), headers={})


async def test_a_handshake_that_halts_is_timed_out() -> None:
    """The connect timeout covers the TLS handshake."""

    async def behave(peer: Peer) -> None:
        await peer.wait_until_closed()

    transport = Transport(connect_timeout_s=0.1, proxies=False)
    async with serve(behave) as server:
        with pytest.raises(Unreachable, match=r"0\.1 s"):
            await transport.send("GET", server.url.replace("http", "https"), headers={})
    await transport.close()
