"""Encodes outgoing requests: which server a URL leads to, and the bytes of the head."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from briggs.transport.errors import Unreachable
from briggs.transport.upstream.proxies import Proxies, Proxy

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PORTS = {"http": 80, "https": 443}
# Only we set these. A second one could let another request be smuggled in.
_OURS = {"content-length", "transfer-encoding"}


class Origin(NamedTuple):
    """The server that a connection leads to. Equal origins share connections."""

    scheme: str
    host: str
    port: int
    proxy: Proxy | None


class Head(NamedTuple):
    """The server of a request, and its head without the length of its body."""

    origin: Origin
    start: bytes
    expects_body: bool

    def join(self, body: bytes | None) -> bytes:
        """The whole request, ready to be sent in one write."""
        if body is None and not self.expects_body:
            return self.start + b"\r\n"
        body = body or b""
        return b"%bcontent-length: %d\r\n\r\n%b" % (self.start, len(body), body)


def encode_head(
    method: str, url: str, headers: tuple[tuple[str, str], ...], *, proxies: Proxies
) -> Head:
    """Encode the head of a request. Raises `Unreachable` for what cannot be sent as it is."""
    parts, origin = _read_url(url, proxies)
    target = quote(parts.path or "/", safe="/!#$%&'()*+,:;=?@[]~")
    if parts.query:
        target += "?" + quote(parts.query, safe="/!#$%&'()*+,:;=?@[]~")
    fields = {"host": _name_host(origin)}
    if origin.proxy is not None and origin.scheme == "http":
        target = f"http://{fields['host']}{target}"
        if origin.proxy.authorization:
            fields["proxy-authorization"] = origin.proxy.authorization
    # Decompressing an answer costs more than transferring it, and a compressed stream arrives in
    # lumps. If a server compresses anyway, we can read it.
    fields["accept-encoding"] = "identity"
    for name, value in headers:
        fields[_check_name(name)] = _check_value(name, value)
    if not _TOKEN.fullmatch(method):
        raise Unreachable(f"{method!r} is not an HTTP method")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields), ""]
    start = "\r\n".join(lines).encode("latin-1")
    return Head(origin, start, expects_body=method in ("POST", "PUT", "PATCH"))


def _read_url(url: str, proxies: Proxies) -> tuple[SplitResult, Origin]:
    try:
        if not url.isprintable() or " " in url:
            raise ValueError("it contains spaces or control characters")
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise ValueError("it must begin with http:// or https://")
        if not parts.hostname:
            raise ValueError("it has no host")
        if parts.username is not None:
            raise ValueError("send a user name and a password in a header instead")
        host = parts.hostname
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        port = parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise Unreachable(f"requests cannot be sent to {_shorten(url)}: {error}") from error
    return parts, Origin(parts.scheme, host, port, proxies.find(parts.scheme, host))


def _name_host(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == _PORTS[origin.scheme] else f"{host}:{origin.port}"


def _check_name(name: str) -> str:
    lowered = name.lower()
    if not _TOKEN.fullmatch(name) or lowered in _OURS:
        raise Unreachable(f"{name!r} is not a header that can be sent")
    return lowered


def _check_value(name: str, value: str) -> str:
    if not _VALUE.fullmatch(value):
        # The value may be a key, so it is not shown.
        raise Unreachable(f"the header {name} contains a line break or another forbidden character")
    return value.strip()


def _shorten(url: str) -> str:
    """A URL without its query, user and password, which may be secret."""
    return repr(re.sub(r"//[^/?#]*@", "//...@", url.partition("?")[0])[:200])
