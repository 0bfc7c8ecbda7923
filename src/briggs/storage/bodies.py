"""Requests and responses on disk: a zstd frame each, or as received; the same bytes back."""

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
"""Each frame names its dictionary, by the number that is in it; the first one has none."""

LEVEL = 3
# They are never changed, for what was compressed with one needs it: a better one comes beside.
_FIRST, _NOW = "dictionary_1.txt", "dictionary_2.zdict"


LARGE_BYTES = 1024 * 1024
"""Of one record; what was needed to write a larger one is not kept."""


class Bodies:
    """Compresses and expands, from any thread.

    The dictionary is what chat completions look like, not what anybody said in one: one that
    is trained from the record is smaller still, and keeps pieces of what was deleted.
    """

    def __init__(self) -> None:
        self._dictionary = _read(_NOW)
        # The compressors are not safe to share between threads.
        self._local = threading.local()

    def compress(self, body: bytes) -> bytes:
        """One zstd frame with a checksum."""
        compressor: ZstdCompressor | None = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = self._local.compressor = ZstdCompressor(
                level=LEVEL, dict_data=self._dictionary, write_checksum=True
            )
        frame = compressor.compress(body)
        if len(body) > LARGE_BYTES:
            # What it needed for this one is as large, and would stay.
            del self._local.compressor
        return frame

    def expand(self, frame: bytes) -> bytes:
        """The body that a frame was made of."""
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
