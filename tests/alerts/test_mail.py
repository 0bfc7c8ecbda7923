"""Mail: sent over TLS with a password, and refused without."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from briggs.alerts.mail import send
from briggs.alerts.webhooks import Undelivered
from briggs.settings import SmtpSettings

ENVIRONMENT = {"MAIL_PASSWORD": "canary"}


class Sink:
    """Keeps the mail that it gets."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.got.append(envelope)
        return "250 OK"


def find_port() -> int:
    """A port that is free now."""
    with socket.create_server(("localhost", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"briggs", b"canary"))


Start = Callable[..., tuple[Sink, int]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a mail server that requires a password over TLS."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    controllers: list[Controller] = []

    def open(**options: Any) -> tuple[Sink, int]:
        sink, port = Sink(), find_port()
        made: dict[str, Any] = {name: context for name, value in options.items() if value}
        controller = Controller(
            sink,
            hostname="localhost",
            port=port,
            authenticator=authenticate,
            auth_required=True,
            **made,
        )
        controller.start()
        controllers.append(controller)
        return sink, port

    yield open
    for controller in controllers:
        controller.stop()


def mail(smtp: SmtpSettings, subject: str = "Briggs: x fires") -> None:
    send(
        to="ops@example.com",
        subject=subject,
        text="Grüße",
        id="msg_1",
        smtp=smtp,
        environment=ENVIRONMENT,
    )


def create(port: int, **members: Any) -> SmtpSettings:
    return SmtpSettings(
        host="localhost",
        port=port,
        sender="briggs@example.com",
        user="briggs",
        password_variable="MAIL_PASSWORD",
        **members,
    )


def test_starttls(start: Start) -> None:
    """The password goes over TLS, and the mail arrives."""
    sink, port = start(tls_context=True)
    mail(create(port))
    [envelope] = sink.got
    assert b"Subject: Briggs: x fires" in envelope.content
    assert b"Message-ID: <msg_1@example.com>" in envelope.content


def test_a_server_without_tls(start: Start) -> None:
    """Without STARTTLS, nothing is sent: the password would be read on the way."""
    sink, port = start()
    with pytest.raises(Undelivered, match="STARTTLS"):
        mail(create(port))
    assert sink.got == []


def test_a_wrong_certificate(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot prove its name gets nothing."""
    sink, port = start(tls_context=True)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Undelivered, match="certificate"):
        mail(create(port))
    assert sink.got == []


def test_no_server() -> None:
    """A server that is away is an ordinary failure."""
    with pytest.raises(Undelivered, match="localhost"):
        mail(create(1))


def test_a_name_with_a_line_break(start: Start) -> None:
    """Nobody can add headers to a mail by the name of an alert."""
    sink, port = start(tls_context=True)
    with pytest.raises(Undelivered):
        mail(create(port), subject="x\r\nBcc: everybody@example.com")
    assert sink.got == []
