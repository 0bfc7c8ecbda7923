"""Reads a GGUF file's chat template and fingerprint without loading the model.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
from pathlib import Path
from typing import BinaryIO

MAGIC = b"GGUF"
_KEY = b"tokenizer.chat_template"
_TEXT = struct.pack("<I", 8)
# The key and the type of its value, as in the file: a text follows its length.
_TEMPLATE = struct.pack("<Q", len(_KEY)) + _KEY + _TEXT
# Before it comes the name of the architecture. Its value is a 32-bit number, of type 4.
_POOLING = b".pooling_type" + struct.pack("<I", 4)
METADATA_BYTES_MAX = 128 * 1024 * 1024
"""A template is searched for in this many bytes. Vocabularies may come before it."""
TEMPLATE_BYTES_MAX = 1024 * 1024
_PIECE_BYTES = 64 * 1024
_PIECES = 256


class NotGguf(ValueError):
    """The file is not a GGUF file. The message gives the reason."""


def read_template(path: str) -> str | None:
    """The chat template of a file; None if it has none. Raises `NotGguf`, `OSError`."""
    with Path(path).open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise NotGguf("it does not begin with the letters GGUF")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start = data.find(_TEMPLATE, 0, METADATA_BYTES_MAX) + len(_TEMPLATE)
            if start < len(_TEMPLATE):
                return None
            [length] = struct.unpack("<Q", data[start : start + 8].ljust(8, b"\0"))
            if length > TEMPLATE_BYTES_MAX:
                raise NotGguf(f"its chat template claims to have {length} bytes")
            return data[start + 8 : start + 8 + length].decode("utf-8", "replace")


def has_pooling(path: str) -> bool:
    """Whether a file says how its tokens become one vector, as those for embeddings do.

    Raises `OSError`.
    """
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        return data.find(_POOLING, 0, METADATA_BYTES_MAX) >= 0


def print_file(path: str, *, template: str | None) -> str:
    """Eight hexadecimal digits that change with the file and the template. Raises `OSError`.

    For speed, a file of more than 16 MiB is read in 256 places only.
    """
    digest = hashlib.blake2b((template or "").encode(), digest_size=4)
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(struct.pack("<Q", size))
        _update(digest, file, size=size)
    return digest.hexdigest()


def _update(digest: hashlib.blake2b, file: BinaryIO, *, size: int) -> None:
    if size <= _PIECES * _PIECE_BYTES:
        digest.update(file.read(size))
        return
    for piece in range(_PIECES):
        file.seek((size - _PIECE_BYTES) * piece // (_PIECES - 1))
        digest.update(file.read(_PIECE_BYTES))
