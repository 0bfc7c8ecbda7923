"""The proxies in the environment are used, unless the environment excludes a host."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest

from briggs.transport import Transport, Unreachable
from briggs.transport.upstream.proxies import Proxies, Proxy
from tests.transport.servers import Peer, Request, serve, whole


@pytest.mark.parametrize(
    ("host", "exceptions", "excepted"),
    [
        ("api.example", "", False),
        ("api.example", "*", True),
        ("api.example", "other.example", False),
        ("api.example", "api.example", True),
        ("api.example", "other, .example", True),
        ("api.example", "example", True),
        ("api.example", "le", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "[::1]", True),
    ],
)
def test_who_is_excepted(host: str, exceptions: str, excepted: bool) -> None:
    """NO_PROXY can contain names, domains, addresses and networks."""
    proxies = Proxies.from_environment({"HTTP_PROXY": "http://p:1", "NO_PROXY": exceptions})
    assert (proxies.find("http", host) is None) == excepted


def test_what_the_environment_says() -> None:
    """Each scheme has its variable, ALL_PROXY covers both, and lower case wins."""
    proxies = Proxies.from_environment(
        {"http_proxy": "one:81", "HTTP_PROXY": "http://two", "ALL_PROXY": "http://u:p%40@all:3"}
    )
    assert proxies.find("http", "host") == Proxy("one", 81, None)
    assert proxies.find("https", "host") == Proxy("all", 3, "Basic dTpwQA==")
    assert Proxies.from_environment({}).find("http", "host") is None


@pytest.mark.parametrize("url", ["socks5://p:1", "https://p:1", "http://", "http://p:port"])
async def test_a_proxy_that_cannot_be_used_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a proxy cannot be used, the request is never sent directly."""
    monkeypatch.setenv("http_proxy", url)
    monkeypatch.delenv("no_proxy", raising=False)
    transport = Transport()
    with pytest.raises(Unreachable, match="proxy"):
        await transport.send("GET", "http://127.0.0.1:1/", headers={})
    await transport.close()


async def test_http_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy gets the whole URL and its password; `proxies=False` bypasses it."""
    seen: list[Request] = []

    async def behave(peer: Peer) -> None:
        while True:
            seen.append(await peer.read_request())
            await peer.send(whole(b"through"))

    async with serve(behave) as server:
        monkeypatch.setenv("http_proxy", server.url.replace("//", "//user:pass@"))
        monkeypatch.delenv("no_proxy", raising=False)
        transport = Transport()
        for _ in range(2):
            reply = await transport.send("GET", "http://api.example:81/a?b", headers={})
            assert reply.body == b"through"
        assert server.connections == 1
        await transport.close()
        past = Transport(proxies=False)
        await past.send("GET", f"{server.url}/x", headers={})
        await past.close()
    assert seen[0].line == "GET http://api.example:81/a?b HTTP/1.1"
    assert seen[0].headers["host"] == "api.example:81"
    assert seen[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    assert seen[2].line == "GET /x HTTP/1.1"
    assert "proxy-authorization" not in seen[2].headers


async def test_https_goes_through_a_tunnel(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy sees a host and a port, and then only TLS."""
    seen: list[Request] = []

    async def answer(peer: Peer) -> None:
        while True:
            await peer.send(whole((await peer.read_request()).body))

    async def tunnel(peer: Peer) -> None:
        seen.append(await peer.read_request())
        reader, writer = await asyncio.open_connection("127.0.0.1", behind.port)
        await peer.send(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n")
        try:
            await asyncio.gather(_pump(peer.reader, writer), _pump(reader, peer.writer))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async with serve(answer, tls=tls) as behind, serve(tunnel) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        transport = Transport()
        for _ in range(2):
            reply = await transport.send("POST", "https://localhost:444/", headers={}, body=b"x")
            assert reply.body == b"x"
        assert proxy.connections == 1
        await transport.close()
    assert seen[0].line == "CONNECT localhost:444 HTTP/1.1"


@pytest.mark.parametrize("wire", [b"HTTP/1.1 407 Login\r\n\r\n", b"SSH-2.0\r\n\r\n", b""])
async def test_a_tunnel_that_is_refused(wire: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that does not connect makes the host unreachable."""

    async def behave(peer: Peer) -> None:
        await peer.answer(wire)

    async with serve(behave) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        transport = Transport()
        with pytest.raises(Unreachable, match="the proxy"):
            await transport.send("GET", "https://localhost:444/", headers={})
        await transport.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
