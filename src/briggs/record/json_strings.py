"""Changes the strings and the long numbers in JSON, and leaves every other byte as it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from briggs.types import json

DEPTH_MAX = 8
"""How deep JSON in the strings of JSON is looked at."""
OPAQUE_BYTES = 512
"""A longer string of base64 is no text."""

_VALUE = re.compile(
    rb'"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\w.+-])\d{13,19}(?![\w.])',
    re.DOTALL,
)
_OPAQUE = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")


def is_json(body: bytes) -> bool:
    """Whether a body is JSON."""
    try:
        json.check(body)
    except msgspec.DecodeError:
        return False
    return True


def list_strings(body: bytes, *, escaped_only: bool = False, depth: int = 0) -> Iterator[bytes]:
    """The strings in JSON, keys too, as UTF-8, its long numbers, and those of JSON in strings.

    A string of base64 or a data URL is left out. What is only nearly JSON is read as far as it is.
    With `escaped_only`, only those that are written with a backslash are listed.
    """
    for value in _VALUE.findall(body):
        if escaped_only and b"\\" not in value:
            continue
        text = _read(value)
        if text is not None:
            yield text
            if depth < DEPTH_MAX and _may_be_json(text):
                yield from list_strings(text, escaped_only=escaped_only, depth=depth + 1)


def change_strings(body: bytes, change: Callable[[bytes], bytes], *, depth: int = 0) -> bytes:
    """Apply `change` to what `list_strings` lists. A number that is changed becomes a string."""

    def replace(match: re.Match[bytes]) -> bytes:
        text = _read(match[0])
        if text is None:
            return match[0]
        changed = text
        if depth < DEPTH_MAX and _may_be_json(text):
            changed = change_strings(text, change, depth=depth + 1)
            if not is_json(text):
                changed = change(changed)
        else:
            changed = change(text)
        return match[0] if changed == text else write_string(changed)

    return _VALUE.sub(replace, body)


def write_string(text: bytes) -> bytes:
    """A text in UTF-8 as a string of JSON. Halves of characters become escapes."""
    return json.encode_plain(text.decode("utf-8", "surrogatepass"))


def _read(value: bytes) -> bytes | None:
    """The text of a value, as UTF-8 in which halves of characters may stand alone.

    None for one that has data, such as an image, and no text.
    """
    if not value.startswith(b'"'):
        return value
    text = value[1:-1]
    if b"\\" in text:
        try:
            decoded = json.decode(value)
        except (msgspec.DecodeError, UnicodeError):
            return text
        text = str(decoded).encode("utf-8", "surrogatepass")
    if text.startswith(b"data:") and b";base64," in text[:128]:
        return None
    if len(text) > OPAQUE_BYTES and _OPAQUE.fullmatch(text) is not None:
        return None
    return text


def _may_be_json(text: bytes) -> bool:
    return text.lstrip()[:1] in (b"{", b"[", b'"')
