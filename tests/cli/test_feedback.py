"""`briggs feedback-task` and `briggs feedback`, but for grading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import RunningServer, create_completions, plain, run, show

SCHEMA = {
    "type": "object",
    "required": ["relevance"],
    "properties": {
        "relevance": {"type": "integer", "minimum": 1, "maximum": 5},
        "note": {"type": "string"},
    },
}


def create_task(server: RunningServer, name: str, *options: str) -> dict[str, Any]:
    """A task that completions with the tag of its name await."""
    schema = json.dumps(SCHEMA)
    made = run(
        *["feedback-task", "create", "--name", name, "--task-schema", schema, *options],
        *["--completion-tags-selector", name],
        server=server,
    )
    assert made.status == 0, made.errors
    task: dict[str, Any] = made.lines[0]
    return task


def give(server: RunningServer, task: str, relevance: int, *options: str) -> dict[str, Any]:
    """Feedback, as the command prints it."""
    values = json.dumps({"relevance": relevance})
    command = ["feedback", "create", "--task", task, "--values", values, *options]
    made = run(*command, server=server)
    assert made.status == 0, made.errors
    feedback: dict[str, Any] = made.lines[0]
    return feedback


def test_a_task_by_the_words_of_log10(server: RunningServer, tmp_path: Path) -> None:
    """Log10's options make a task; the schema may be in a file."""
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    made = run(
        *["feedback-task", "create", "--name", "of log10", "--task_schema", f"@{path}"],
        *["--instruction", "Be fair.", "--completion_tags_selector", "one, two"],
        server=server,
    )
    (task,) = made.lines
    assert task["json_schema"] == SCHEMA
    assert task["completion_tags_selector"] == ["one", "two"]
    assert task["instruction"] == "Be fair."
    listed = run("feedback-task", "list", "--limit=1", "--offset=0", server=server).lines
    assert listed == [task]
    for named in (task["id"], task["id"][-8:], "Of Log10"):
        (found,) = run("feedback-task", "get", "--id", named, server=server).lines
        assert found["id"] == task["id"]
        assert found["progress"]["matching"] == 0


def test_feedback_by_id_and_by_tags(server: RunningServer) -> None:
    """Feedback is about the completions of an id or its end, or of tags."""
    task = create_task(server, "by-tags")
    first, second = create_completions(server, "1", "2", tags=["by-tags"])
    by_id = give(server, "by-tags", 3, "--completion", first[-8:], "--rationale=relevance=so so")
    assert by_id["matched_completion_ids"] == [first]
    assert by_id["rationale"] == {"relevance": "so so"}
    options = ["--completion_tags_selector=by-tags", "--comment=both", "--reviewer=ann"]
    by_tags = give(server, task["id"], 5, *options, "--corrected=Better so.")
    assert set(by_tags["matched_completion_ids"]) == {first, second}
    assert (by_tags["reviewer"], by_tags["comment"]) == ("ann", "both")
    assert by_tags["corrected_output"] == "Better so."
    for named in (["--id", by_id["id"]], [by_id["id"][-8:]]):
        assert run("feedback", "get", *named, server=server).lines == [by_id]


def test_list_and_download_with_filters(server: RunningServer, tmp_path: Path) -> None:
    """A filter and a page cut the list and the download alike; a file is written whole."""
    create_task(server, "filtered")
    (id,) = create_completions(server, "x", tags=["filtered"])
    given = [give(server, "filtered", n, "--completion", id, f"--reviewer=r{n}") for n in (1, 2, 4)]
    chosen = ["--task", "filtered", "--filter", "relevance <= 2"]
    assert run("feedback", "list", *chosen, server=server).lines == [given[1], given[0]]
    assert run("feedback", "download", *chosen, server=server).lines == [given[1], given[0]]
    page = ["--task", "filtered", "--limit=1", "--offset=1"]
    assert run("feedback", "list", *page, server=server).lines == [given[1]]
    assert run("feedback", "download", *page, server=server).lines == [given[1]]

    file = tmp_path / "graded.jsonl"
    done = run("feedback", "download", "-f", str(file), *page, "--completions", server=server)
    assert (done.status, done.output) == (0, "")
    (line,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert line["feedback"] == given[1]
    assert line["task"]["json_schema"] == SCHEMA
    assert [completion["id"] for completion in line["completions"]] == [id]
    assert line["completions"][0]["response"]["choices"][0]["message"]["content"] == "You said: x"


def test_feedback_on_a_terminal(server: RunningServer) -> None:
    """Tables say what was given, by whom, about what, and how much more there is."""
    create_task(server, "tabled", "--instruction", "Read it twice.")
    (id,) = create_completions(server, "x", tags=["tabled"])
    for reviewer in ("ann", "ben"):
        give(server, "tabled", 4, "--completion", id, f"--reviewer={reviewer}")
    options = ["--task=tabled", "--limit=1"]
    _, shown = show("feedback", "list", *options, server=server, NO_COLOR="1", width=140)
    assert "relevance=4" in shown
    assert "ben" in shown
    assert id[-8:] in shown
    assert "1 of 2" in shown
    _, shown = show("feedback-task", "list", server=server, NO_COLOR="1", width=140)
    assert "Read it twice." in shown
    _, shown = show("feedback-task", "get", "tabled", server=server)
    assert '"progress"' in shown
    _, shown = show("feedback", "list", "--filter=comment = nobody", server=server)
    assert "No feedback matches." in shown


def test_agreement(server: RunningServer) -> None:
    """How far two reviewers agree: a row a field on a terminal, everything in a pipe."""
    create_task(server, "agreed")
    ids = create_completions(server, *map(str, range(4)), tags=["agreed"])
    for number, id in enumerate(ids):
        give(server, "agreed", 1 + number % 2, "--completion", id, "--reviewer=ann")
        give(server, "agreed", 1 + number // 2, "--completion", id, "--reviewer=ben")
    (report,) = run("feedback-task", "agreement", "agreed", server=server).lines
    found = report["fields"]["relevance"]
    assert (found["agreement"]["percent"], found["agreement"]["cohens_kappa"]) == (0.5, 0.0)
    assert found["by_tag"]["agreed"] == {"mean": 1.5, "ratings": 8}
    _, shown = show("feedback-task", "agreement", "agreed", server=server)
    (line,) = [line for line in plain(shown).splitlines() if line.startswith("relevance")]
    few = ["too", "few", "to", "say"]
    assert line.split() == ["relevance", "8", "4", "50%", "0.12", *few, "0.00", *few, "1.50"]
    assert "Krippendorff" in shown
    other = run("feedback-task", "agreement", "agreed", "--task-version=1", server=server)
    assert other.lines == [report]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--values", "[1]"], "no JSON object"),
        (["--values", "@nowhere.json"], "no JSON object"),
        (["--values", "{}"], "say what it is about"),
        (["--values", "{}", "--completion=x", "--completion-tags-selector=y"], "not both"),
    ],
)
def test_wrong_usage(server: RunningServer, options: list[str], said: str) -> None:
    """What cannot be meant is refused before anything is sent."""
    done = run("feedback", "create", "--task", "x", *options, server=server)
    assert (done.status, done.output) == (2, "")
    assert said in done.errors


def test_what_the_server_refuses_is_one_line(server: RunningServer) -> None:
    """Wrong values, fields and names end with 1 and the server's words."""
    create_task(server, "strict")
    (id,) = create_completions(server, "x", tags=["strict"])
    commands = {
        "greater than the maximum": [
            *["create", "--task=strict", "--values", '{"relevance": 9}', f"--completion={id}"]
        ],
        "Did you mean 'relevance'?": ["list", "--task=strict", "--filter=relevanse = 1"],
        "no feedback task 'nowhere'": ["list", "--task=nowhere"],
        "no feedback 'nowhere'": ["get", "nowhere"],
    }
    for said, command in commands.items():
        done = run("feedback", *command, server=server)
        assert (done.status, done.output) == (1, ""), command
        assert said in done.errors
        assert len(done.errors.splitlines()) == 1


def test_a_name_of_two_tasks(server: RunningServer) -> None:
    """A name that two tasks have is an error that names both."""
    ids = [create_task(server, "of two")["id"] for _ in range(2)]
    done = run("feedback-task", "get", "of two", server=server)
    assert done.status == 1
    assert all(id in done.errors for id in ids)
