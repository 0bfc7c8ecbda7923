"""Reads compressed bodies. We never ask for compression, but some servers send it."""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from collections.abc import Iterator
from typing import Protocol

# zlib's window bits: 47 accepts a gzip or a zlib header, -15 expects no header.
_EITHER = 47
_RAW = -15
# A few bytes may decompress to gigabytes, so we read at most this many bytes at a time.
_PIECE_BYTES_MAX = 256 * 1024
# Even an empty gzip member takes 20 bytes.
_MEMBERS_MAX = 1000


class Decoder(Protocol):
    """Reads a compressed body piece by piece."""

    @property
    def is_complete(self) -> bool:
        """Whether the compressed data have reached their end, or none have come at all."""
        ...

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the bytes of the body that `data` adds, in small pieces. Raises `ValueError`."""
        ...


class Inflater:
    """gzip and deflate."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_EITHER)
        self._begun = False
        self._members = 1

    @property
    def is_complete(self) -> bool:
        return self._inflater.eof or not self._begun

    def decode(self, data: bytes) -> Iterator[bytes]:
        # Whatever zlib has not read yet is copied at each step.
        for begin in range(0, len(data), _PIECE_BYTES_MAX):
            yield from self._decode(data[begin : begin + _PIECE_BYTES_MAX])

    def _decode(self, data: bytes) -> Iterator[bytes]:
        try:
            while data or self._begun:
                piece = self._inflate(data)
                if piece:
                    yield piece
                if self._inflater.eof:
                    data = self._inflater.unused_data
                    if not data:
                        return
                    self._open_member()
                else:
                    data = self._inflater.unconsumed_tail
                    if not data and len(piece) < _PIECE_BYTES_MAX:
                        return
        except zlib.error as error:
            raise ValueError(f"its body cannot be decompressed: {error}") from error

    def _inflate(self, data: bytes) -> bytes:
        try:
            piece = self._inflater.decompress(data, _PIECE_BYTES_MAX)
        except zlib.error:
            # Some servers say "deflate" and send a deflate stream without the zlib header.
            if self._begun:
                raise
            self._inflater = zlib.decompressobj(_RAW)
            piece = self._inflater.decompress(data, _PIECE_BYTES_MAX)
        self._begun = True
        return piece

    def _open_member(self) -> None:
        """Start the next member: a gzip file may have several (RFC 1952, 2.2)."""
        self._members += 1
        if self._members > _MEMBERS_MAX:
            raise ValueError(f"its body has more than {_MEMBERS_MAX} gzip members")
        self._inflater = zlib.decompressobj(_EITHER)


class Brotli:
    """br, by the brotli package, which the server extra installs."""

    def __init__(self) -> None:
        module = importlib.import_module("brotli")
        self._decompressor = module.Decompressor()
        self._error: type[Exception] = module.error
        self._begun = False

    @property
    def is_complete(self) -> bool:
        return self._decompressor.is_finished() or not self._begun

    def decode(self, data: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(data)
        limit = _PIECE_BYTES_MAX
        try:
            piece: bytes = self._decompressor.process(data, output_buffer_limit=limit)
            while piece:
                yield piece
                piece = self._decompressor.process(b"", output_buffer_limit=limit)
        except self._error as error:
            raise ValueError(f"its body cannot be decompressed: {error}") from error


def create_decoder(encoding: str) -> Decoder | None:
    """Create a decoder for a `content-encoding`; None for `identity`. Raises `ValueError`."""
    name = encoding.strip().lower()
    if name in ("gzip", "x-gzip", "deflate"):
        return Inflater()
    if name == "br" and _has_brotli():
        return Brotli()
    if name in ("", "identity"):
        return None
    raise ValueError(f"its content-encoding {encoding!r} is not one that we asked for")


def _has_brotli() -> bool:
    """Whether brotli is installed, in a version that can decompress in pieces."""
    if importlib.util.find_spec("brotli") is None:
        return False
    decompressor = importlib.import_module("brotli").Decompressor
    return hasattr(decompressor, "can_accept_more_data")
