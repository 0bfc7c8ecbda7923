"""`briggs compare`, with a judge that grades what was answered and what would have been."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from briggs import Client, Refused
from briggs.types.completions import OWN_TAGS
from tests.cli.running import RunningServer, run
from tests.judges import upstream as models
from tests.processes import Seen, Server, Upstream, create_response, run_server

SCHEMA = {
    "type": "object",
    "required": ["stars"],
    "properties": {
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "words": {"type": "integer"},
    },
}


def answer_better(handler: Any, seen: Seen) -> None:
    handler.send_whole(200, json.dumps(create_response("stars 5")).encode())


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream(
        {"judge": models.surely, "babbling": models.saying("five!"), "better": answer_better}
    )
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("compare") / "data"
    price = '[prices."judge/m-1"]\ninput = 1\noutput = 2\n'
    with run_server(data, config=upstream.config() + price) as server:
        yield server


def record(client: Client, tag: str, count: int) -> None:
    for number in range(count):
        client.completions.create(
            {"model": "old", "messages": [{"role": "user", "content": f"Question {number}?"}]},
            create_response(f"stars {2 + number % 2}"),
            tags=[tag],
        )


def create_judge(client: Client, tag: str, provider: str = "judge") -> str:
    task = client.feedback_tasks.create(f"task-{tag}", SCHEMA, completion_tags_selector=[tag])
    return client.judges.create(task.id, f"{provider}/m-1", name=f"judge-{tag}").name


def test_compare(server: Server, upstream: Upstream) -> None:
    """The recorded answers cost nothing and are graded as blindly as the new ones."""
    with Client(server.url, server.key) as client:
        record(client, "asked", 12)
        name = create_judge(client, "asked")
        arguments = ("compare", "--filter", "tag = asked", "--targets", "better/m")
        there = RunningServer(server.url, server.key, server.data)
        done = run(
            *(*arguments, "--scorer", f"judge:{name}:stars", "--scorers", "exact"),
            *("--format", "json"),
            server=there,
        )
        assert done.status == 0, done.errors
        report = json.loads(done.output)
        recorded, better = report["targets"]
        assert (recorded["target"], recorded["answered"]) == ("recorded", 12)
        assert recorded["scores"]["exact"]["mean"] == 1.0
        # The judge is torn between a star and the one below it: 2.22 of 2, 3.. and 4.78 of 5.
        assert recorded["scores"][name]["mean"] < better["scores"][name]["mean"]
        by_scorer = {each["scorer"]: each for each in report["comparisons"]}
        assert by_scorer[name]["verdict"].startswith("Better by")
        assert by_scorer[name]["result"]["better"] == 12
        asked = [each.json["messages"][-1]["content"] for each in upstream.seen
                 if each.path.startswith("/better/")]  # fmt: skip
        assert sorted(asked) == sorted(f"Question {n}?" for n in range(12))
        judged = [each for each in upstream.seen if each.path.startswith("/judge/")]
        assert judged and all(b"better" not in each.body for each in judged)
        # Again: what evals, judges and Briggs's own probes asked is left out, and nothing is asked.
        for tag in OWN_TAGS:
            record(client, tag, 1)
        before = len(upstream.seen)
        again = run(*arguments[:2], "", *arguments[3:], "--format", "json", server=there)
        assert json.loads(again.output)["run"]["samples"] == 12
        assert len(upstream.seen) == before


def test_the_judges_cost_is_estimated(server: Server) -> None:
    """The estimate names what judges cost: first by their requests, then by what they did cost."""
    with Client(server.url, server.key) as client:
        record(client, "priced", 3)
        name = create_judge(client, "priced")
        client.datasets.create_from_completions("priced", "tag = priced", references="answer")
        scorer = {"kind": "judge", "judge": name, "field": "stars"}
        first = client.eval_runs.estimate("priced", ["recorded"], [scorer])
        assert (first.calls, first.cost_usd, first.judges_unpriced) == (0, 0.0, [])
        assert 0 < first.judge_cost_usd < 0.1
        made = client.eval_runs.create("priced", ["recorded"], [scorer])
        list(client.eval_runs.watch(made.id))
        then = client.eval_runs.estimate("priced", ["recorded"], [scorer])
        spent = sum(
            each.briggs.cost_usd or 0 for each in client.completions.list(tags=["judge"]).data[:3]
        )
        assert then.judge_cost_usd == pytest.approx(spent, rel=0.5)
        unpriced = create_judge(client, "babbled-too", "babbling")
        found = client.eval_runs.estimate("priced", ["recorded"], [{**scorer, "judge": unpriced}])
        assert found.judges_unpriced == ["judge"]


def test_judgements_that_fail(server: Server) -> None:
    """A judgement that cannot be read is no score, and a judge without a scale is refused."""
    with Client(server.url, server.key) as client:
        record(client, "babbled", 3)
        name = create_judge(client, "babbled", "babbling")
        client.datasets.create_from_completions("babbled", "tag = babbled", references="answer")
        scorer = {"kind": "judge", "judge": name, "field": "stars"}
        made = client.eval_runs.create("babbled", ["recorded"], [scorer])
        assert list(client.eval_runs.watch(made.id))[-1].answered == 3
        (target,) = client.eval_runs.report(made.id).targets
        summary = target.scores["judge"]
        assert (summary.mean, summary.failed) == (None, 3)
        assert summary.unscored == summary.reasons == {"the judgement could not be read": 3}
        for wrong, said in (
            ({"field": "words"}, "no scale with two ends"),
            ({"field": "nothing"}, "needs a 'field' of its judge's task: stars"),
            ({"judge": "nobody"}, "no judge 'nobody'"),
            ({"judge_version": 7}, "no version 7"),
        ):
            with pytest.raises(Refused) as refused:
                client.eval_runs.create("babbled", ["recorded"], [{**scorer, **wrong}])
            assert said in str(refused.value)


def test_samples_without_a_record(server: Server) -> None:
    """A sample that was not made of a completion has no recorded answer, which is a failure."""
    with Client(server.url, server.key) as client:
        client.datasets.create("made", [{"input": "x", "target": "y"}])
        made = client.eval_runs.create("made", ["recorded"], [{"kind": "exact"}])
        assert list(client.eval_runs.watch(made.id))[-1].failed == 1
        (target,) = client.eval_runs.report(made.id).targets
        assert target.failures == {"not_recorded": 1}
