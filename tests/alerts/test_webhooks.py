"""Webhooks: signed as the specification says, and sent to no private address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from briggs.alerts.webhooks import Undelivered, Unwanted, is_public, post, read_secret, sign
from tests.waiting import PATIENCE_S

PRIVATE = [
    *("127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254"),
    *("ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("2002:7f00:1::", "2002:a00:1::", "2001:db8::1"),
]
PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"),
    "64:ff9b::808:808",
]


class Receiver(HTTPServer):
    """A server that answers as a test wants, and keeps what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        """The next statuses. Afterwards 204."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?a=b"

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append((self.path, headers, body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def test_the_signature_of_the_specification() -> None:
    """A known message has the signature that the official libraries give it.

    https://docs.svix.com/receiving/verifying-payloads/how-manual
    """
    secret = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = sign(
        b'{"test": 2432232314}',
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        secret=secret,
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!!", "whsec_QUJD", "hunter2" * 20])
def test_what_is_no_secret(text: str) -> None:
    """A secret is base64 of 24 to 64 bytes."""
    with pytest.raises(ValueError, match=r"bytes|base64"):
        read_secret(text)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    """Private, loopback, link-local and special addresses are not public, in any disguise."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """Addresses of the internet are."""
    assert is_public(address)


def test_a_message_arrives(receiver: Receiver) -> None:
    """The body, the path and the headers arrive as they were sent."""
    post(receiver.url, b"{}", headers={"webhook-id": "msg_1"}, allow_private=True)
    [(path, headers, body)] = receiver.got
    assert (path, body) == ("/hook?a=b", b"{}")
    assert headers["webhook-id"] == "msg_1"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"127.0.0.1:{receiver.server_port}"


@pytest.mark.parametrize("status", [302, 400, 500])
def test_a_message_that_is_refused(receiver: Receiver, status: int) -> None:
    """Only 2xx is an arrival. A redirect is not followed."""
    receiver.answers = [status]
    with pytest.raises(Undelivered, match=f"answered {status}"):
        post(receiver.url, b"{}", headers={}, allow_private=True)
    assert len(receiver.got) == 1


def test_a_receiver_that_is_gone(receiver: Receiver) -> None:
    """After a 410, trying again is useless."""
    receiver.answers = [410]
    with pytest.raises(Unwanted):
        post(receiver.url, b"{}", headers={}, allow_private=True)


def test_a_private_address_is_refused(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a private address is refused before anything is sent, and looked up
    once, so that it cannot lead elsewhere afterwards.
    """
    with pytest.raises(Undelivered, match=r"127\.0\.0\.1, which is not on the internet"):
        post(receiver.url, b"{}", headers={}, allow_private=False)
    looked_up = []
    real = socket.getaddrinfo

    def rebind(host: str, port: Any, *args: Any, **options: Any) -> Any:
        if host == "rebinding.example":
            looked_up.append(host)
            host = "8.8.8.8" if len(looked_up) == 1 else "127.0.0.1"
        return real(host, port, *args, **options)

    connected = []

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        connected.append(address[0])
        raise OSError("not in a test")

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    monkeypatch.setattr(socket, "create_connection", connect)
    url = f"http://rebinding.example:{receiver.server_port}/"
    with pytest.raises(Undelivered, match="not in a test"):
        post(url, b"{}", headers={}, allow_private=False)
    assert (connected, looked_up) == (["8.8.8.8"], ["rebinding.example"])
    assert receiver.got == []


def test_a_receiver_that_is_slow() -> None:
    """A receiver that sends a byte now and then is left after the time for all of it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while True:
                    connection.sendall(b"H")
                    time.sleep(0.1)
            except OSError:
                left.set()

    left = threading.Event()
    threading.Thread(target=drip, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with pytest.raises(Undelivered):
        post(url, b"{}", headers={}, allow_private=True, timeout_s=1)
    assert left.wait(PATIENCE_S)
    listener.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://no.such.name.invalid/"])
def test_no_receiver(url: str) -> None:
    """A receiver that cannot be reached is an ordinary failure."""
    with pytest.raises(Undelivered):
        post(url, b"{}", headers={}, allow_private=True)
