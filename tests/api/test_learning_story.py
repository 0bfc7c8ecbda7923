"""One story through real processes: people grade, a judge learns, and models are compared."""

from __future__ import annotations

import json
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from briggs import Client
from briggs.client import JudgeRun
from briggs.estimates.calibration import fit_line
from tests.drift.test_watches import Noisy
from tests.judges import upstream as models
from tests.processes import Seen, Upstream, create_response, run_server
from tests.waiting import PATIENCE_S, wait_for

COUNT, GRADED, REVIEWERS = 400, 120, ("ann", "ben", "cat")
SCHEMA = {
    "type": "object",
    "required": ["stars"],
    "properties": {"stars": {"type": "integer", "minimum": 1, "maximum": 5}},
}
SUMS = [{"id": f"sum-{n}", "input": f"{n} + {n}?", "target": str(2 * n)} for n in range(40)]
WRONG = {"old": {5, 21}, "new": {3, 7, 11, 30, 31, 32, 33, 34}}
"""The sums that each model gets wrong."""
AT_ONCE, WINDOW = 4, 8


def find_quality(case: int) -> float:
    """How good an answer is, which nobody sees as it is."""
    return random.Random(case).uniform(1, 5)


def grade(case: int, reviewer: str) -> int:
    """What a reviewer says: they differ by half a star."""
    return round(
        min(max(find_quality(case) + random.Random(f"{case}{reviewer}").gauss(0, 0.5), 1), 5)
    )


class Models:
    """The judge, whose stars are too many and a little noisy, and the models of the eval."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.noisy = Noisy()
        self.upstream = Upstream(
            {"judge": self.judge, "old": self.add, "new": self.add, "noisy": self.noisy.answer}
        )

    def judge(self, handler: Any, seen: Seen) -> None:
        case = int(models.read_subject(seen)["answered"].rpartition(" ")[2])
        said = 2.2 + 0.55 * (find_quality(case) - 1) + random.Random(-case - 1).gauss(0, 0.15)
        low = min(max(int(said), 1), 4)
        share = min(max(said - low, 0.05), 0.95)
        stars = low if share < 0.5 else low + 1
        shares = {str(low): 1 - share, str(low + 1): share}
        handler.send_whole(200, models.write_answer({"stars": stars, "reason": "so"}, shares))

    def add(self, handler: Any, seen: Seen) -> None:
        self.open.wait(PATIENCE_S)
        number = int(seen.json["messages"][-1]["content"].split()[0])
        wrong = number in WRONG[seen.path.split("/")[1]]
        said = "no idea" if wrong else str(2 * number)
        handler.send_whole(200, json.dumps(create_response(said)).encode())

    def list_sums(self) -> list[Seen]:
        return [each for each in [*self.upstream.seen] if each.path.startswith(("/old/", "/new/"))]

    def wait_for(self, count: int) -> None:
        wait_for(lambda: len(self.list_sums()) >= count)


@pytest.fixture
def those() -> Iterator[Models]:
    those = Models()
    yield those
    those.open.set()
    those.upstream.close()


def test_the_story(tmp_path: Path, those: Models) -> None:
    """Each step builds on the one before, and a kill loses nothing."""
    config, data = those.upstream.config() + models.PRICES, tmp_path / "data"
    with run_server(data, config=config) as server, Client(server.url, server.key) as client:
        let_a_judge_learn(client)
        client.datasets.create("sums", SUMS)
        targets, scorers = ["old/m", "new/m"], [{"kind": "includes"}]
        run = client.eval_runs.create("sums", targets, scorers, concurrency=AT_ONCE)
        kill(those, server, 10)
    with run_server(data, config=config) as server:
        kill(those, server, 30)
    with run_server(data, config=config) as server, Client(server.url, server.key) as client:
        finish_the_eval(client, those, run.id)
        notice_a_change(client, those.noisy)


def let_a_judge_learn(client: Client) -> None:
    """The judge is calibrated, trusted as it deserves, and grades the rest within its budget."""
    ids = [record(client, case) for case in range(COUNT)]
    graded = sorted(random.Random(3).sample(range(COUNT), GRADED))
    task = client.feedback_tasks.create("quality", SCHEMA, completion_tags_selector=["story"])
    for case in graded:
        for reviewer in REVIEWERS:
            client.feedback.create(
                task.id,
                {"stars": grade(case, reviewer)},
                completion_ids=[ids[case]],
                reviewer=reviewer,
                reviewer_kind="person",
            )
    judge = client.judges.create(task.id, "judge/m-1", name="story", samples=1)
    assert judge.examples >= 8
    first = wait(client, client.judges.create_run(judge.id, filter="graded = people"))
    assert (first.status, first.judged, first.lacking) == ("finished", GRADED, 0)

    # The sentence of trust matches the error on grades that nobody has given yet.
    [field] = client.judges.trust(judge.id).fields
    assert (field["graded"], field["shared"]) == (GRADED, GRADED)
    assert field["verdict"] == "as_good", field["sentence"]
    assert field["sentence"].startswith("As good as a second reviewer.")
    calibration = field["calibration"]
    assert calibration["error_after"] < calibration["error_before"] / 2
    assert field["calibrated"]["error"]["value"] < field["judge"]["error"]["value"]

    # It grades the rest, and never spends more than it may.
    small = wait(client, client.judges.create_run(judge.id, budget_usd=20 * models.COST_USD))
    assert small.status == "stopped" and small.cost_usd <= 20 * models.COST_USD + 1e-9
    budget = COUNT * models.COST_USD
    rest = wait(client, client.judges.create_run(judge.id, budget_usd=budget))
    assert (rest.status, rest.lacking) == ("finished", 0) and rest.cost_usd <= budget
    scores = read_scores(client, judge.id, ids)
    assert len(scores) == COUNT
    check_held_out(field, scores, graded)

    # Every answer's mean grade, which nobody could afford to collect, is within the interval.
    truth = fmean(fmean(grade(case, each) for each in REVIEWERS) for case in range(COUNT))
    [means] = client.judges.estimates(judge.id).fields
    people, both = means["all"]["people"]["interval"], means["all"]["both"]["interval"]
    assert both["low"] <= truth <= both["high"] and people["low"] <= truth <= people["high"]
    assert both["high"] - both["low"] < people["high"] - people["low"]


def record(client: Client, case: int) -> str:
    request = {"model": "m", "messages": [{"role": "user", "content": "Tell me."}]}
    return client.completions.create(request, create_response(f"case {case}"), tags=["story"]).id


def wait(client: Client, run: JudgeRun) -> JudgeRun:
    wait_for(lambda: client.judges.retrieve_run(run.judge_id, run.id).status != "running")
    return client.judges.retrieve_run(run.judge_id, run.id)


def read_scores(client: Client, judge: str, ids: Sequence[str]) -> dict[int, float]:
    """What the judge expects of each case."""
    cases = {id: case for case, id in enumerate(ids)}
    found: dict[int, float] = {}
    for offset in range(0, COUNT, 100):
        for each in client.judges.list_judgements(judge, limit=100, offset=offset):
            found[cases[each.completion_id]] = each.scores["stars"]
    return found


def check_held_out(field: Any, scores: dict[int, float], graded: Sequence[int]) -> None:
    """The error that the report promises is that on completions without grades."""
    means = [fmean(grade(case, each) for each in REVIEWERS) for case in graded]
    scale = fit_line([scores[case] for case in graded], means)
    rest = sorted(scores.keys() - {*graded})
    error = fmean(
        abs(grade(case, each) - scale(scores[case])) for case in rest for each in REVIEWERS
    )
    promised = field["calibrated"]["error"]
    assert promised["interval"]["low"] - 0.05 < error < promised["interval"]["high"] + 0.05


def kill(those: Models, server: Any, seen: int) -> None:
    """Kill a server once its run has asked so much."""
    those.wait_for(seen)
    those.open.clear()
    server.stop(signal.SIGKILL)
    those.open.set()


def finish_the_eval(client: Client, those: Models, id: str) -> None:
    """Nothing was asked twice, and the report names the samples that flipped, with their pages."""
    over = list(client.eval_runs.watch(id))[-1]
    assert over.failed <= 2 * AT_ONCE
    asked = Counter((each.path, each.body) for each in those.list_sums())
    assert {*asked.values()} == {1}
    # What was being asked at the kills may have reached the models: only a person asks it again.
    client.eval_runs.resume(id)
    over = list(client.eval_runs.watch(id))[-1]
    assert (over.status, over.answered) == ("finished", 2 * len(SUMS))
    [compared] = client.eval_runs.report(id).comparisons
    assert {*compared.flipped_down} == {f"sum-{n}" for n in WRONG["new"] - WRONG["old"]}
    assert {*compared.flipped_up} == {f"sum-{n}" for n in WRONG["old"] - WRONG["new"]}
    assert all(each.completion_id and each.baseline_completion_id for each in compared.flipped)
    assert "samples find one of" in compared.verdict or compared.verdict.startswith("Worse")


def notice_a_change(client: Client, noisy: Noisy) -> None:
    """An unchanged model is not noticed, and a changed one is, once."""
    client.drift.create("noisy/m-1", window_rounds=WINDOW)
    assert all(client.drift.ask("noisy/m-1") is None for _ in range(2 * WINDOW + 2))
    noisy.shift = 0.2
    found = [change for _ in range(WINDOW) if (change := client.drift.ask("noisy/m-1"))]
    assert len(found) == 1 and "(p < 0.001)" in found[0].text
