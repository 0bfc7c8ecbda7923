"""Sends signed messages to webhooks, as Standard Webhooks says, and never to a private address.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

TIMEOUT_S = 15.0
"""For everything: names, connections and the whole answer's head."""

PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Undelivered(Exception):
    """A message did not arrive. The text says why."""

    is_final = False
    """Whether trying again is useless."""


class Unwanted(Undelivered):
    """The receiver wants no more messages."""

    is_final = True


def read_secret(text: str) -> bytes:
    """The bytes of a secret: base64 after `whsec_`. Raises `ValueError`."""
    try:
        secret = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("it is not base64") from error
    if len(secret) not in _SECRET_BYTES:
        raise ValueError(f"it has {len(secret)} bytes, not 24 to 64")
    return secret


def sign(body: bytes, *, id: str, timestamp: int, secret: bytes) -> dict[str, str]:
    """The headers of a message."""
    signed = b"%b.%d.%b" % (id.encode(), timestamp, body)
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    allow_private: bool,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Post a message, and wait for the head of the answer. Blocks. Raises `Undelivered`.

    The address that was checked is the one that is connected to, so no name server can change it
    in between. Redirects are not followed.
    """
    parts = urlsplit(url)
    host, is_safe = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_safe else 80)
    connection = http.client.HTTPConnection(host, port)
    connection.default_port = 443 if is_safe else 80
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        sock = _connect(host, port, allow_private, timeout_s)
        if is_safe:
            context = ssl.create_default_context()
            sock = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        connection.sock = sock
        with contextlib.closing(sock), _deadline(sock, timeout_s):
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            sent = {"content-type": "application/json", "user-agent": "briggs", **headers}
            connection.request("POST", path, body, sent)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Undelivered(f"{host}: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()
    if status == 410:
        raise Unwanted(f"{host} answered 410: it wants no more messages")
    if not 200 <= status < 300:
        raise Undelivered(f"{host} answered {status}")


def is_public(address: str) -> bool:
    """Whether an IP address is on the internet, and not in a private network or on this machine."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _connect(host: str, port: int, allow_private: bool, timeout_s: float) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    allowed = [each for each in addresses if allow_private or is_public(each)]
    if not allowed:
        raise Undelivered(
            f"{host} is at {', '.join(addresses[:4])}, which is not on the internet: set "
            "allow_private = true for this webhook if that is meant"
        )
    for address in allowed[:4]:
        try:
            return socket.create_connection((address, port), timeout_s / 3)
        except OSError as error:
            failure = error
    raise failure


@contextlib.contextmanager
def _deadline(sock: socket.socket, seconds: float) -> Iterator[None]:
    """End everything on a connection after so long, however slowly the other side sends."""

    def end() -> None:
        with contextlib.suppress(OSError):
            # Without TLS's own goodbye, which another thread may be in the middle of.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
