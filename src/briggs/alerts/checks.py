"""Checks the whole file: its providers, its alerts, and the secrets in the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from briggs.alerts.webhooks import read_secret
from briggs.gateway.running import check_file
from briggs.settings import FileSettings, Problem, suggest


def check_all(file: FileSettings, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Every problem of the file that `settings` cannot see by itself."""
    yield from check_file(file, environment)
    yield from _check_alerts(file)
    yield from _check_webhooks(file, environment)
    smtp = file.smtp
    if smtp is not None and smtp.user is not None:
        variable = smtp.password_variable
        if variable is None:
            yield Problem(("smtp",), "user is set: set password_variable too")
        elif not environment.get(variable):
            message = f"{variable} is not in the environment"
            yield Problem(("smtp", "password_variable"), message, is_error=False)


def _check_alerts(file: FileSettings) -> Iterator[Problem]:
    names = [alert.name for alert in file.alerts]
    for place, alert in enumerate(file.alerts):
        path = ("alerts", place)
        if not alert.name or not alert.name.isprintable():
            yield Problem((*path, "name"), "must be printable and not empty")
        if alert.name in names[:place]:
            yield Problem((*path, "name"), f"{alert.name!r} is the name of another alert")
        for name in alert.webhooks:
            if name not in file.webhooks:
                message = f"unknown webhook {name!r}" + suggest(name, file.webhooks)
                yield Problem((*path, "webhooks"), message)
        if alert.emails and file.smtp is None:
            yield Problem((*path, "emails"), "there is no [smtp] to send mail with")
        if alert.measure == "unrecorded" and (alert.model is not None or alert.tag is not None):
            yield Problem(path, "calls that are not on record have no model and no tag")
        if alert.measure == "drift" and alert.tag is not None:
            yield Problem((*path, "tag"), "a watched target has no tag")
        if not alert.webhooks and not alert.emails:
            message = "tells nobody: set webhooks or emails"
            yield Problem(path, message, is_error=False)


def _check_webhooks(file: FileSettings, environment: Mapping[str, str]) -> Iterator[Problem]:
    for name, webhook in file.webhooks.items():
        path = ("webhooks", name)
        if (message := _explain_url(webhook.url)) is not None:
            yield Problem((*path, "url"), message)
        secret = environment.get(webhook.secret_variable)
        if not secret:
            message = f"{webhook.secret_variable} is not in the environment"
            yield Problem((*path, "secret_variable"), message, is_error=False)
            continue
        try:
            read_secret(secret)
        except ValueError as error:
            message = (
                f"{webhook.secret_variable} is not a secret: {error}. Make one with: "
                "echo whsec_$(openssl rand -base64 32)"
            )
            yield Problem((*path, "secret_variable"), message)


def _explain_url(text: str) -> str | None:
    """What is wrong with a URL. It may hold a password, so that is not repeated."""
    try:
        url = urlsplit(text)
        is_url = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_url = False
    if not is_url or not text.isascii() or not text.isprintable() or " " in text:
        return "must be a URL that begins with http:// or https://"
    return "must not contain a user and password" if "@" in url.netloc else None
