"""A keeper whose term is over spends nothing more, and tells nobody anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from briggs.app import App, open_app
from briggs.drift.watches import DriftWatchPost
from briggs.judges.judges import JudgeChange, create_judge
from briggs.settings import open_settings
from briggs.types.completions import Completion
from briggs.types.keeping import TermOver, working_in
from tests.alerts.test_alerts import ENVIRONMENT
from tests.alerts.test_webhooks import Receiver
from tests.processes import Upstream, create_response
from tests.storage.test_feedback import create_task
from tests.upstreams import ok

OVER = 0
"""A term in which nobody is the keeper."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream({"ok": ok})
    yield upstream
    upstream.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def app(tmp_path: Path, upstream: Upstream, receiver: Receiver) -> AsyncIterator[App]:
    """A server whose alerts are watched only when a test says so."""
    path = tmp_path / "briggs.toml"
    path.write_text(
        f'{upstream.config()}[webhooks.hook]\nurl = "{receiver.url}"\nallow_private = true\n'
        'secret_variable = "HOOK_SECRET"\n[[alerts]]\nname = "lost"\nmeasure = "unrecorded"\n'
        'above = 0\nwebhooks = ["hook"]\n'
    )
    settings = open_settings(data=tmp_path / "data", config=path, environment=ENVIRONMENT)
    async with open_app(settings) as app:
        await app.parts.alerts.close()
        yield app


async def test_it_judges_nothing(app: App, upstream: Upstream) -> None:
    """The judge is not asked, and nothing is on record of it."""
    store = app.parts.store
    task = await create_task(store)
    said = JudgeChange(task=task.id, model="ok/m")
    models = app.parts.running.models
    judge, version = await create_judge(store, said, organization_id="default", models=models)
    completion = Completion(
        organization_id="default",
        status="finished",
        tags=["t"],
        request=json.dumps({"messages": [{"role": "user", "content": "x"}]}).encode(),
        response=json.dumps(create_response("y")).encode(),
    )
    await store.settle(completion)
    with working_in(OVER), pytest.raises(TermOver):
        await app.parts.judging.judge_completion(judge, completion)
    assert upstream.seen == []
    assert await store.judges.find_judgement(version, completion_id=completion.id) is None


async def test_it_asks_no_probe(app: App, upstream: Upstream) -> None:
    """The target of a watch is not asked, and no round is stored."""
    drift = app.parts.drift
    watch = await drift.create(DriftWatchPost(target="ok/m"), organization_id="default")
    with working_in(OVER), pytest.raises(TermOver):
        await drift.ask(watch)
    assert upstream.seen == []
    assert await app.parts.store.drift.list_rounds(watch, limit=1) == []


async def test_it_tells_nobody(app: App, receiver: Receiver) -> None:
    """A message of an alert waits for the keeper of the next term, who sends it."""
    alerts = app.parts.alerts
    await alerts._watch()
    app.parts.gateway.record.unrecorded += 1
    await alerts._watch()
    await alerts._save()
    for term, arrived in ((OVER, 0), (1, 1)):
        with working_in(term):
            alerts._deliver()
        [task] = alerts._sending.values()
        await asyncio.wait([task])
        assert (task.cancelled(), len(receiver.got)) == (term == OVER, arrived)
