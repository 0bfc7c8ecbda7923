"""Alerts of a real server: each state is told once, to webhooks and by mail, after any crash."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import signal
import time
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from briggs.alerts.alerts import Alerts, _write_deliveries
from briggs.app import open_app
from briggs.settings import open_settings
from briggs.settings.file import AlertSettings
from briggs.storage import Store
from briggs.types.alerts import AlertState
from briggs.types.completions import create_id, current_time_us
from briggs.types.drift import DriftChange, DriftRound, DriftWatch
from briggs.types.errors import StoreUnavailable
from tests.alerts.test_mail import Sink, find_port
from tests.alerts.test_webhooks import Receiver
from tests.processes import Server, Upstream, create_response, run_server
from tests.storage.records import finished
from tests.waiting import until, wait_for
from tests.web.visitor import Visitor

SECRET = base64.b64encode(b"s" * 32).decode()
ENVIRONMENT = {"HOOK_SECRET": f"whsec_{SECRET}"}


class MailServer(Sink):
    """A mail server that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.port = find_port()
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self.controller.start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def sink() -> Iterator[MailServer]:
    sink = MailServer()
    yield sink
    sink.controller.stop()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    def moody(handler: Any, seen: Any) -> None:
        if seen.json["messages"][0]["content"] == "fail":
            handler.send_whole(500, b"{}")
        else:
            handler.send_whole(200, json.dumps(create_response()).encode())

    upstream = Upstream({"moody": moody})
    yield upstream
    upstream.close()


def write_config(upstream: Upstream, receiver: Receiver, sink: MailServer) -> str:
    return f"""
[[alerts]]
name = "failures"
measure = "failure_rate"
above = 0.5
window_s = 300
calls_min = 2
webhooks = ["hook"]
emails = ["ops@example.com"]
[webhooks.hook]
url = "{receiver.url}"
secret_variable = "HOOK_SECRET"
allow_private = true
[smtp]
host = "127.0.0.1"
port = {sink.port}
security = "none"
sender = "briggs@example.com"
{upstream.config()}
"""


def call(server: Server, text: str) -> None:
    server.chat({"model": "moody/m", "messages": [{"role": "user", "content": text}]})


def read(receiver: Receiver, place: int) -> dict[str, Any]:
    """A message, after its signature was checked."""
    _, headers, body = receiver.got[place]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    return dict(json.loads(body))


def test_an_alert_fires_and_is_resolved(
    upstream: Upstream, receiver: Receiver, sink: MailServer, tmp_path: Path
) -> None:
    """Each state is told once. A message that did not arrive is sent again after a crash, under
    the same id. Home, `/health` and `/metrics` show what fires.
    """
    data, config = tmp_path / "data", write_config(upstream, receiver, sink)
    receiver.answers = [503]
    with run_server(data, config=config, environment=ENVIRONMENT) as server:
        assert server.send("GET", "/health").json == {"status": "ok"}
        for _ in range(3):
            call(server, "fail")
        wait_for(lambda: receiver.got and sink.got)
        assert server.send("GET", "/health").json == {"status": "ok", "alerts_firing": 1}
        metrics = server.send("GET", "/metrics").body.decode()
        assert 'briggs_alert_firing{alert="failures"} 1.0' in metrics
        delivered = b'briggs_alert_deliveries_total{outcome="delivered"} 1.0'
        # The mail is counted a moment after the mail server has it.
        wait_for(lambda: delivered in server.send("GET", "/metrics").body)
        assert b"failures</b> has fired since" in Visitor(server).visit("/").body
        server.stop(signal.SIGKILL)
    with run_server(data, config=config, environment=ENVIRONMENT) as server:
        wait_for(lambda: len(receiver.got) == 2)
        first, second = (receiver.got[place][1]["webhook-id"] for place in (0, 1))
        assert first == second
        event = read(receiver, 1)
        assert event["type"] == "alert.firing"
        assert event["data"]["value"] == 1
        assert event["data"]["text"] == (
            "100.0% of all calls failed in the last 300 s; the limit is 50.0%."
        )
        for _ in range(5):
            call(server, "succeed")
        wait_for(lambda: len(receiver.got) == 3 and len(sink.got) == 2)
        assert read(receiver, 2)["type"] == "alert.resolved"
        assert "alerts_firing" not in server.send("GET", "/health").json
        time.sleep(6)
        assert (len(receiver.got), len(sink.got)) == (3, 2)
    mail = message_from_bytes(sink.got[0].content)
    assert sink.got[0].rcpt_tos == ["ops@example.com"]
    assert (mail["from"], mail["subject"]) == ("briggs@example.com", "Briggs: failures fires")
    assert "100.0% of all calls failed" in str(mail.get_payload())


@contextlib.asynccontextmanager
async def open_alerts(folder: Path, text: str) -> Any:
    """The alerts of a file, which are watched only when a test says so."""
    path = folder / "briggs.toml"
    path.write_text(text)
    settings = open_settings(data=folder / "data", config=path, environment=ENVIRONMENT)
    async with open_app(settings) as app:
        await app.parts.alerts.close()
        yield app.parts.alerts, app.parts.store


def list_firing(alerts: Alerts) -> list[str]:
    return [each.name for each in alerts.list_firing(organization_id=None)]


async def test_what_is_measured(tmp_path: Path) -> None:
    """Cost, times and failures, by model and tag, fire above their limits only."""
    kinds = {
        "dear": 'measure = "cost_usd"\nabove = 0.9',
        "dearer": 'measure = "cost_usd"\nabove = 1.0',
        "dear tag": 'measure = "cost_usd"\nabove = 0.4\ntag = "blue"',
        "dear model": 'measure = "cost_usd"\nabove = 0.4\nmodel = "other"',
        "slow": 'measure = "p95_s"\nabove = 1.5',
        "slow tag": 'measure = "p95_s"\nabove = 1.5\ntag = "blue"\ncalls_min = 5',
        "few": 'measure = "p95_s"\nabove = 1.5\ncalls_min = 11',
        "failing": 'measure = "failure_rate"\nabove = 0.05',
        "failing tag": 'measure = "failure_rate"\nabove = 0.3\ntag = "blue"\ncalls_min = 5',
        "long": 'measure = "cost_usd"\nabove = 0.9\nwindow_s = 86400',
        "elsewhere": 'measure = "cost_usd"\nabove = 0.0\norganization = "nobody"',
    }
    text = "\n".join(f'[[alerts]]\nname = "{name}"\n{rest}' for name, rest in kinds.items())
    async with open_alerts(tmp_path, text) as (alerts, store):
        for n in range(10):
            call = finished(
                id=create_id(),
                organization_id="default",
                created_at=current_time_us(),
                model="m",
                cost_usd=0.1,
                duration_ms=2_000.0,
                tags=["blue"] if n % 2 else [],
                status="failed" if n == 1 else "finished",
            )
            await store.settle(call)
        await alerts._watch()
        assert list_firing(alerts) == [
            *("dear", "dear tag", "slow", "slow tag", "failing", "long"),
        ]


async def test_answers_that_changed(tmp_path: Path) -> None:
    """A change of a watched target fires the alert about it, for as long as the window."""
    kinds = {"any": "", "this": 'model = "m"\n', "other": 'model = "n"\n'}
    text = "\n".join(
        f'[[alerts]]\nname = "{name}"\nmeasure = "drift"\nabove = 0\nwindow_s = 60\n{rest}'
        for name, rest in kinds.items()
    )
    async with open_alerts(tmp_path, text) as (alerts, store):
        watch = DriftWatch(organization_id="default", target="m")
        await store.drift.put(watch)
        await alerts._watch()
        assert list_firing(alerts) == []
        for ago_us, firing in ((70_000_000, []), (0, ["any", "this"])):
            one, change = create_change(watch, at=current_time_us() - ago_us)
            await store.drift.add(one, change=change)
            await alerts._watch()
            assert list_firing(alerts) == firing


@pytest.mark.parametrize(("value", "said"), [(1, "1 change of"), (2, "2 changes of")])
def test_the_sentence_of_a_change(value: float, said: str) -> None:
    """A message counts changes in plain words."""
    alert = AlertSettings(name="a", measure="drift", above=0, model="m", webhooks=["ops"])
    state = AlertState(organization_id="default", name="a", is_firing=True, since_at=1, value=value)
    [message] = _write_deliveries(alert, state)
    text = json.loads(message.body)["data"]["text"]
    assert text == f"{said} the answers of model m in the last 300 s; the limit is 0."


def create_change(watch: DriftWatch, *, at: int) -> tuple[DriftRound, DriftChange]:
    of: dict[str, Any] = {"organization_id": watch.organization_id, "watch_id": watch.id, "at": at}
    one = DriftRound(
        **of,
        logprobs=[],
        texts=[],
        fingerprints=[],
        completion_ids=[],
        duration_ms=None,
        completion_tokens=None,
        failures=0,
    )
    change = DriftChange(
        **of,
        from_at=at,
        until_at=at,
        p=0.0,
        mean_square=0.0,
        largest=0.0,
        moved=[],
        probes=20,
        evidence="logprobs",
        fingerprints_before=[],
        fingerprints_now=[],
        duration_ms_before=None,
        duration_ms_now=None,
    )
    return one, change


async def test_calls_that_are_not_on_record(tmp_path: Path) -> None:
    """Every call that is lost makes such an alert fire, until the window has passed."""
    text = '[[alerts]]\nname = "lost"\nmeasure = "unrecorded"\nabove = 0\nwindow_s = 60'
    async with open_alerts(tmp_path, text) as (alerts, _):
        await alerts._watch()
        assert list_firing(alerts) == []
        alerts._gateway.record.unrecorded += 1
        await alerts._watch()
        assert list_firing(alerts) == ["lost"]


async def test_what_cannot_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert that cannot be measured keeps its state, and the others go on."""
    text = "".join(
        f'[[alerts]]\nname = "{name}"\nmeasure = "cost_usd"\nabove = 0\n{more}'
        for name, more in (("tagged", 'tag = "blue"\n'), ("all", ""))
    )
    async with open_alerts(tmp_path, text) as (alerts, store):
        call = finished(cost_usd=1.0, created_at=current_time_us(), tags=["blue"])
        await store.settle(call)
        monkeypatch.setattr("briggs.storage.figures.COMPLETIONS_MAX", 0)
        await alerts._watch()
        assert list_firing(alerts) == ["all"]
        monkeypatch.undo()
        await alerts._watch()
        assert sorted(list_firing(alerts)) == ["all", "tagged"]


async def test_an_alert_that_leaves_the_file(tmp_path: Path) -> None:
    """Only alerts of the file fire."""
    text = '[[alerts]]\nname = "cost"\nmeasure = "cost_usd"\nabove = 0'
    async with open_alerts(tmp_path, text) as (alerts, store):
        await store.settle(finished(cost_usd=1.0, created_at=current_time_us()))
        await alerts._watch()
        await alerts._save()
        assert list_firing(alerts) == ["cost"]
    async with open_alerts(tmp_path, "") as (alerts, store):
        assert list_firing(alerts) == []
        stored = await store.alerts.read()
        assert [each.name for each in stored.states] == ["cost"]


async def test_a_record_that_cannot_be_written(tmp_path: Path, receiver: Receiver) -> None:
    """Messages go out even while nothing can be written."""
    text = f"""
[[alerts]]
name = "lost"
measure = "unrecorded"
above = 0
webhooks = ["hook"]
[webhooks.hook]
url = "{receiver.url}"
secret_variable = "HOOK_SECRET"
allow_private = true
"""
    async with open_alerts(tmp_path, text) as (alerts, store):
        await alerts._watch()
        alerts._gateway.record.unrecorded += 1
        await alerts._watch()
        await store.close()
        await alerts._save()
        alerts._deliver()
        [task] = alerts._sending.values()
        await task
        assert len(receiver.got) == 1
    reopened = await Store.open(tmp_path / "data")
    assert (await reopened.alerts.read()).deliveries == []
    await reopened.close()


async def test_a_record_that_is_away_is_no_defect(caplog: pytest.LogCaptureFixture) -> None:
    """While the record cannot be read, one line says so, without a traceback."""
    asked = asyncio.Event()

    async def read() -> Any:
        return SimpleNamespace(states=[], deliveries=[])

    async def refuse(_: str) -> None:
        asked.set()
        raise StoreUnavailable("the record cannot be read: it is away")

    store: Any = SimpleNamespace(
        alerts=SimpleNamespace(read=read), organizations=SimpleNamespace(find=refuse)
    )
    file = SimpleNamespace(alerts=[SimpleNamespace(organization="default")])
    gateway: Any = SimpleNamespace(running=SimpleNamespace(settings=SimpleNamespace(file=file)))
    alerts = Alerts(gateway, store=store)
    await alerts.start()
    await asked.wait()
    await until(lambda: bool(caplog.messages))
    await alerts.close()
    assert caplog.messages == ["alerts cannot be checked: the record cannot be read: it is away"]
    assert "Traceback" not in caplog.text
