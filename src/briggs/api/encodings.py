"""Decompresses request bodies, within the same limits as other bodies."""

from __future__ import annotations

import asyncio

from briggs.transport.decoding import Decoder, create_decoder
from briggs.types.errors import InvalidRequest, RequestTooLarge, UnsupportedEncoding

# Text rarely compresses to less than a twentieth. Small bodies may grow to any ratio.
_RATIO_MAX = 100
_FREE_BYTES = 1024 * 1024
_THREAD_BYTES_MIN = 16 * 1024


async def decompress(body: bytes, *, encoding: bytes, bytes_max: int) -> bytes:
    """Decompress a body by its `content-encoding`.

    Raises `UnsupportedEncoding`, `RequestTooLarge`, `InvalidRequest`.
    """
    try:
        decoder = create_decoder(encoding.decode("latin-1"))
    except ValueError as error:
        raise UnsupportedEncoding(
            f"Briggs does not read Content-Encoding '{encoding.decode('latin-1')[:100]}': send "
            "the request body as it is, or compressed with gzip.",
            headers={"accept-encoding": "gzip, deflate"},
        ) from error
    if decoder is None:
        return body
    if len(body) < _THREAD_BYTES_MIN:
        return _decompress(body, decoder, bytes_max)
    return await asyncio.to_thread(_decompress, body, decoder, bytes_max)


def _decompress(body: bytes, decoder: Decoder, bytes_max: int) -> bytes:
    ratio_bytes_max = max(_FREE_BYTES, len(body) * _RATIO_MAX)
    pieces, size = [], 0
    try:
        for piece in decoder.decode(body):
            pieces.append(piece)
            size += len(piece)
            if size > bytes_max:
                raise RequestTooLarge(
                    f"The request body is larger than {bytes_max} bytes when it is decompressed: "
                    "send less, or raise limits.body_bytes_max in briggs.toml."
                )
            if size > ratio_bytes_max:
                raise RequestTooLarge(
                    f"The request body grows to more than {_RATIO_MAX} times its size when it is "
                    "decompressed: send it as it is."
                )
    except ValueError as error:
        raise InvalidRequest(f"The request body cannot be read: {error}.") from error
    if not decoder.is_complete:
        raise InvalidRequest("The compressed request body ends early: send all of it.")
    return b"".join(pieces)
