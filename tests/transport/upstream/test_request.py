"""A request is sent exactly as given, or not at all."""

from __future__ import annotations

import pytest

from briggs.transport import Transport, Unreachable
from briggs.transport.upstream.proxies import Proxies
from briggs.transport.upstream.request import encode_head
from tests.transport.servers import Peer, Request, serve, whole


def _encode(method: str, url: str, body: bytes | None = None, **headers: str) -> bytes:
    return encode_head(method, url, tuple(headers.items()), proxies=Proxies()).join(body)


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("http://host", "GET / HTTP/1.1", "host"),
        ("http://HOST:80/", "GET / HTTP/1.1", "host"),
        ("https://host:443/a", "GET /a HTTP/1.1", "host"),
        ("https://host:80/a/b/", "GET /a/b/ HTTP/1.1", "host:80"),
        ("http://host:8080/openai/v1/models", "GET /openai/v1/models HTTP/1.1", "host:8080"),
        ("http://host?a=b&c=%20", "GET /?a=b&c=%20 HTTP/1.1", "host"),
        ("http://host/a?b=/c?d#fragment", "GET /a?b=/c?d HTTP/1.1", "host"),
        ("http://[::1]:99/x", "GET /x HTTP/1.1", "[::1]:99"),
        ("http://host/caf\xe9/%2F", "GET /caf%C3%A9/%2F HTTP/1.1", "host"),
        ("http://b\xfccher.example/", "GET / HTTP/1.1", "xn--bcher-kva.example"),
    ],
)
def test_where_a_url_leads(url: str, line: str, host: str) -> None:
    """The path and the query are sent unchanged, and the Host header is correct."""
    head = _encode("GET", url).decode().split("\r\n")
    assert head[:2] == [line, f"host: {host}"]


@pytest.mark.parametrize(
    "url",
    [
        "host/path",
        "/path",
        "ftp://host/",
        "http://",
        "http:///path",
        "http://host:port/",
        "http://host:99999/",
        "http://[::1/",
        "http://user:secret@host/",
        "http://host/a b",
        "http://host/a\r\nx-evil: 1",
        "http://host/\x7f",
        "http://host\t/",
    ],
)
async def test_a_url_that_cannot_be_used_is_refused(url: str, transport: Transport) -> None:
    """An invalid URL is an error with a reason, and without the password."""
    with pytest.raises(Unreachable) as raised:
        await transport.send("GET", url, headers={})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", "Bearer secret\r\nx-evil: 1"),
        ("authorization", "Bearer secret\n"),
        ("authorization", "secret\0"),
        ("authorization", "secret\u20ac"),
        ("x-evil\r\nx-more", "1"),
        ("x evil", "1"),
        ("", "1"),
        ("x:", "1"),
        ("Content-Length", "0"),
        ("transfer-encoding", "chunked"),
    ],
)
async def test_headers_cannot_be_injected(name: str, value: str, transport: Transport) -> None:
    """A header that could be read as another, or as two, is refused and not shown."""
    async with serve(_never) as server:
        with pytest.raises(Unreachable) as raised:
            await transport.send("GET", server.url, headers={name: value})
        assert "secret" not in str(raised.value)
        assert server.connections == 0


async def test_a_method_is_one_word(transport: Transport) -> None:
    """A request line cannot be injected by the method."""
    with pytest.raises(Unreachable):
        await transport.send("GET / HTTP/1.1\r\nx:", "http://127.0.0.1:1/", headers={})


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", None, None),
        ("DELETE", None, None),
        ("POST", None, "0"),
        ("PUT", b"", "0"),
        ("POST", b"body", "4"),
        ("GET", b"body", "4"),
    ],
)
async def test_the_length_of_a_body(
    method: str, body: bytes | None, length: str | None, transport: Transport
) -> None:
    """A body has a length. So does an empty one, if the method expects a body."""
    seen = await _see(transport, method, body, {})
    assert (seen.headers.get("content-length"), seen.body) == (length, body or b"")


async def test_headers_are_sent(transport: Transport) -> None:
    """Each header is sent once, in lower case. The caller's win; no compression is requested."""
    seen = await _see(transport, "GET", None, {"X-One": " 1 ", "x-caf\xe9"[:5]: "\xe9"})
    assert seen.headers["x-one"] == "1"
    assert seen.headers["x-caf"] == "\xe9"
    assert seen.headers["accept-encoding"] == "identity"
    seen = await _see(transport, "GET", None, {"Host": "other", "Accept-Encoding": "gzip"})
    assert seen.headers == {"host": "other", "accept-encoding": "gzip"}


async def test_headers_that_change_are_sent_as_they_are_now(transport: Transport) -> None:
    """The cache of encoded heads has no visible effect, even if the caller's dict changes."""
    headers = {"x-key": "one"}
    bodies = []

    async def behave(peer: Peer) -> None:
        while True:
            await peer.send(whole((await peer.read_request()).headers["x-key"].encode()))

    async with serve(behave) as server:
        for key in ("one", "two", "one"):
            headers["x-key"] = key
            bodies.append((await transport.send("GET", server.url, headers=headers)).body)
    assert bodies == [b"one", b"two", b"one"]


async def test_a_request_is_one_write(transport: Transport) -> None:
    """The head and the body are sent together."""
    reads = []

    async def behave(peer: Peer) -> None:
        reads.append(await peer.reader.read(65536))
        await peer.send(whole(b""))

    async with serve(behave) as server:
        await transport.send("POST", server.url, headers={}, body=b"x" * 1000)
    assert len(reads) == 1
    assert reads[0].endswith(b"\r\n\r\n" + b"x" * 1000)


async def _see(
    transport: Transport, method: str, body: bytes | None, headers: dict[str, str]
) -> Request:
    seen: list[Request] = []

    async def behave(peer: Peer) -> None:
        seen.append(await peer.read_request())
        await peer.send(whole(b""))

    async with serve(behave) as server:
        await transport.send(method, server.url, headers=headers, body=body)
    return seen[0]


async def _never(peer: Peer) -> None:
    raise AssertionError("nothing is sent")
