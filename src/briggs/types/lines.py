"""Reads lines from bytes that arrive in pieces."""

from __future__ import annotations

LINE_BYTES_MAX = 32 * 1024 * 1024


class LineTooLarge(ValueError):
    """One line is larger than the reader accepts."""


class LineReader:
    """Turns the pieces of a stream into its lines, which end with LF."""

    def __init__(self, *, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._line_bytes_max = line_bytes_max
        self._begun = bytearray()
        """The line that has not ended yet."""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in this piece, without their LF. Raises `LineTooLarge`."""
        *lines, begun = data.split(b"\n")
        if lines and self._begun:
            lines[0] = bytes(self._begun) + lines[0]
            self._begun.clear()
        self._begun += begun
        if len(self._begun) > self._line_bytes_max:
            raise LineTooLarge(f"a line is larger than {self._line_bytes_max} bytes")
        return lines
