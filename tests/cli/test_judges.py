"""`briggs judges`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.briggs.test_feedback import create_task, grade
from tests.api.briggs.test_judges import BEHAVIOURS, SCHEMA, record
from tests.cli.running import RunningServer, plain, run, show
from tests.judges import upstream as models
from tests.processes import Server, Upstream, run_server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with judges' models behind it, and a task with three completions."""
    upstream = Upstream(BEHAVIOURS)
    folder: Path = tmp_path_factory.mktemp("judges") / "data"
    keyless = (
        '[providers.keyless]\nbase_url = "http://127.0.0.1:9/v1"\nkey_variable = "KEY_OF_NOBODY"\n'
    )
    with run_server(folder, config=keyless + upstream.config() + models.PRICES) as server:
        create_task(server, "a", name="quality", json_schema=SCHEMA)
        for stars in (2, 4, 4):
            record(server, "a", stars)
        yield server
    upstream.close()


@pytest.fixture
def server(served: Server) -> RunningServer:
    return RunningServer(served.url, served.key, served.data)


def test_a_judge_is_made_and_grades(server: RunningServer) -> None:
    """From a task and a model; a run prints what it did, and what it lacks comes first."""
    made = run("judges", "create", "--task", "quality", "--model", "judge/m-1", server=server)
    assert made.status == 0, made.errors
    assert made.lines[0]["name"] == "quality-judge" and "no examples" in made.errors
    done = run("judges", "run", "quality-judge", "--budget", "2", server=server)
    assert (done.lines[0]["judged"], done.lines[0]["lacking"]) == (3, 0)
    assert done.errors == "3 judged (1 without a call). Cost: $0.01.\n"
    said = run("judges", "judgements", "quality-judge", server=server).lines
    assert [each["json_values"] for each in said] == [{"stars": 4}, {"stars": 4}, {"stars": 2}]
    id = said[0]["completion_id"]
    again = run("judges", "judge", "quality-judge", id[-8:], server=server)
    assert again.lines[0]["call_ids"] == said[0]["call_ids"]


def test_what_is_lacking_is_said_first(server: RunningServer) -> None:
    """A run of a judge that cannot answer says how many have no judgement, and why."""
    options = ("--task", "quality", "--model", "cut/m-1", "--name", "cut")
    run("judges", "create", *options, server=server)
    done = run("judges", "run", "cut", "--limit", "2", server=server)
    assert done.errors.splitlines()[:2] == [
        "2 of 2 completions have no judgement: 2 were cut off.",
        "  was cut off, for example: The answer was cut off: raise 'max_tokens'.",
    ]
    for command in ("trust", "estimates"):
        _, shown = show("judges", command, "cut", server=server)
        assert plain(shown).startswith("Failed judgements: 2 were cut off.")
    failed = run("judges", "judgements", "cut", "--failed", "--limit", "1", server=server).lines
    said = run("judges", "judge", "cut", failed[0]["completion_id"], server=server)
    assert said.errors == "No judgement: The answer was cut off: raise 'max_tokens'.\n"


def test_a_judge_is_changed_watched_and_deleted(server: RunningServer) -> None:
    """Each change prints it; its versions can be shown; its runs are listed and stopped."""
    options = ("--task", "quality", "--model", "judge/m-1", "--name", "mine")
    run("judges", "create", *options, "--examples", "2", server=server)
    changed = run("judges", "update", "mine", "--samples", "2", server=server).lines[0]
    assert (changed["version"], changed["examples_shown"], changed["samples"]) == (2, 2, 2)
    learnt = run("judges", "update", "mine", "--learn", server=server).lines[0]
    assert learnt["version"] == 3
    shown = run("judges", "show", "mine", "--version", "1", server=server).lines[0]
    assert shown["samples"] == 3
    assert "no version 9" in run("judges", "show", "mine", "--version", "9", server=server).errors
    watched = run("judges", "watch", "mine", "--sample", "0.5", "--budget", "1", server=server)
    assert watched.lines[0]["watch"] == {"filter": "", "sample": 0.5, "budget_usd": 1.0}
    assert run("judges", "watch", "mine", "--off", server=server).lines[0]["watch"] is None
    assert run("judges", "watch", "mine", "--off", "--budget", "1", server=server).status == 2
    begun = run("judges", "run", "mine", "--no-wait", server=server).lines[0]
    assert run("judges", "stop", "mine", begun["id"], server=server).status == 0
    assert run("judges", "runs", "mine", server=server).lines[0]["id"] == begun["id"]
    assert "mine" in run("judges", "list", server=server).output
    assert run("judges", "delete", "mine", server=server).status == 0
    assert run("judges", "show", "mine", server=server).status == 1


def test_a_run_that_judges_nothing_fails(server: RunningServer) -> None:
    """A model that cannot be asked ends the run at once, with the reason and status 1."""
    options = ("--task", "quality", "--model", "keyless/m-1", "--name", "keyless")
    run("judges", "create", *options, server=server)
    done = run("judges", "run", "keyless", server=server)
    assert done.status == 1
    assert "KEY_OF_NOBODY" in done.errors
    assert done.lines[0]["judged"] == 0


def test_lists_are_tables_on_a_terminal(server: RunningServer) -> None:
    """Of judges, runs and judgements."""
    options = ("--task", "quality", "--model", "judge/m-1", "--name", "tables")
    run("judges", "create", *options, server=server)
    run("judges", "watch", "tables", "--sample", "0.25", "--budget", "1", server=server)
    run("judges", "run", "tables", server=server)
    for command, parts in (
        (("list",), ("tables", "judge/m-1", "25%, $1.00 a day")),
        (("runs", "tables"), ("lacking", "finished")),
        (("judgements", "tables"), ('{"stars":4}', "stars 3.78", "90%")),
    ):
        status, shown = show("judges", *command, server=server, width=160)
        assert status == 0
        for part in parts:
            assert part in plain(shown)
    status, shown = show("judges", "run", "tables", server=server)
    assert status == 0 and "3 of 3" in plain(shown)


def test_trust_is_a_sentence_and_a_table(server: RunningServer, served: Server) -> None:
    """With intervals; a figure without one is not shown. In a pipe it is JSON."""
    task = create_task(served, "graded", name="graded", json_schema=SCHEMA)
    options = ("--task", "graded", "--model", "judge/m-1", "--name", "trusted")
    run("judges", "create", *options, server=server)
    for number in range(24):
        id = record(served, "graded", 1 + number % 5, f"number {number}")
        for reviewer in ("ann", "ben"):
            stars = 1 + (number + (reviewer == "ben" and number % 6 == 0)) % 5
            grade(served, task, id, json_values={"stars": stars}, reviewer=reviewer)
    status, shown = show("judges", "trust", "trusted", server=server)
    assert status == 0 and plain(shown).startswith("24 completions that people graded have no")
    run("judges", "run", "trusted", server=server)
    status, shown = show("judges", "trust", "trusted", server=server, width=120)
    for part in (
        "stars: As good as a second reviewer.",
        "people among each other (24 completions)",
        "judge, calibrated",
        "calibration error",
        "No sign that the length of an answer moves it.",
    ):
        assert part in plain(shown)
    status, shown = show("judges", "estimates", "trusted", server=server, width=120)
    assert status == 0
    for part in ("24 judged, 24 of them graded by people.", "people alone", "tag graded", "week "):
        assert part in plain(shown)
    piped = run("judges", "estimates", "trusted", server=server).lines[0]
    assert piped["fields"][0]["all"]["both"]["known"] == 24
    piped = run("judges", "trust", "trusted", "--version", "1", server=server).lines[0]
    assert piped["fields"][0]["verdict"] == "as_good"


def test_a_reviewer_is_suggested_to(served: Server, server: RunningServer) -> None:
    """`+` takes what the judge says, before an answer, or after it in a blind task."""
    for tag, keys, told in (
        ("open", "+ 1", [(1, "rejected"), (2, "accepted")]),
        ("blind", "1 + 3 k", [(3, "rejected"), (2, "accepted")]),
    ):
        create_task(served, tag, name=f"{tag}-stars", json_schema=SCHEMA)
        for stars in (2, 4):
            record(served, tag, stars, f"{tag} {stars}")
        made = f"{tag}-stars-judge"
        run("judges", "create", "--task", f"{tag}-stars", "--model", "judge/m-1", server=server)
        assert run("judges", "run", made, server=server).status == 0
        options = ("--suggesting-judge", made, f"--{tag}")
        assert run("feedback-task", "update", f"{tag}-stars", *options, server=server).status == 0
        said = "".join(f"{key}\n" for key in keys.split())
        command = ("feedback", "grade", "--piped", "--task", f"{tag}-stars", "--reviewer", "ann")
        graded = run(*command, input=said, server=server)
        assert graded.status == 0 and f"{made} suggests" in graded.output, graded.errors
        listed = run("feedback", "list", "--task", f"{tag}-stars", server=server).lines
        assert told == [
            (each["json_values"]["stars"], each["suggestion"]["outcome"])
            for each in listed
            if each["reviewer"] == "ann"
        ]
    _, shown = show("judges", "trust", "open-stars-judge", server=server)
    assert "Its suggestions: 1 accepted, 0 edited, 1 rejected, 0 agreed" in shown
    assert "2 grades were given while a suggestion was seen: they do not count" in shown
