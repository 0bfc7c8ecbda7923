"""What goes out: where a URL leads, and the bytes of a request's head."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from briggs.transport.errors import Unreachable
from briggs.transport.proxies import Proxies, Proxy

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PORTS = {"http": 80, "https": 443}
# Only we know them, and to have two is how requests are smuggled.
_OURS = {"content-length", "transfer-encoding"}


class Origin(NamedTuple):
    """Where a connection leads; those that lead to the same place are the same."""

    scheme: str
    host: str
    port: int
    proxy: Proxy | None


class Head(NamedTuple):
    """Where a request goes, and its head without the length of its body."""

    origin: Origin
    start: bytes
    expects_body: bool

    def join(self, body: bytes | None) -> bytes:
        """The whole request, to be sent by one write."""
        if body is None and not self.expects_body:
            return self.start + b"\r\n"
        body = body or b""
        return b"%bcontent-length: %d\r\n\r\n%b" % (self.start, len(body), body)


def encode_head(
    method: str, url: str, headers: tuple[tuple[str, str], ...], *, proxies: Proxies
) -> Head:
    """Raises `Unreachable` for what cannot be sent as it is."""
    parts, origin = _read_url(url, proxies)
    target = quote(parts.path or "/", safe="/!#$%&'()*+,:;=?@[]~")
    if parts.query:
        target += "?" + quote(parts.query, safe="/!#$%&'()*+,:;=?@[]~")
    fields = {"host": _name_host(origin)}
    if origin.proxy is not None and origin.scheme == "http":
        target = f"http://{fields['host']}{target}"
        if origin.proxy.authorization:
            fields["proxy-authorization"] = origin.proxy.authorization
    # To inflate an answer would cost more than its transfer does, and a compressed stream
    # arrives in lumps. What comes compressed all the same is read.
    fields["accept-encoding"] = "identity"
    for name, value in headers:
        fields[_check_name(name)] = _check_value(name, value)
    if not _TOKEN.fullmatch(method):
        raise Unreachable(f"{method!r} is no HTTP method")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields), ""]
    start = "\r\n".join(lines).encode("latin-1")
    return Head(origin, start, expects_body=method in ("POST", "PUT", "PATCH"))


def _read_url(url: str, proxies: Proxies) -> tuple[SplitResult, Origin]:
    try:
        if not url.isprintable() or " " in url:
            raise ValueError("it has spaces or control characters")
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise ValueError("it has to begin with http:// or https://")
        if not parts.hostname:
            raise ValueError("it names no host")
        if parts.username is not None:
            raise ValueError("a name and a password belong in a header")
        host = parts.hostname
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        port = parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise Unreachable(f"{_shorten(url)} is no URL to send to: {error}") from error
    return parts, Origin(parts.scheme, host, port, proxies.find(parts.scheme, host))


def _name_host(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == _PORTS[origin.scheme] else f"{host}:{origin.port}"


def _check_name(name: str) -> str:
    lowered = name.lower()
    if not _TOKEN.fullmatch(name) or lowered in _OURS:
        raise Unreachable(f"{name!r} is no header that can be sent")
    return lowered


def _check_value(name: str, value: str) -> str:
    if not _VALUE.fullmatch(value):
        # The value may be a key, so it is not shown.
        raise Unreachable(f"the header {name} has a line break or another character it must not")
    return value.strip()


def _shorten(url: str) -> str:
    """A URL without its query and its user, which may hold what must not be shown."""
    return repr(re.sub(r"//[^/?#]*@", "//...@", url.partition("?")[0])[:200])
