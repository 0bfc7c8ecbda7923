"""An answer never takes more memory than its limit, however it is sent."""

from __future__ import annotations

import gzip
import math
import random
import time
import zlib
from collections.abc import Sequence

import brotli
import pytest

from briggs.transport import BrokenOff, TooLarge, Transport
from briggs.transport.decoding import create_decoder
from briggs.transport.upstream.exchange import AnswerReader, UpstreamExchange
from tests.transport.servers import LAST, Peer, begin_chunked, chunk, chunked, serve, whole
from tests.transport.upstream.test_exchange import _NoLine

MEBIBYTE = 1024 * 1024


def read(pieces: Sequence[bytes], *, bytes_max: float, whole: bool = True) -> UpstreamExchange:
    """Feed an exchange with these pieces."""
    exchange = UpstreamExchange(
        _NoLine(), AnswerReader(), method="GET", whole=whole, bytes_max=bytes_max
    )
    for piece in pieces:
        if exchange.complete or exchange.error:
            break
        exchange.feed(piece)
    exchange.release()
    return exchange


BODY = b'{"content": "' + b"0123456789" * 100 + b'"}'
LIMITED = {
    "content-length": whole(BODY),
    "chunked": chunked(BODY[:500], BODY[500:]),
    "small chunks": chunked(*(bytes([byte]) for byte in BODY)),
    "gzip": whole(gzip.compress(BODY), "content-encoding: gzip"),
    "br": whole(brotli.compress(BODY), "content-encoding: br"),
}


@pytest.mark.parametrize("name", LIMITED)
def test_an_answer_may_be_as_large_as_the_limit_and_no_larger(name: str) -> None:
    """A body at the limit is accepted, and one byte more is refused."""
    exchange = read([LIMITED[name]], bytes_max=len(BODY))
    assert exchange.complete
    assert exchange.take() == BODY
    exchange = read([LIMITED[name]], bytes_max=len(BODY) - 1)
    assert isinstance(exchange.error, TooLarge)
    assert not exchange.complete


def test_a_length_that_is_too_large_is_refused_before_the_body_comes() -> None:
    """An announced length above the limit is refused at once."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"
    exchange = read([head], bytes_max=1000)
    assert isinstance(exchange.error, TooLarge)


def test_a_small_answer_that_decompresses_to_a_large_one_is_refused() -> None:
    """A decompression bomb is read up to the ratio, and no more of it is ever in memory."""
    bomb = gzip.compress(b" " * (64 * MEBIBYTE))
    exchange = read([whole(bomb, "content-encoding: gzip")], bytes_max=math.inf, whole=False)
    assert isinstance(exchange.error, TooLarge)
    assert exchange.size < 100 * len(bomb) + 2 * MEBIBYTE
    exchange = read([whole(bomb, "content-encoding: gzip")], bytes_max=math.inf)
    assert isinstance(exchange.error, TooLarge)
    assert exchange.size == 0
    assert exchange.error.beginning == b" " * 64 * 1024


def test_a_small_answer_may_decompress_to_much_more() -> None:
    """The ratio applies only to large bodies, because short texts repeat themselves too."""
    body = b"a" * MEBIBYTE
    exchange = read([whole(gzip.compress(body), "content-encoding: gzip")], bytes_max=math.inf)
    assert exchange.take() == body


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"x" * 10_000_000)),
        ("deflate", zlib.compress(b"x" * 10_000_000)),
        ("br", brotli.compress(b"x" * 10_000_000)),
    ],
)
def test_what_is_compressed_comes_in_small_pieces(encoding: str, packed: bytes) -> None:
    """A body decompresses in small pieces, which together are the whole body."""
    decoder = create_decoder(encoding)
    assert decoder is not None
    sizes = [len(piece) for piece in decoder.decode(packed)]
    assert sum(sizes) == 10_000_000
    assert max(sizes) <= MEBIBYTE
    assert decoder.is_complete


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_is_compressed_may_be_cut_anywhere(size: int) -> None:
    """A compressed body may arrive in pieces of any size."""
    body = b"".join(b"%d," % number for number in range(100_000))
    packed = gzip.compress(body[:1000]) + gzip.compress(body[1000:])
    decoder = create_decoder("gzip")
    assert decoder is not None
    cut = [packed[place : place + size] for place in range(0, len(packed), size)]
    assert b"".join(piece for one in cut for piece in decoder.decode(one)) == body
    assert decoder.is_complete


def test_members_of_gzip_are_counted() -> None:
    """Empty gzip members take time, so their number is limited."""
    decoder = create_decoder("gzip")
    assert decoder is not None
    with pytest.raises(ValueError, match="members"):
        list(decoder.decode(gzip.compress(b"") * 2000))


def test_members_of_gzip_before_a_large_one_take_no_time() -> None:
    """What follows a member is not copied for each member."""
    text = random.Random(1).randbytes(30 * MEBIBYTE)
    packed = gzip.compress(b"") * 900 + gzip.compress(text, 0)
    decoder = create_decoder("gzip")
    assert decoder is not None
    began = time.process_time()
    assert b"".join(decoder.decode(packed)) == text
    assert time.process_time() - began < 2


@pytest.mark.parametrize("encoding", ["gzip, gzip", "zstd", "x", "gzip,br"])
def test_encodings_that_nobody_asked_for_are_refused(encoding: str) -> None:
    """Content encodings that we did not ask for are refused."""
    exchange = read([whole(b"x", f"content-encoding: {encoding}")], bytes_max=1000)
    assert isinstance(exchange.error, BrokenOff)


FLOODS = {
    "fields": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000 + b"\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000,
    "extensions": begin_chunked() + chunk(b" ", ";" + "x" * 1000) * 10_000,
    "trailers": begin_chunked() + b"0\r\n" + b"x-more: and more\r\n" * 20_000,
}


@pytest.mark.parametrize("name", FLOODS)
def test_what_is_no_body_is_bounded(name: str) -> None:
    """Endless fields, interim answers, chunk extensions and trailers end in an error."""
    flood = FLOODS[name]
    pieces = [flood[place : place + 10_000] for place in range(0, len(flood), 10_000)]
    exchange = read(pieces, bytes_max=MEBIBYTE)
    assert isinstance(exchange.error, BrokenOff)


def test_trailers_are_not_kept() -> None:
    """Trailers are not read, and take no memory."""
    reader = AnswerReader()
    exchange = UpstreamExchange(_NoLine(), reader, method="GET", whole=True)
    exchange.feed(begin_chunked() + chunk(b"{}") + b"0\r\n" + b"x-more: more\r\n" * 1000)
    assert reader._fields == []
    exchange.release()


def test_small_pieces_are_joined_as_they_come() -> None:
    """Millions of tiny pieces are joined, because a list takes many times their size."""
    exchange = read([begin_chunked(), *[chunk(b"ab") * 1000] * 100], bytes_max=math.inf)
    assert len(exchange._pieces) <= 200
    exchange = read([chunked(*[b"ab"] * 100_000)], bytes_max=math.inf)
    assert exchange.take() == b"ab" * 100_000


async def test_one_request_may_have_a_limit_of_its_own(transport: Transport) -> None:
    """The limit can be set per request, for short lists and for large downloads."""

    async def behave(peer: Peer) -> None:
        for _ in range(2):
            await peer.answer(whole(BODY))

    async with serve(behave) as server:
        reply = await transport.send("GET", server.url, headers={}, answer_bytes_max=math.inf)
        assert reply.body == BODY
        with pytest.raises(TooLarge):
            await transport.send("GET", server.url, headers={}, answer_bytes_max=100)


async def test_a_stream_ends_at_the_limit(transport: Transport) -> None:
    """What came before the limit is handed over, and then the connection is closed."""
    piece = b": still here\n" * 1000

    async def behave(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(begin_chunked())
        for _ in range(1000):
            await peer.send(chunk(piece))
        await peer.send(LAST)

    size = 0
    async with serve(behave) as server:
        with pytest.raises(TooLarge):
            async with transport.stream(
                "GET", server.url, headers={}, answer_bytes_max=MEBIBYTE
            ) as reply:
                async for data in reply.body:
                    size += len(data)
    assert MEBIBYTE // 2 < size <= MEBIBYTE
