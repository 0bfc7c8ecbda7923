"""Whatever bytes come, the result is the answer that was sent, or an error."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.transport import BrokenOff, Reply, Transport
from briggs.transport.upstream.exchange import AnswerReader, UpstreamExchange
from tests.transport.servers import LAST, Peer, begin_chunked, chunk, chunked, serve, whole

BODY = b'{"content": "\xe2\x82\xac 5", "more": [1, 2, 3]}'
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
TRAILERS = b"0;last=1\r\nexpires: never\r\nx-kind: trailer\r\n\r\n"
WIRES = {
    "content-length": whole(BODY, "x-kind: whole"),
    "chunked": chunked(BODY[:5], BODY[5:6], BODY[6:], headers=("x-kind: whole",)),
    "extensions": chunked(BODY, headers=("x-kind: whole",), extension=';a=1;b="two"'),
    "trailers": begin_chunked("x-kind: whole") + chunk(BODY) + TRAILERS,
    "until the end": b"HTTP/1.1 200 OK\r\nx-kind: whole\r\n\r\n" + BODY,
    "interim": INTERIM + whole(BODY, "X-Kind:whole  "),
    "gzip": whole(gzip.compress(BODY), "content-encoding: gzip", "x-kind: whole"),
    "gzip of two members": chunked(
        gzip.compress(BODY[:7]) + gzip.compress(BODY[7:]),
        headers=("content-encoding: x-gzip", "x-kind: whole"),
    ),
    "deflate": whole(zlib.compress(BODY), "content-encoding: Deflate", "x-kind: whole"),
    "http/1.0": b"HTTP/1.0 200 OK\r\nx-kind: whole\r\n\r\n" + BODY,
}


class _NoLine:
    """Exchanges that are fed by hand have no connection."""

    def create_future(self) -> asyncio.Future[bool]:
        raise AssertionError("nobody waits")

    def touch(self) -> None: ...
    def resume(self) -> None: ...
    def abandon(self, exchange: UpstreamExchange) -> None: ...


def _read(pieces: Sequence[bytes], *, method: str = "GET", ended: bool = True) -> UpstreamExchange:
    exchange = UpstreamExchange(_NoLine(), AnswerReader(), method=method, whole=True)
    for piece in pieces:
        if exchange.complete or exchange.error:
            break
        exchange.feed(piece)
    if ended and not exchange.complete:
        exchange.end()
    exchange.release()
    return exchange


@given(st.sampled_from(sorted(WIRES)), st.data())
def test_any_split_gives_the_whole_answer(name: str, data: st.DataObject) -> None:
    """An answer does not depend on how the network cuts it."""
    wire = WIRES[name]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=20)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    exchange = _read(pieces)
    assert exchange.error is None
    assert exchange.complete
    assert (exchange.status, exchange.headers["x-kind"]) == (200, "whole")
    assert exchange.take() == BODY
    # An interim answer and a trailer have headers of their own.
    assert not exchange.headers.keys() & {"link", "expires"}


@pytest.mark.parametrize("name", WIRES)
def test_an_answer_that_is_cut_anywhere_is_broken_off(name: str) -> None:
    """A part of an answer is never taken for the whole, unless only the connection's end tells."""
    wire = WIRES[name]
    for length in range(len(wire)):
        exchange = _read([wire[:length]] if length else [])
        if exchange.begun and exchange.ends_with_connection:
            assert exchange.complete
        else:
            assert isinstance(exchange.error, BrokenOff), length
            assert not exchange.complete


@pytest.mark.parametrize("name", WIRES)
async def test_answers_come_byte_by_byte(name: str, transport: Transport) -> None:
    """Through a real socket, one byte a write, the answer is the same."""

    async def behave(peer: Peer) -> None:
        await peer.answer(*(bytes([byte]) for byte in WIRES[name]))
        if "HTTP/1.0" in str(WIRES[name][:8]) or name == "until the end":
            return
        await peer.wait_until_closed()

    async with serve(behave) as server:
        reply = await transport.send("GET", server.url, headers={})
    assert reply.status == 200
    assert reply.body == BODY
    assert reply.headers["x-kind"] == "whole"


async def test_headers_have_lower_names_and_are_joined(transport: Transport) -> None:
    """Header names are in lower case, and a repeated header becomes one list."""
    reply = await _ask(transport, whole(b"", "X-One: 1", "x-one: 2", "Empty:"))
    assert reply.headers["x-one"] == "1, 2"
    assert reply.headers["empty"] == ""


async def test_headers_of_compressed_answers_speak_of_what_is_handed_over(
    transport: Transport,
) -> None:
    """The `content-encoding` and `content-length` of the compressed body are not shown."""
    reply = await _ask(transport, WIRES["gzip"])
    assert not reply.headers.keys() & {"content-encoding", "content-length"}


async def test_deflate_without_its_header_is_read(transport: Transport) -> None:
    """Some servers send a bare deflate stream, and every browser reads it."""
    packer = zlib.compressobj(wbits=-15)
    raw = packer.compress(BODY) + packer.flush()
    assert (await _ask(transport, whole(raw, "content-encoding: deflate"))).body == BODY


def test_a_body_that_changes_its_compression_is_broken_off() -> None:
    """The first bytes of a stream are enough to see that it has no header."""
    packer = zlib.compressobj(wbits=-15)
    raw = packer.compress(BODY) + packer.flush()
    begun = chunked(gzip.compress(BODY)[:20], headers=("content-encoding: gzip",))
    exchange = _read([begun.removesuffix(LAST), chunk(raw) + LAST])
    assert isinstance(exchange.error, BrokenOff)


@pytest.mark.parametrize(
    ("method", "wire"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n"),
    ],
)
async def test_answers_without_a_body(method: str, wire: bytes, transport: Transport) -> None:
    """If an answer can have no body, none is waited for, and the next call gets its own answer."""
    replies = iter([wire, whole(b"next")])

    async def behave(peer: Peer) -> None:
        while True:
            await peer.answer(next(replies))

    async with serve(behave) as server:
        reply = await transport.send(method, server.url, headers={})
        assert reply.body == b""
        assert (await transport.send("GET", server.url, headers={})).body == b"next"
        assert server.connections == 1


async def test_redirects_are_answers(transport: Transport) -> None:
    """Redirects are not followed, so no key is sent to another address."""
    wire = whole(b"moved", "location: http://127.0.0.1:1/", status="307 Temporary Redirect")
    reply = await _ask(transport, wire)
    assert (reply.status, reply.headers["location"]) == (307, "http://127.0.0.1:1/")


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        whole(b"no gzip at all", "content-encoding: gzip"),
        whole(gzip.compress(BODY)[:-4], "content-encoding: gzip"),
        whole(BODY, "content-encoding: br"),
        b"HTTP/1.1 200 OK\r\n" + b"x-more: and more\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 300_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
        begin_chunked() + b"1;" + b"x" * 300_000,
        begin_chunked() + b"0\r\n" + b"x-more: and more\r\n" * 20_000,
    ],
    ids=lambda wire: str(wire[:60]),
)
async def test_what_is_no_answer_is_broken_off(wire: bytes, transport: Transport) -> None:
    """Garbage is an error at once, and its connection is closed, whatever follows."""

    async def behave(peer: Peer) -> None:
        await peer.answer(wire)
        await peer.wait_until_closed()

    async with serve(behave) as server:
        with pytest.raises(BrokenOff):
            await transport.send("GET", server.url, headers={})
        with pytest.raises(BrokenOff):
            async with transport.stream("GET", server.url, headers={}) as reply:
                async for _ in reply.body:
                    pass


def test_what_comes_after_the_end_is_no_part_of_it() -> None:
    """Bytes after an answer close the connection, and the answer stays valid."""
    heads = [("GET", whole(BODY)), ("HEAD", whole(b"")), ("HEAD", whole(b"12345")[:-5])]
    for surplus in (b"x", b"12345", b"HTTP/1.1 2", whole(b"another"), LAST):
        for method, wire in heads:
            exchange = _read([wire + surplus], method=method)
            assert exchange.complete
            assert exchange.error is None
            assert not exchange.keeps_open


async def _ask(transport: Transport, wire: bytes) -> Reply:
    async def behave(peer: Peer) -> None:
        await peer.answer(wire)
        await peer.wait_until_closed()

    async with serve(behave) as server:
        return await transport.send("GET", server.url, headers={})
