"""Sends messages by mail."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage

from briggs.alerts.webhooks import Undelivered
from briggs.settings import SmtpSettings

TIMEOUT_S = 15.0


def send(
    *,
    to: str,
    subject: str,
    text: str,
    id: str,
    smtp: SmtpSettings,
    environment: Mapping[str, str],
) -> None:
    """Send one mail. Blocks. Raises `Undelivered`."""
    message = EmailMessage()
    try:
        message["From"], message["To"], message["Subject"] = smtp.sender, to, subject
        message["Message-ID"] = f"<{id}@{smtp.sender.rpartition('@')[2]}>"
        message.set_content(text)
        with _connect(smtp) as server:
            if smtp.user is not None:
                server.login(smtp.user, environment.get(smtp.password_variable or "", ""))
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise Undelivered(f"{smtp.host}: {str(error) or type(error).__name__}") from error


def _connect(smtp: SmtpSettings) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if smtp.security == "tls":
        return smtplib.SMTP_SSL(smtp.host, smtp.port or 465, timeout=TIMEOUT_S, context=context)
    server = smtplib.SMTP(smtp.host, smtp.port or 587, timeout=TIMEOUT_S)
    if smtp.security == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server
