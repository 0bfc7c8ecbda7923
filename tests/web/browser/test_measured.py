"""What was measured, in a browser: judges, evals, drift and prompts that have figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from briggs import Client
from briggs.cli.demonstration.fill import fill
from tests.processes import Seen, Server, Upstream, create_response, run_server
from tests.web.browser.conftest import CheckPage, OpenPage, scrolls_sideways

FIGURES = {
    "judge": ("Too few grades to say", "Words alone", "People among each other"),
    "judges": ("Too few grades to say",),
    "eval": ("right/m", "wrong/m"),
    "drift": ("changed between",),
    "prompt": ("From version", "Tokens out"),
}
"""What each page must say, with scripts and without."""


def answer(said: str) -> Any:
    def behave(handler: Any, seen: Seen) -> None:
        handler.send_whole(200, json.dumps(create_response(said)).encode())

    return behave


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over the data of `briggs demo --data`."""
    data = tmp_path_factory.mktemp("measured") / "data"
    asyncio.run(fill(data, real=()))
    upstream = Upstream({"right": answer("yes"), "wrong": answer("no")})
    with run_server(data, config=upstream.config()) as server:
        yield server
    upstream.close()


@pytest.fixture(scope="module")
def pages(server: Server) -> dict[str, str]:
    """The address of each page, by what it shows."""
    with Client(server.url, server.key) as client:
        samples = [{"id": f"s{n}", "input": f"question {n}", "target": "yes"} for n in range(12)]
        dataset = client.datasets.create("asked", samples)
        run = client.eval_runs.create(dataset.id, ["right/m", "wrong/m"], [{"kind": "exact"}])
        list(client.eval_runs.watch(run.id))
        watch = client.drift.create("right/m", source="traffic", window_rounds=8)
        for number in range(16):
            said = create_response("yes" if number < 8 else "no")
            for each in range(3):
                system = {"role": "system", "content": f"You help. Version {number // 8}."}
                asked = {"role": "user", "content": f"Is it {each}?"}
                messages = [asked] if each else [system, asked]
                client.completions.create({"model": "right/m", "messages": messages}, said)
        client.drift.ask(watch.id)
        for version in range(2):
            client.prompts.name("helper", template=f"You help. Version {version}.")
        return {
            "judge": f"/judges/{client.judges.list()[0].id}",
            "judges": "/judges",
            "eval": f"/evals/{run.id}",
            "drift": f"/drift/{watch.id}",
            "prompt": "/prompts/helper",
        }


@pytest.mark.parametrize("name", FIGURES)
def test_everyone_can_use_it(
    open_page: OpenPage, check_every_look: CheckPage, pages: dict[str, str], name: str
) -> None:
    """axe has no serious finding in any theme at any width; without scripts it says the same."""
    page = open_page(pages[name])
    check_every_look(page)
    plain = open_page(pages[name], scripts=False, width=390)
    for each in (page, plain):
        text = each.inner_text("body")
        assert [said for said in FIGURES[name] if said not in text] == []
    assert not scrolls_sideways(plain)
