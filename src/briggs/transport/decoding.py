"""Reads compressed bodies, which we do not ask for and some servers send."""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from typing import Protocol

# zlib's own words for "a gzip or a zlib header, whichever comes" and for "no header".
_EITHER = 47
_RAW = -15


class Decoder(Protocol):
    """Reads a compressed body piece by piece."""

    @property
    def is_complete(self) -> bool:
        """Whether the compressed data have come to their own end; none at all have, too."""
        ...

    def decode(self, data: bytes) -> bytes:
        """What `data` adds to the body. Raises `ValueError`."""
        ...


class Inflater:
    """gzip and deflate."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_EITHER)
        self._begun = False

    @property
    def is_complete(self) -> bool:
        return self._inflater.eof or not self._begun

    def decode(self, data: bytes) -> bytes:
        try:
            return self._inflate(data)
        except zlib.error as error:
            raise ValueError(f"its body cannot be decompressed: {error}") from error

    def _inflate(self, data: bytes) -> bytes:
        try:
            decoded = self._inflater.decompress(data)
        except zlib.error:
            # Some servers mean a deflate stream without its header when they say "deflate".
            if self._begun:
                raise
            self._inflater = zlib.decompressobj(_RAW)
            decoded = self._inflater.decompress(data)
        self._begun = self._begun or bool(data)
        while rest := self._inflater.unused_data:
            # A gzip file may have several members (RFC 1952, 2.2).
            self._inflater = zlib.decompressobj(_EITHER)
            decoded += self._inflater.decompress(rest)
        return decoded


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

    def decode(self, data: bytes) -> bytes:
        self._begun = self._begun or bool(data)
        try:
            decoded: bytes = self._decompressor.process(data)
        except self._error as error:
            raise ValueError(f"its body cannot be decompressed: {error}") from error
        return decoded


def create_decoder(encoding: str) -> Decoder | None:
    """A decoder for a `content-encoding`; None for `identity`. Raises `ValueError`."""
    name = encoding.strip().lower()
    if name in ("gzip", "x-gzip", "deflate"):
        return Inflater()
    if name == "br" and importlib.util.find_spec("brotli") is not None:
        return Brotli()
    if name in ("", "identity"):
        return None
    raise ValueError(f"its content-encoding {encoding!r} is none that was asked for")
