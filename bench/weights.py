"""Reads a GGUF file of version 3, and writes it again with other weights.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Q8_0 = 8
BLOCK = 34
"""The bytes of 32 weights in Q8_0: a 16-bit scale, then 8 bits for each."""
_F32, _TEXT, _LIST = 0, 8, 9
_FORMS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}


class Tensor(NamedTuple):
    """Where a tensor lies in a file."""

    name: str
    type: int
    begin: int
    shape: tuple[int, ...]
    """As numpy has it: the last one lies together in the file."""

    @property
    def values(self) -> int:
        return math.prod(self.shape)


class Gguf(NamedTuple):
    """A file that was read."""

    data: bytes
    members: Mapping[str, object]
    """What the file says of the model."""
    infos: int
    """Where the list of tensors begins."""
    alignment: int
    tensors: list[Tensor]


def read_gguf(path: Path) -> Gguf:
    """Read a file."""
    data = path.read_bytes()
    reader = _Reader(data)
    _, _, count, member_count = reader.read("<4sIQQ")
    members = {}
    for _ in range(member_count):
        name = reader.read_text()
        members[name] = reader.read_value(*reader.read("<I"))
    infos = reader.at
    found = []
    for _ in range(count):
        name = reader.read_text()
        [dimensions] = reader.read("<I")
        shape = reader.read(f"<{dimensions}Q")[::-1]
        type, offset = reader.read("<IQ")
        found.append((name, type, offset, shape))
    alignment = int(str(members.get("general.alignment", 32)))
    begin = _align(reader.at, alignment)
    tensors = [Tensor(name, type, begin + offset, shape) for name, type, offset, shape in found]
    return Gguf(data, members, infos, alignment, tensors)


def read_weights(file: Gguf) -> dict[str, NDArray[np.float32]]:
    """The weights of a file with tensors in Q8_0 and 32 bits."""
    return {each.name: _read_tensor(file.data, each) for each in file.tensors}


def _read_tensor(data: bytes, tensor: Tensor) -> NDArray[np.float32]:
    if tensor.type == _F32:
        return np.frombuffer(data, "<f4", tensor.values, tensor.begin).reshape(tensor.shape)
    assert tensor.type == Q8_0, f"{tensor.name} has the type {tensor.type}"
    blocks = np.frombuffer(data, np.uint8, tensor.values // 32 * BLOCK, tensor.begin)
    blocks = blocks.reshape(-1, BLOCK)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    return (blocks[:, 2:].view(np.int8) * scales).reshape(tensor.shape)


def write_weights(file: Gguf, weights: Mapping[str, NDArray[np.float32]], path: Path) -> None:
    """Write a file that says the same of its model and has these weights, in 32 bits."""
    infos, data = b"", bytearray()
    for each in file.tensors:
        name = each.name.encode()
        infos += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(each.shape))
        infos += struct.pack(f"<{len(each.shape)}QIQ", *each.shape[::-1], _F32, len(data))
        data += weights[each.name].astype("<f4").tobytes()
        data += bytes(_align(len(data), file.alignment) - len(data))
    head = file.data[: file.infos] + infos
    path.write_bytes(head.ljust(_align(len(head), file.alignment), b"\0") + data)


def _align(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def read(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self._data, self.at)
        self.at += struct.calcsize(form)
        return found

    def read_text(self) -> str:
        [length] = self.read("<Q")
        self.at += length
        return self._data[self.at - length : self.at].decode()

    def read_value(self, type: int) -> object:
        if type == _TEXT:
            return self.read_text()
        if type == _LIST:
            kind, count = self.read("<IQ")
            return [self.read_value(kind) for _ in range(count)]
        return self.read(f"<{_FORMS[type]}")[0]
