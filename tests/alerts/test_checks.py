"""Mistakes of alerts, webhooks and mail in the file: each is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from briggs.alerts.checks import check_all
from briggs.settings import read_file

SECRET = "whsec_" + "QUJD" * 8
ALERT = '[[alerts]]\nname = "a"\nmeasure = "cost_usd"\nabove = 1\n'
HOOK = '[webhooks.w]\nurl = "https://example.com/h"\nsecret_variable = "HOOK"\n'
MAIL = '[smtp]\nhost = "mail.example"\nsender = "b@example.com"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ALERT, "briggs.toml:1: alerts[0]: tells nobody"),
        (ALERT + 'webhooks = ["v"]\n' + HOOK, "unknown webhook 'v'; use one of w"),
        (ALERT + 'emails = ["a@example.com"]\n', "no [smtp]"),
        (ALERT.replace('"a"', '""'), "must be printable"),
        (ALERT + ALERT, "'a' is the name of another alert"),
        (ALERT.replace("cost_usd", "unrecorded") + 'tag = "t"\n', "no model and no tag"),
        (ALERT.replace("cost_usd", "drift") + 'tag = "t"\n', "a watched target has no tag"),
        (ALERT.replace("cost_usd", "cost"), "'cost' is not allowed"),
        (ALERT + "window_s = 1\n", ">= 60"),
        (HOOK.replace("https", "ftp"), "must be a URL"),
        (HOOK.replace("https://example.com", "https://[::1"), "must be a URL"),
        (HOOK.replace("example", "user:canary@example"), "must not contain a user"),
        (HOOK.replace("HOOK", "UNSET"), "UNSET is not in the environment"),
        (HOOK.replace("HOOK", "SHORT"), "SHORT is not a secret"),
        (MAIL + 'user = "u"\n', "set password_variable too"),
        (MAIL + 'user = "u"\npassword_variable = "UNSET"\n', "UNSET is not in the environment"),
    ],
)
def test_a_mistake(tmp_path: Path, text: str, problem: str) -> None:
    """The problem is told with its place, and no secret is repeated."""
    (tmp_path / "briggs.toml").write_text(text)
    environment = {"HOOK": SECRET, "SHORT": "whsec_canary"}
    reading = read_file(tmp_path / "briggs.toml", environment=environment, check=check_all)
    told = "\n".join(map(str, reading.problems))
    assert problem in told
    assert "canary" not in told


def test_a_file_without_mistakes(tmp_path: Path) -> None:
    """What is right has no problems."""
    text = ALERT + 'webhooks = ["w"]\nemails = ["a@example.com"]\n' + HOOK + MAIL
    (tmp_path / "briggs.toml").write_text(text)
    reading = read_file(tmp_path / "briggs.toml", environment={"HOOK": SECRET}, check=check_all)
    assert reading.problems == []
