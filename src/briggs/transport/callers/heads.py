"""Reads the head of a request (RFC 9110 and 9112), and says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import httptools

Header = tuple[bytes, bytes]

# Each of these may have only one value. If a request had two, a proxy could use one and we the
# other.
_SINGLE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"origin",
        b"x-api-token",
        b"x-log10-token",
    }
)
_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class Fault(NamedTuple):
    """Why a request is refused before it reaches the application."""

    status: int
    message: str


RequestTarget = tuple[bytes, bytes]
"""The path and the query of a request, exactly as received."""


def read_target(url: bytes) -> tuple[RequestTarget, bytes | None]:
    """A request's target, and the host and port if the target names them (RFC 9112, 3.2).

    The host of the target wins over the `Host` header. Raises `ValueError`.
    """
    if url.startswith(b"/"):
        path, _, query = url.partition(b"?")
        return (path, query), None
    if url == b"*":
        return (url, b""), None
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError as error:
        raise ValueError("not a URL") from error
    if (parsed.schema or b"").lower() not in (b"http", b"https") or parsed.userinfo:
        raise ValueError("not a URL that a server answers")
    authority = re.split(rb"[/?#]", url.partition(b"//")[2], maxsplit=1)[0]
    return (parsed.path or b"/", parsed.query or b""), authority


def read_version(version: str) -> str:
    """The version to read a request by. Later HTTP/1 versions count as 1.1 (RFC 9110, 2.5)."""
    return "1.1" if version > "1.1" and version.startswith("1.") else version


def find_fault(version: str, headers: Sequence[Header]) -> Fault | None:
    """Find what is wrong with a head that the parser accepted; None if it is valid."""
    if version not in ("1.0", "1.1"):
        return Fault(505, f"Briggs does not speak HTTP/{version}: use HTTP/1.1 or HTTP/1.0.")
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name == b"host" and name in fields:
            return Fault(400, "The request has more than one Host header: send one.")
        if name in _SINGLE and fields.get(name, value) != value:
            return Fault(400, f"The request has two different {name.decode()} headers: send one.")
        fields[name] = value
    if version == "1.1" and b"host" not in fields:
        return Fault(400, "An HTTP/1.1 request needs a Host header: send one.")
    encoding = fields.get(b"transfer-encoding")
    if encoding is not None:
        if version == "1.0":
            return Fault(400, "HTTP/1.0 has no Transfer-Encoding: send a Content-Length.")
        if encoding.strip().lower() != b"chunked":
            return Fault(
                501,
                f"Briggs does not read Transfer-Encoding '{encoding.decode('latin-1')}': send "
                "'chunked', or a Content-Length.",
            )
    expected = fields.get(b"expect")
    if expected is not None and version == "1.1" and expected.strip().lower() != b"100-continue":
        return Fault(417, "Briggs supports no Expect header except 'Expect: 100-continue'.")
    return None


def withdraw_offer(headers: Sequence[Header]) -> list[Header]:
    """The headers of a request without its offer to switch to another protocol."""
    kept = []
    for name, value in headers:
        if name == b"connection":
            options = [option.strip() for option in value.split(b",")]
            value = b", ".join(it for it in options if it.lower() not in _OFFERS)
        if name not in _OFFERS and (value or name != b"connection"):
            kept.append((name, value))
    return kept
