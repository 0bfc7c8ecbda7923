"""The pages of evals, as a browser without JavaScript gets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from briggs import Client, Refused
from briggs.estimates.intervals import Interval
from briggs.evals.reports import ScoreSummary
from briggs.web.evals import draw_interval
from tests.processes import Seen, Server, Upstream, create_response, run_server
from tests.web.visitor import Visitor


def answer_right(handler: Any, seen: Seen) -> None:
    handler.send_whole(200, json.dumps(create_response("yes")).encode())


def refuse(handler: Any, seen: Seen) -> None:
    error = {"message": "no", "type": "x", "param": None, "code": None}
    handler.send_whole(400, json.dumps({"error": error}).encode())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    upstream = Upstream({"right": answer_right, "refuses": refuse})
    with run_server(tmp_path_factory.mktemp("evals") / "data", config=upstream.config()) as server:
        yield server
    upstream.close()


def create_run(server: Server, *targets: str, target: str = "yes") -> str:
    samples = [{"id": f"s{n} <b>", "input": f"question {n}", "target": target} for n in range(12)]
    with Client(server.url, server.key) as client:
        dataset = client.datasets.create("asked", samples)
        run = client.eval_runs.create(dataset.id, targets, [{"kind": "exact", "name": "<i>exact"}])
        list(client.eval_runs.watch(run.id))
        return run.id


def test_the_list_and_a_report(server: Server) -> None:
    """The list says what is lacking, and the report begins with it; what others wrote is text."""
    visitor = Visitor(server)
    assert b"No eval has run yet." in visitor.visit("/evals").body
    id = create_run(server, "right/m", "refuses/m")
    listed = visitor.visit("/evals").body.decode()
    assert f"/evals/{id}" in listed and "12 failed" in listed and "12 of 24" in listed
    page = visitor.visit(f"/evals/{id}").body.decode()
    assert "Of 24 answers, 12 failed" in page
    assert "&lt;i&gt;exact" in page and "<i>exact" not in page
    assert "0.758 to 1.000" in page and "upstream_400" in page
    assert "Ask what is lacking" in page
    # No price is known, so no cost is. What nobody answered cost nothing.
    assert "<dd>— <" in page and "12 without a price" in page and page.count("$0.00") == 1
    assert "12 without a price" in listed and "$0.00" not in listed


def test_a_baseline(server: Server) -> None:
    """With another run beside it, the page says which samples changed, by their ids."""
    before = create_run(server, "right/m-2", target="no")
    # The same request in both: they have one completion, and so one page.
    after = create_run(server, "right/m-2")
    visitor = Visitor(server)
    page = visitor.visit(f"/evals/{after}?baseline={before}").body.decode()
    assert "Better by 1.00" in page and "12 better" in page
    assert "s0 &lt;b&gt;" in page and "<b>" in page
    assert "Ask what is lacking" not in page
    page = visitor.visit(f"/evals/{before}").body.decode()
    answers = page.split('href="/completions?')[1].split('"')[0].replace("&amp;", "&")
    assert visitor.visit(f"/completions?{answers}").body.count(b"question") >= 12
    page = visitor.visit(f"/evals/{after}?baseline={before}").body.decode()
    flipped = page.split('<code dir="auto">s0')[0].rsplit('href="', 1)[1].split('"')[0]
    assert flipped.startswith("/completions/") and visitor.visit(flipped).status == 200
    with Client(server.url, server.key) as client:
        other = client.datasets.create("other", [{"input": "x", "target": "y"}])
        foreign = client.eval_runs.create(other.id, ["right/m-2"], [{"kind": "exact"}])
        list(client.eval_runs.watch(foreign.id))
        with pytest.raises(Refused, match="choose a run of the dataset 'asked' as baseline"):
            client.eval_runs.report(after, baseline=foreign.id)
    refused = visitor.visit(f"/evals/{after}?baseline={foreign.id}")
    assert refused.status == 400 and b"choose a run of the dataset" in refused.body
    assert foreign.id not in visitor.visit(f"/evals/{after}").body.decode()
    assert visitor.visit(f"/evals/{after}?baseline=nothing").status == 404
    assert visitor.visit("/evals/nothing").status == 404


def test_resume_and_cancel(server: Server) -> None:
    """Whoever may ask models can ask again for what is lacking; others see the report only."""
    id = create_run(server, "refuses/m")
    visitor = Visitor(server)
    visitor.visit(f"/evals/{id}")
    assert visitor.submit(f"/evals/{id}/resume").status == 200
    assert visitor.submit(f"/evals/{id}/cancel").status == 200
    made = server.send("POST", "/v1/organization/admin_api_keys", {"name": "r", "scopes": ["read"]})
    reader = Visitor(server, key=made.json["value"])
    page = reader.visit(f"/evals/{id}").body.decode()
    assert "Calls of this run" in page and "Ask what is lacking" not in page
    assert reader.submit(f"/evals/{id}/resume").status == 403


def test_the_drawing_of_an_interval() -> None:
    """A mean is a dot, and its interval a line, which are also said in words."""
    summary = ScoreSummary(mean=0.5, interval=Interval(0.25, 0.75), samples=9, values=9, failed=0)
    drawn = draw_interval(summary)
    assert 'd="M30.0 8H90.0"' in drawn and 'cx="60.0"' in drawn
    assert 'aria-label="0.500, between 0.250 and 0.750"' in drawn
    none = ScoreSummary(mean=None, interval=None, samples=0, values=0, failed=9)
    assert draw_interval(none) == ""
