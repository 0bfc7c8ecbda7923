"""A story from the first call to the export: an app logs, four people grade and may agree."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

import briggs
from tests.api.behaviours import ok
from tests.processes import Server, Upstream, run_server
from tests.waiting import PATIENCE_S

CALLS = 200
GRADERS = ("ann", "ben", "cleo", "dan")
WANTED = 2
SCHEMA = {
    "type": "object",
    "required": ["relevance", "safe"],
    "properties": {
        "relevance": {"type": "integer", "minimum": 1, "maximum": 5},
        "safe": {"type": "boolean"},
    },
}

Answers = dict[int, dict[str, dict[str, Any]]]
"""By the number of the question and the grader, the values."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream({"ok": ok})
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base_url = f"http://127.0.0.1:{upstream.port}/ok/v1"
    config = f'[providers.story]\nbase_url = "{base_url}"\n'
    folder = tmp_path_factory.mktemp("story")
    with run_server(folder / "data", config=config) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[briggs.Client]:
    with briggs.Client(server.url, server.key) as client:
        yield client


def test_the_story(
    server: Server, upstream: Upstream, client: briggs.Client, tmp_path: Path
) -> None:
    """An app logs 200 calls by three ways, a task selects 120, four grade at the same time.

    Nothing is graded more often than asked, agreement is what the definitions say, and the
    export holds all of it.
    """
    heard = run_app(server, upstream, spool=tmp_path)
    task = client.feedback_tasks.create(
        name="quality",
        json_schema=SCHEMA,
        completion_tags_selector=["story", "to-grade"],
        reviewers_wanted=WANTED,
    )
    recorded = {read_number(item.briggs.request): item for item in list_recorded(client)}
    assert sorted(recorded) == list(range(CALLS))
    assert Counter(item.briggs.source for item in recorded.values()) == {
        "gateway": 67,
        "client": 133,
    }
    assert {number: read_said(item.to_response()) for number, item in recorded.items()} == heard
    chosen = {number for number in range(CALLS) if "to-grade" in recorded[number].briggs.tags}
    assert len(chosen) == 120
    assert client.feedback_tasks.progress(task.id).matching == 120

    answers = grade_together(server, task.id)
    assert set(answers) == chosen
    assert {len(by_grader) for by_grader in answers.values()} == {WANTED}
    assert len({grader for by_grader in answers.values() for grader in by_grader}) == len(GRADERS)
    progress = client.feedback_tasks.progress(task.id)
    assert (progress.graded, progress.left, progress.in_progress) == (120, 0, 0)
    assert client.feedback_tasks.next(task.id, reviewer="late").completion is None
    assert list(client.completions.list_ungraded()) == []

    check_agreement(client.feedback_tasks.agreement(task.id).fields, answers)
    check_export(client.feedback.export(task_id=task.id), answers, heard)


def run_app(server: Server, upstream: Upstream, *, spool: Path) -> dict[int, str]:
    """What the app heard, by the number of its question."""
    variables = {
        "BRIGGS_URL": server.url,
        "BRIGGS_API_KEY": server.key,
        "BRIGGS_SPOOL": str(spool),
        "UPSTREAM_URL": f"http://127.0.0.1:{upstream.port}/ok/v1",
    }
    app = Path(__file__).with_name("story_app.py")
    # Without -P, `import briggs` would find the tests in tests/api/briggs.
    ended = subprocess.run(
        [sys.executable, "-P", str(app), str(CALLS)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 0, ended.stderr
    # What did not arrive in the moment that a program waits for at its end is sent by others.
    flushed = subprocess.run(
        [sys.executable, "-m", "briggs", "spool", "flush"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert flushed.returncode == 0, flushed.stderr
    return {int(number): said for number, said in json.loads(ended.stdout).items()}


def list_recorded(client: briggs.Client) -> Iterator[Any]:
    return client.completions.iterate(tags=["story"], include=["request"])


def read_number(request: Any) -> int:
    """The number of the question that a call asks."""
    return int(request["messages"][-1]["content"].split()[1])


def read_said(response: Any) -> str:
    return str(response.choices[0].message.content)


def grade_together(server: Server, task_id: str) -> Answers:
    """Everybody at once, each with a key of their own, until nothing is left."""
    begin = threading.Barrier(len(GRADERS))

    def grade_alone(name: str) -> list[tuple[int, dict[str, Any]]]:
        key = create_key(server, name)
        given = []
        with briggs.Client(server.url, key) as client:
            begin.wait(PATIENCE_S)
            while (item := client.feedback_tasks.next(task_id)).completion is not None:
                assert item.lease is not None
                assert item.lease.reviewer == name
                assert item.feedback == [], "the task is blind"
                number = read_number(item.completion.request)
                values = judge(name, number)
                feedback = client.feedback.create(
                    task_id, values, completion_ids=[item.completion.id], reviewer_kind="person"
                )
                assert feedback.reviewer == name
                given.append((number, values))
        return given

    answers: Answers = defaultdict(dict)
    with ThreadPoolExecutor(len(GRADERS)) as pool:
        for name, given in zip(GRADERS, pool.map(grade_alone, GRADERS), strict=True):
            for number, values in given:
                assert name not in answers[number], "nobody is asked twice"
                answers[number][name] = values
    return answers


def create_key(server: Server, name: str) -> str:
    """The key of somebody who grades and may do nothing else."""
    with briggs.Client(server.url, server.key) as client:
        made = client.keys.create(name, scopes=["read", "grade"])
    assert isinstance(made.value, str)
    return made.value


def judge(name: str, number: int) -> dict[str, Any]:
    """What a grader says: mostly what the others say, and always the same."""
    chance = random.Random(f"{name} {number}")
    off = chance.choice([0, 0, 0, 0, 1, -1])
    return {
        "relevance": min(max(number % 5 + 1 + off, 1), 5),
        "safe": (number % 7 != 0) != (chance.random() < 0.1),
    }


def check_agreement(fields: dict[str, Any], answers: Answers) -> None:
    """The server's figures against those that follow from the definitions, pair by pair."""
    for field, differ in (("relevance", differ_in_order), ("safe", differ_at_all)):
        units = [[values[field] for values in each.values()] for each in answers.values()]
        everything = [value for unit in units for value in unit]
        found = fields[field]["agreement"]
        assert (found["ratings"], found["units"]) == (240, 120)
        assert found["reviewers"] == list(GRADERS)
        assert found["percent"] == pytest.approx(mean(a == b for a, b in units))
        assert found["cohens_kappa"] is None, "there are more than two reviewers"
        is_number = field == "relevance"
        assert found["fleiss_kappa"] == pytest.approx(fleiss(units, is_number=is_number))
        counts = Counter(everything)
        assert found["krippendorffs_alpha"] == pytest.approx(
            1
            - mean(differ(a, b, counts) for a, b in units)
            / mean(differ(a, b, counts) for a, b in permutations(everything, 2))
        )
        assert sum(map(sum, found["confusion"]["counts"])) == 120
        assert fields[field]["mean"]["mean"] == pytest.approx(mean(everything))
        assert fields[field]["by_tag"]["to-grade"]["ratings"] == 240


def fleiss(units: list[list[Any]], *, is_number: bool) -> float:
    """Fleiss (1971), from all pairs; of numbers with quadratic weights."""
    everything = [value for unit in units for value in unit]

    def differ(a: Any, b: Any) -> float:
        return float((a - b) ** 2 if is_number else a != b)

    observed = mean(differ(a, b) for unit in units for a, b in permutations(unit, 2))
    expected = mean(differ(a, b) for a in everything for b in everything)
    return 1 - observed / expected


def differ_at_all(a: Any, b: Any, counts: Counter[Any]) -> float:
    return float(a != b)


def differ_in_order(a: Any, b: Any, counts: Counter[Any]) -> float:
    """Krippendorff (2011): the square of how many values lie between, the ends by half."""
    low, high = min(a, b), max(a, b)
    between = sum(count for value, count in counts.items() if low <= value <= high)
    distance: float = between - (counts[a] + counts[b]) / 2
    return distance * distance


def check_export(lines: Iterator[dict[str, Any]], answers: Answers, heard: dict[int, str]) -> None:
    """Every answer once, each with the task as it was and the whole call."""
    exported: Answers = defaultdict(dict)
    for line in lines:
        (completion,) = line["completions"]
        feedback, number = line["feedback"], read_number(completion["request"])
        assert feedback["matched_completion_ids"] == [completion["id"]]
        assert feedback["reviewer"] not in exported[number]
        exported[number][feedback["reviewer"]] = feedback["json_values"]
        assert (line["task"]["version"], line["task"]["json_schema"]) == (1, SCHEMA)
        assert completion["response"]["choices"][0]["message"]["content"] == heard[number]
    assert exported == answers
