"""Splits a file into its rows: JSON lines, one JSON document, or CSV. Only one row is in memory."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple, Self

import msgspec

from briggs.types import json

ROW_BYTES_MAX = 32 * 1024 * 1024
"""A longer row is reported, and left out. The server takes no larger body by default."""
DOCUMENT_BYTES_MAX = 256 * 1024 * 1024
"""The largest file that is one object. Such a file must be read whole."""

_PIECE = 1 << 18
_LISTS = ("data", "observations")
"""The members of one object that have its rows: a page of an API, and a download of a trace."""
_BOM = b"\xef\xbb\xbf"
_LOOKED_AT = 1024
"""The bytes at the beginning of a file that show whether it is text."""
_OTHERS = {
    codecs.BOM_UTF16_LE: "the file is UTF-16: save it as UTF-8",
    codecs.BOM_UTF16_BE: "the file is UTF-16: save it as UTF-8",
    b"\x1f\x8b": "the file is compressed: unpack it with gunzip",
    b"\x28\xb5\x2f\xfd": "the file is compressed: unpack it with unzstd",
    b"PK\x03\x04": "the file is compressed: unpack it with unzip",
    b"PAR1": "the file is Parquet: export JSON lines or CSV instead",
}
"""How files of other kinds begin."""


class FileRow(NamedTuple):
    """A row of a file: the line where it begins, and its bytes, its cells, or its problem."""

    line: int
    raw: bytes = b""
    """A row of JSON."""
    cells: dict[str, Any] | None = None
    """A row of CSV, by the names of its columns."""
    problem: str = ""

    def decode(self) -> dict[str, Any]:
        """The row as an object. Raises `ValueError`."""
        if self.cells is not None:
            return self.cells
        try:
            value = json.decode(self.raw)
        except msgspec.DecodeError as error:
            raise ValueError(f"it is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise ValueError("it is not an object")
        return value


def read_rows(file: IO[bytes], advance: Callable[[int], None]) -> Iterator[FileRow]:
    """The rows of a file. `advance` is told how many bytes were read."""
    begin = file.read(_PIECE)
    if problem := _find_other_kind(begin):
        yield FileRow(1, problem=problem)
        return
    file.seek(len(_BOM) if begin.startswith(_BOM) else 0)
    first = begin.removeprefix(_BOM).lstrip()[:1]
    if first == b"[":
        yield from _read_array(file, advance)
    elif first == b"{":
        yield from _read_lines(file, advance)
    elif first:
        yield from _read_table(file, advance)


def _find_other_kind(begin: bytes) -> str:
    """What a file is that has no text in UTF-8; empty if it may have."""
    for mark, problem in _OTHERS.items():
        if begin.startswith(mark):
            return problem
    return "the file is no text in UTF-8" if b"\0" in begin[:_LOOKED_AT] else ""


def _read_lines(file: IO[bytes], advance: Callable[[int], None]) -> Iterator[FileRow]:
    begin = file.tell()
    for number, line in _split(file, advance):
        row = FileRow(number, problem=_TOO_LONG) if line is None else FileRow(number, line)
        if number == 1 and not row.problem:
            rows = _read_whole(file, begin, line or b"")
            if rows is not None:
                yield from rows
                return
        if row.problem or row.raw.strip():
            yield row


_TOO_LONG = f"it is longer than {ROW_BYTES_MAX // 1024 // 1024} MB"


def _split(file: IO[bytes], advance: Callable[[int], None]) -> Iterator[tuple[int, bytes | None]]:
    """The lines with their numbers. None for one that is too long."""
    number = 0
    while line := file.readline(ROW_BYTES_MAX + 1):
        number += 1
        advance(len(line))
        if len(line) <= ROW_BYTES_MAX:
            yield number, line.rstrip(b"\r\n")
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(_PIECE)
            advance(len(line))
        yield number, None


def _read_whole(file: IO[bytes], begin: int, line: bytes) -> list[FileRow] | None:
    """The rows of a file that is one object, which may have many lines. None for JSON lines."""
    place = file.tell()
    try:
        value = json.decode(line)
    except msgspec.DecodeError:
        file.seek(begin)
        whole = file.read(DOCUMENT_BYTES_MAX)
        try:
            value = json.decode(whole)
        except msgspec.DecodeError:
            file.seek(place)
            return None
    for name in _LISTS if isinstance(value, dict) else ():
        if isinstance(rows := value.get(name), list):
            return [FileRow(1, json.encode(each)) for each in rows]
    file.seek(place)
    return None


_TOKENS = re.compile(rb'["\\{}\[\]]')


def _read_array(file: IO[bytes], advance: Callable[[int], None]) -> Iterator[FileRow]:
    """The objects of an array, one after the other."""
    depth, in_text, escaped = 0, False, -1
    base, line = 0, 1
    row, row_line, is_long = bytearray(), 1, False
    while piece := file.read(_PIECE):
        advance(len(piece))
        start = 0
        for token in _TOKENS.finditer(piece):
            place, mark = base + token.start(), token[0]
            if place == escaped:
                continue
            if in_text:
                escaped = place + 1 if mark == b"\\" else -1
                in_text = mark != b'"'
                continue
            if mark == b'"':
                in_text = True
            elif mark in b"{[":
                depth += 1
                if depth == 2:
                    start = token.start()
                    row_line, is_long = line + piece.count(b"\n", 0, start), False
                    row.clear()
            elif mark in b"}]":
                depth -= 1
                if depth == 1:
                    row += piece[start : token.end()]
                    problem = _TOO_LONG if is_long or len(row) > ROW_BYTES_MAX else ""
                    yield FileRow(row_line, b"" if problem else bytes(row), problem=problem)
                    row.clear()
        if depth > 1:
            row += piece[start:]
            if len(row) > ROW_BYTES_MAX:
                is_long = True
                row.clear()
        base, line = base + len(piece), line + piece.count(b"\n")
    if depth:
        yield FileRow(line, problem="the file ends in the middle of its list")


def _read_table(file: IO[bytes], advance: Callable[[int], None]) -> Iterator[FileRow]:
    csv.field_size_limit(ROW_BYTES_MAX)
    lines = _TextLines(_split(file, advance))
    reader = csv.reader(lines)
    names: list[str] = []
    while True:
        begin = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield FileRow(begin, problem=str(error))
            continue
        if cells is None:
            return
        if not names:
            names = cells
        elif len(cells) == len(names):
            yield FileRow(begin, cells=dict(zip(names, cells, strict=True)))
        elif cells:
            problem = f"it has {len(cells)} cells, and the header has {len(names)}"
            yield FileRow(begin, problem=problem)


class _TextLines:
    """The lines of a table as text. It goes on after a line that is too long."""

    def __init__(self, lines: Iterator[tuple[int, bytes | None]]) -> None:
        self._lines = lines
        self.number = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if line is None:
            raise csv.Error(_TOO_LONG)
        return line.decode("utf-8", "replace").replace("\0", "") + "\n"
