"""Reads compressed bodies, which we do not ask for and some servers send."""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from collections.abc import Iterator
from typing import Protocol

# zlib's own words for "a gzip or a zlib header, whichever comes" and for "no header".
_EITHER = 47
_RAW = -15
# A few bytes may decompress to gigabytes, so they are read in pieces of this size.
_PIECE_BYTES_MAX = 256 * 1024
# A member of gzip takes 20 bytes even if it holds nothing.
_MEMBERS_MAX = 1000


class Decoder(Protocol):
    """Reads a compressed body piece by piece."""

    @property
    def is_complete(self) -> bool:
        """Whether the compressed data have come to their own end; none at all have, too."""
        ...

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What `data` adds to the body, in small pieces. Raises `ValueError`."""
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
            # Some servers mean a deflate stream without its header when they say "deflate".
            if self._begun:
                raise
            self._inflater = zlib.decompressobj(_RAW)
            piece = self._inflater.decompress(data, _PIECE_BYTES_MAX)
        self._begun = True
        return piece

    def _open_member(self) -> None:
        """A gzip file may have several members (RFC 1952, 2.2)."""
        self._members += 1
        if self._members > _MEMBERS_MAX:
            raise ValueError(f"its body has more than {_MEMBERS_MAX} members of gzip")
        self._inflater = zlib.decompressobj(_EITHER)


class Brotli:
    """br, by the package brotli, which the server brings."""

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
    """A decoder for a `content-encoding`; None for `identity`. Raises `ValueError`."""
    name = encoding.strip().lower()
    if name in ("gzip", "x-gzip", "deflate"):
        return Inflater()
    if name == "br" and _has_brotli():
        return Brotli()
    if name in ("", "identity"):
        return None
    raise ValueError(f"its content-encoding {encoding!r} is none that was asked for")


def _has_brotli() -> bool:
    """Whether brotli is there, and new enough to decompress in pieces."""
    if importlib.util.find_spec("brotli") is None:
        return False
    decompressor = importlib.import_module("brotli").Decompressor
    return hasattr(decompressor, "can_accept_more_data")
