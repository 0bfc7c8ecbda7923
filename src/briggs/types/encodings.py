"""Decodes bodies that must be JSON in UTF-8 (RFC 8259, 8.1), and explains why one is not."""

from __future__ import annotations

import codecs
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.errors import InvalidJson, InvalidRequest

_MARKS = {
    codecs.BOM_UTF8: "begins with a byte order mark: send UTF-8 without one",
    # UTF-32's marks begin with UTF-16's, so they come first.
    codecs.BOM_UTF32_LE: "is UTF-32: send UTF-8",
    codecs.BOM_UTF32_BE: "is UTF-32: send UTF-8",
    codecs.BOM_UTF16_LE: "is UTF-16: send UTF-8",
    codecs.BOM_UTF16_BE: "is UTF-16: send UTF-8",
    b"\x1f\x8b": "is compressed with gzip: send the header 'Content-Encoding: gzip' with it",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: send it uncompressed, or with gzip",
}
_SPACE = b" \t\r\n"


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a body that must be a JSON object. Raises `InvalidJson`, `InvalidRequest`."""
    try:
        value = json.decode(body)
    except msgspec.DecodeError as error:
        raise refuse_json(body, error) from error
    if not isinstance(value, dict):
        raise InvalidRequest("The request body must be a JSON object.")
    return value


def refuse_json(body: bytes, error: Exception) -> InvalidJson:
    """The error for a request body that cannot be decoded. `error` is the decoder's."""
    for mark, problem in _MARKS.items():
        if body.startswith(mark):
            return InvalidJson(f"The request body {problem}.")
    if not body.strip(_SPACE):
        return InvalidJson("The request body is empty, which is not valid JSON: send an object.")
    # JSON begins with an ASCII character, so its other bytes in UTF-16 or UTF-32 are zeros.
    if b"\0" in body[:4]:
        width = 32 if body[:4].count(0) == 3 else 16
        return InvalidJson(f"The request body is UTF-{width}: send UTF-8.")
    return InvalidJson(f"The request body is not valid JSON: {error}.")
