"""The short form of `make torture`, and that what is wrong is seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest

from briggs.types.completions import Completion
from tests.processes import create_response
from tests.torture.calls import KINDS, UNRECORDED, Call, Draws, Fate, find_number
from tests.torture.check import Findings, judge_calls
from tests.torture.faults import FAULTS, list_faults
from tests.torture.house import StoreName
from tests.torture.report import describe, describe_part, describe_soak, describe_step
from tests.torture.run import Report, Step, draw_steps, run
from tests.torture.soak import Part, Soak, soak


@pytest.mark.parametrize(
    ("store", "faults"),
    [
        ("sqlite", ["kill-worker", "kill-server", "disk-full"]),
        ("postgresql", ["database-cut", "kill-database"]),
    ],
)
async def test_nothing_is_lost(store: StoreName, faults: Sequence[str]) -> None:
    """After each fault, all that was answered is on record once, byte for byte, and no more."""
    report = await run(seed=1, store=store, seconds=600, faults=faults, steps_max=len(faults))
    assert report.is_good, describe(report)
    assert {name for step in report.steps for name in step.faults} == {*faults}
    for step in report.steps:
        assert step.found.answered == step.found.recorded > 0, describe_step(step)


def test_every_fault_is_documented() -> None:
    """The page has a row for each."""
    page = Path("docs/torture.md").read_text()
    assert [name for name in FAULTS if f"| `{name}` |" not in page] == []


def test_a_seed_is_a_run() -> None:
    """A seed draws the same calls and faults each time, and another seed draws others."""
    assert [Draws(1).draw(number) for number in range(50)] == [
        Draws(1).draw(number) for number in range(50)
    ]
    assert [Draws(1).draw(number) for number in range(9)] != [
        Draws(2).draw(number) for number in range(9)
    ]
    names = list_faults("postgresql", nodes=1)
    first, again, other = (list(islice(draw_steps(seed, names), 60)) for seed in (1, 1, 2))
    assert first == again != other
    assert {name for _, faults in first for name in faults} == {*names}
    assert any(len(faults) == 2 for _, faults in first)


def test_every_fault_and_kind_is_drawn() -> None:
    """Each store has its faults, and a thousand calls have every kind."""
    assert {*list_faults("sqlite", nodes=9), *list_faults("postgresql", nodes=9)} == {*FAULTS}
    drawn = {Draws(1).draw(number, local=True)[0] for number in range(1000)}
    assert drawn == {*KINDS}


async def test_a_short_soak() -> None:
    """Each part is measured, and all that was answered in it is on record."""
    seen: list[Part] = []
    done = await soak(calls=200, store="sqlite", seed=1, on_part=seen.append)
    assert [part.calls for part in seen] == [*range(20, 201, 20)]
    for part in done.parts:
        assert part.found.problems == []
        assert part.found.answered == part.found.recorded > 0
        assert part.rss_mb > 0 and part.p99_ms >= part.p50_ms > 0


@pytest.mark.parametrize(
    ("rss_mb", "cpu_us", "problems"),
    [
        (150, 800, []),
        (199, 800, ["memory grew from 150 MB to 199 MB"]),
        (150, 1600, ["a call took 800 us, and then 1600 us"]),
    ],
)
def test_what_is_not_flat_is_seen(rss_mb: int, cpu_us: float, problems: list[str]) -> None:
    """Memory and CPU at the end are compared with those after a fifth of the calls."""
    parts = [Part(calls, 150, 800, 1, 2, 1, 100, Findings()) for calls in range(10, 100, 10)]
    last = Part(100, rss_mb, cpu_us, 1, 2, 1, 100, Findings())
    done = Soak("sqlite", 1, parts=[*parts, last])
    assert [*done.list_problems()] == problems
    assert all(f"WRONG {each}" in describe_soak(done) for each in problems)
    assert describe_part(last).startswith(f"| 100 | {rss_mb} | {cpu_us:,.0f} |")


REQUEST = json.dumps({"model": "ok/m", "messages": [{"role": "user", "content": "[call 1]"}]})
ANSWER = json.dumps(create_response()).encode()


INTERRUPTED = {"status": "failed", "failure_kind": "interrupted", "response": None}


def create_call(fate: Fate = "answered", answer: bytes = ANSWER) -> Call:
    status = 200 if fate == "answered" else 503
    return Call(1, "chat", REQUEST.encode(), {}, fate, status, "id", answer)


def create_row(**members: object) -> Completion:
    given: dict[str, object] = {"status": "finished", "response": ANSWER, "id": "id", **members}
    request = REQUEST.encode()
    return Completion(**{"request": request, "organization_id": "default", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "rows", "kind", "words"),
    [
        (create_call(), [], "lost", "is not on record"),
        (create_call(), [create_row(), create_row(id="two")], "doubled", "id and two"),
        (create_call(), [create_row(id="a", **INTERRUPTED), create_row()], "doubled", "a and id"),
        (create_call(), [create_row(response=ANSWER[:-1])], "changed", "another answer"),
        (create_call(), [create_row(request=b"{}")], "changed", "another request"),
        (create_call(), [create_row(status="failed")], "changed", "is failed"),
        (create_call(), [create_row(id="other")], "changed", "on record as other"),
        (create_call("refused", b"{}"), [], "lost", "not on record"),
        (create_call("refused", b"{}"), [create_row()], "changed", "is finished"),
    ],
)
def test_what_is_wrong_is_seen(call: Call, rows: list[Completion], kind: str, words: str) -> None:
    """A check that finds nothing wrong is of no use: each of these is found."""
    found = Findings()
    judge_calls({1: call}, {1: rows}, found)
    [problem] = getattr(found, kind)
    assert words in problem
    step = Step(1, ["calm"], found=found)
    assert not step.is_good and f"WRONG {problem}" in describe_step(step)
    assert "--seed 3 --step 1" in describe(Report(3, "sqlite", 1, steps=[step]))


@pytest.mark.parametrize(
    ("moments", "rows", "forgiven"),
    [
        ([100.5], [], {1}),
        ([100.5], [create_row(status="failed")], {1}),
        ([100.5], [create_row(response=ANSWER[:-1])], set()),
        ([200.0], [], set()),
        ([], [], set()),
    ],
)
def test_what_was_queued(moments: list[float], rows: list[Completion], forgiven: set[int]) -> None:
    """With "relaxed", only what was answered in the moments before a fault may be lost."""
    call = create_call()
    call.began_at, call.took_s = 99.0, 1.0
    found = Findings()
    judge_calls({1: call}, {1: rows}, found, moments=moments)
    assert found.forgiven == forgiven
    assert bool(found.problems) == (not forgiven)


@pytest.mark.parametrize(
    ("call", "rows"),
    [
        (create_call(), [create_row()]),
        (create_call("refused", UNRECORDED), []),
        (create_call("refused", b"{}"), [create_row(status="failed")]),
        (create_call("cut", b""), []),
        (create_call("left", b""), [create_row(status="failed")]),
    ],
)
def test_what_is_right_is_no_problem(call: Call, rows: list[Completion]) -> None:
    """A caller who got no answer has no claim, and one who got an error knows."""
    found = Findings()
    judge_calls({1: call}, {1: rows}, found)
    assert found.problems == []
    assert find_number(call.request) == 1
