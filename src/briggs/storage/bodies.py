"""Compresses the bodies of requests and responses with zstd, without changing a byte."""

from __future__ import annotations

import threading
from functools import cache
from importlib.resources import files

from zstandard import (
    DICT_TYPE_FULLDICT,
    DICT_TYPE_RAWCONTENT,
    ZstdCompressionDict,
    ZstdCompressor,
    ZstdDecompressor,
    get_frame_parameters,
)

RAW = 0
ZSTD = 1
"""Each frame contains the number of its dictionary. The first dictionary has none."""

LEVEL = 3
# Dictionaries never change, because old frames need them. A better one is added as a new file.
_FIRST, _NOW = "dictionary_1.txt", "dictionary_2.zdict"


LARGE_BYTES = 1024 * 1024
"""For one record. Memory that was needed to write a larger one is not kept."""


class Bodies:
    """Compresses and expands bodies, from any thread.

    The dictionary contains the format of chat completions, and no text from any. A dictionary
    trained on the record would compress better, but keep pieces of deleted records.
    """

    def __init__(self) -> None:
        self._dictionary = _read(_NOW)
        # The compressors are not safe to share between threads.
        self._local = threading.local()

    def compress(self, body: bytes) -> bytes:
        """Compress to one zstd frame with a checksum."""
        compressor: ZstdCompressor | None = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = self._local.compressor = ZstdCompressor(
                level=LEVEL, dict_data=self._dictionary, write_checksum=True
            )
        frame = compressor.compress(body)
        if len(body) > LARGE_BYTES:
            # Its buffers for this body are as large as the body, and would stay.
            del self._local.compressor
        return frame

    def pack(self, body: bytes, *, organization_id: str) -> bytes:
        """What to store of a body that is to share nothing with others."""
        return self.compress(body)

    def measure(self, frame: bytes) -> int:
        """The size of a frame's body."""
        return get_frame_parameters(frame).content_size

    def expand(self, frame: bytes) -> bytes:
        """Restore the body of a frame."""
        expanders: dict[int, ZstdDecompressor] | None = getattr(self._local, "expanders", None)
        if expanders is None:
            expanders = self._local.expanders = {}
        number = get_frame_parameters(frame).dict_id
        if number not in expanders:
            dictionary = _read(_FIRST) if number == 0 else self._dictionary
            expanders[number] = ZstdDecompressor(dict_data=dictionary)
        return expanders[number].decompress(frame)


@cache
def _read(name: str) -> ZstdCompressionDict:
    content = files("briggs.storage").joinpath(name).read_bytes()
    kind = DICT_TYPE_RAWCONTENT if name == _FIRST else DICT_TYPE_FULLDICT
    dictionary = ZstdCompressionDict(content, dict_type=kind)
    dictionary.precompute_compress(level=LEVEL)
    return dictionary
