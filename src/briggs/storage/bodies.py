"""Requests and responses on disk: a zstd frame each, or as received; the same bytes back."""

from __future__ import annotations

import threading
from importlib.resources import files

from zstandard import (
    DICT_TYPE_RAWCONTENT,
    ZstdCompressionDict,
    ZstdCompressor,
    ZstdDecompressor,
)

RAW = 0
ZSTD = 1
"""With `dictionary_1.txt`, which is never changed: a better one gets a number of its own."""

LEVEL = 3


class Bodies:
    """Compresses and expands, from any thread.

    The dictionary is what chat completions look like, not what anybody said in one: one that
    is trained from the record is smaller still, and keeps pieces of what was deleted.
    """

    def __init__(self) -> None:
        content = files("briggs.storage").joinpath("dictionary_1.txt").read_bytes()
        self._dictionary = ZstdCompressionDict(content, dict_type=DICT_TYPE_RAWCONTENT)
        self._dictionary.precompute_compress(level=LEVEL)
        # The compressors are not safe to share between threads.
        self._local = threading.local()

    def compress(self, body: bytes) -> bytes:
        """One zstd frame with a checksum."""
        compressor: ZstdCompressor | None = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = self._local.compressor = ZstdCompressor(
                level=LEVEL, dict_data=self._dictionary, write_checksum=True
            )
        return compressor.compress(body)

    def expand(self, frame: bytes) -> bytes:
        """The body that a frame was made of."""
        decompressor: ZstdDecompressor | None = getattr(self._local, "decompressor", None)
        if decompressor is None:
            decompressor = self._local.decompressor = ZstdDecompressor(dict_data=self._dictionary)
        return decompressor.decompress(frame)
