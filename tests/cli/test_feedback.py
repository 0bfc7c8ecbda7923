"""`briggs feedback-task` and `briggs feedback`, but for grading."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import (
    RunningServer,
    create_completions,
    open_terminal,
    plain,
    run,
    show,
)

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


def test_agreement_on_a_narrow_terminal(server: RunningServer) -> None:
    """At 80 columns each field is one line, and a note says how to see kappa."""
    create_task(server, "narrow-agreed")
    (id,) = create_completions(server, "a", tags=["narrow-agreed"])
    for name in ("ann", "ben"):
        give(server, "narrow-agreed", 3, "--completion", id, "--reviewer", name)
    _, shown = show("feedback-task", "agreement", "narrow-agreed", server=server, width=72)
    (line,) = [line for line in plain(shown).splitlines() if line.startswith("relevance")]
    assert line.split()[-5:] == ["too", "few", "to", "say", "3.00"]
    assert "kappa" in plain(shown)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--values", "[1]"], "not a JSON object"),
        (["--values", "@nowhere.json"], "not a JSON object"),
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


def test_a_task_is_updated_and_archived(server: RunningServer) -> None:
    """Only what is named changes, every version is shown, and an archived task asks no more."""
    create_task(server, "grown")
    update = ["feedback-task", "update", "grown"]
    done = run(*update, "--instruction=Be fair.", "--hide-model", "--reviewers=2", server=server)
    (task,) = done.lines
    assert (task["instruction"], task["hide_model"], task["reviewers_wanted"]) == (
        "Be fair.", True, 2,
    )  # fmt: skip
    assert (task["json_schema"], task["version"]) == (SCHEMA, 2)
    assert "version 2" in done.errors
    (task,) = run(*update, "--show-model", "--name=Grown up", server=server).lines
    assert (task["hide_model"], task["name"], task["version"]) == (False, "Grown up", 2)
    versions = run("feedback-task", "versions", "grown up", server=server).lines
    assert [each["instruction"] for each in versions] == ["", "Be fair."]
    _, shown = show("feedback-task", "versions", "grown up", server=server, NO_COLOR="1")
    assert "a whole number from 1 to 5" in shown
    _, shown = show("feedback-task", "progress", "grown up", server=server, NO_COLOR="1")
    assert "0 of 0 graded" in shown
    nothing = run("feedback-task", "update", "grown up", server=server)
    assert (nothing.status, nothing.output) == (2, "")
    refused = run("feedback-task", "archive", "grown up", server=server)
    assert refused.status == 2 and "--yes" in refused.errors
    assert run("feedback-task", "archive", "grown up", "--yes", server=server).status == 0
    assert run("feedback-task", "get", "grown up", server=server).status == 1


def test_feedback_is_edited(server: RunningServer) -> None:
    """A field is set by itself; what is not named, and what is no field, stays."""
    create_task(server, "edited")
    (id,) = create_completions(server, "x", tags=["edited"])
    values = '{"relevance": 3, "note": "n", "more": [1]}'
    command = ["feedback", "create", "--task=edited", f"--completion={id}", "--rationale=note=why"]
    (given,) = run(*command, "--values", values, "--comment=c", server=server).lines
    edit = ["feedback", "edit", given["id"][-8:]]
    (edited,) = run(*edit, "--set=relevance=4", "--rationale=relevance=so", server=server).lines
    assert edited["json_values"] == {"relevance": 4, "note": "n", "more": [1]}
    assert edited["rationale"] == {"note": "why", "relevance": "so"}
    (edited,) = run(*edit, "--set=note=", "--comment=", "--rationale=note=", server=server).lines
    assert (edited["json_values"], edited["comment"]) == ({"relevance": 4, "more": [1]}, "")
    assert (edited["rationale"], edited["version"]) == ({"relevance": "so"}, 3)
    (edited,) = run(*edit, "--values", '{"relevance": 1}', "--corrected=No.", server=server).lines
    assert (edited["json_values"], edited["corrected_output"]) == ({"relevance": 1}, "No.")
    for option, said in {
        "--set=mood=1": "no field 'mood'",
        "--set=relevance=9": "a whole number from 1 to 5",
        "--json": "No such option",
    }.items():
        done = run(*edit, option, server=server)
        assert (done.status, done.output) == (2, "") and said in done.errors
    assert "say what to change" in run(*edit, server=server).errors


def test_feedback_is_edited_on_a_terminal(server: RunningServer) -> None:
    """Without options the completion is shown, and return keeps each value."""
    create_task(server, "edited by hand")
    (id,) = create_completions(server, "look at me", tags=["edited by hand"])
    given = give(server, "edited by hand", 3, "--completion", id)
    with open_terminal("feedback", "edit", given["id"], server=server, NO_COLOR="1") as terminal:
        terminal.wait_for("You said: look at me")
        terminal.wait_for("return keeps 3")
        terminal.type("5")
        terminal.wait_for("/q quits")
        terminal.type("better\r")
        terminal.wait_for("It is version 2 now")
        assert terminal.wait() == 0
    (edited,) = run("feedback", "get", given["id"], server=server).lines
    assert edited["json_values"] == {"relevance": 5, "note": "better"}


def test_feedback_is_deleted(server: RunningServer) -> None:
    """By the end of its id, for good, and only where somebody said so."""
    create_task(server, "deleted")
    (id,) = create_completions(server, "x", tags=["deleted"])
    given = [give(server, "deleted", n, "--completion", id, f"--reviewer=r{n}") for n in (1, 2)]
    end = given[0]["id"][-8:]
    assert "--yes" in run("feedback", "delete", end, server=server).errors
    assert run("feedback", "delete", end, "nowhere", "--yes", server=server).status == 1
    listed = ["feedback", "list", "--completion", id[-8:]]
    assert run(*listed, server=server).lines == given[::-1]
    assert run("feedback", "delete", end, "--yes", server=server).status == 0
    assert run(*listed, server=server).lines == [given[1]]
    assert run(*listed, "--reviewer=r1", server=server).lines == []


def test_a_graders_key_edits_by_the_whole_id(server: RunningServer) -> None:
    """It cannot list feedback, and the error says so."""
    create_task(server, "own")
    (id,) = create_completions(server, "x", tags=["own"])
    given = give(server, "own", 3, "--completion", id, "--reviewer=grader")
    key = run("keys", "create", "grader", "--scope=grade", server=server).output.strip()
    edit = ["--api-key", key, "--comment=mine"]
    assert run("feedback", "edit", given["id"], *edit, server=server).status == 0
    refused = run("feedback", "edit", given["id"][-8:], *edit, server=server)
    assert refused.status == 1
    assert "give the whole ID" in refused.errors


def disagree(server: RunningServer, name: str) -> list[str]:
    """Three completions of a task: two reviewers agree on the first one alone."""
    create_task(server, name)
    ids = create_completions(server, "one", "two", "three", tags=[name])
    for id, values in zip(ids, ((2, 2), (1, 5), (3, 4)), strict=True):
        for reviewer, value in zip(("ann", "=ben"), values, strict=True):
            give(server, name, value, "--completion", id, f"--reviewer={reviewer}")
    return ids


def test_disagreements(server: RunningServer) -> None:
    """Where reviewers differ: side by side on a terminal, a line or a row each in a pipe."""
    _, second, third = disagree(server, "differ")
    command = ["feedback", "disagreements", "differ"]
    found = run(*command, server=server).lines
    assert [each["completion_id"] for each in found] == [third, second]
    assert found[1]["fields"] == {"relevance": {"ann": 1, "=ben": 5}}
    _, shown = show(*command, server=server, NO_COLOR="1")
    lines = [line.split() for line in plain(shown).splitlines()]
    assert ["=ben", "ann"] in lines and ["relevance", "5", "1"] in lines
    assert "differ on 2 of 3 completions" in " ".join(shown.split())
    assert "You said: two" in shown
    rows = read_csv(run(*command, "--csv", server=server).output)
    assert [(row["completion_id"], row["ann"], row["'=ben"]) for row in rows] == [
        (third, "3", "4"),
        (second, "1", "5"),
    ]
    given = ["--task=differ", f"--completion={third}", "--lead", "--reviewer=lea"]
    run("feedback", "create", *given, '--values={"relevance": 4}', server=server)
    _, shown = show(*command, server=server, NO_COLOR="1")
    assert "lea decided" in shown and "A lead has decided 1." in " ".join(plain(shown).split())
    left = run(*command, "--undecided", server=server).lines
    assert [each["completion_id"] for each in left] == [second]
    rows = read_csv(run(*command, "--csv", server=server).output)
    assert [row["decision"] for row in rows] == ["4", ""]
    done = run(*command, "--field=mood", server=server)
    assert (done.status, done.output) == (1, "")
    assert "relevance" in done.errors


def test_lists_on_which_reviewers_differ(server: RunningServer) -> None:
    """A list of values is shown in words, as in every other table."""
    kinds = {"type": "array", "items": {"enum": ["wrong", "too long"]}}
    schema = json.dumps({"type": "object", "properties": {"problems": kinds}})
    made = ["--name=lists", "--completion-tags-selector=lists", "--task-schema", schema]
    run("feedback-task", "create", *made, server=server)
    (id,) = create_completions(server, "x", tags=["lists"])
    for reviewer, problems in (("ann", []), ("ben", ["wrong", "too long"])):
        values = json.dumps({"problems": problems})
        given = ["--task=lists", f"--completion={id}", f"--reviewer={reviewer}"]
        assert run("feedback", "create", *given, "--values", values, server=server).status == 0
    _, shown = show("feedback", "disagreements", "lists", server=server, NO_COLOR="1")
    lines = [" ".join(line.split()) for line in plain(shown).splitlines()]
    assert "problems none wrong, too long" in lines


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_of_grades(server: RunningServer, tmp_path: Path) -> None:
    """A row for each grade, with a column for each field; no cell is a formula."""
    schema = {
        "properties": {
            "score": {"type": "object", "properties": {"total": {"type": "number"}}},
            "flags": {"type": "array", "items": {"enum": ["=a", "b"]}},
            "comment": {"type": "string"},
        }
    }
    made = ["feedback-task", "create", "--name=sheet", "--completion-tags-selector=sheet"]
    run(*made, "--task-schema", json.dumps(schema), server=server)
    (id,) = create_completions(server, "=1+1", tags=["sheet"])
    values = {"score": {"total": -1.5}, "flags": ["=a", "b"], "comment": "+1"}
    run(
        *["feedback", "create", "--task=sheet", f"--completion={id}", "--comment=@x"],
        *["--values", json.dumps(values)],
        server=server,
    )
    file = tmp_path / "graded.csv"
    download = ["feedback", "download", "--task=sheet"]
    done = run(*download, str(file), "--completions", server=server)
    assert done.errors == f"1 feedback in {file}.\n"
    (row,) = read_csv(file.read_text())
    assert (row["score.total"], row["flags"], row["json_values.comment"]) == (
        "-1.5", "'=a, b", "'+1",
    )  # fmt: skip
    assert (row["comment"], row["reviewer"], row["completion_ids"]) == ("'@x", "admin", id)
    assert (row["prompt"], row["answer"]) == ("'=1+1", "You said: =1+1")
    (listed,) = read_csv(run("feedback", "list", "--task=sheet", "--csv", server=server).output)
    assert listed.items() <= row.items()
    every = read_csv(run("feedback", "download", "--csv", server=server).output)
    assert listed["id"] in [each["id"] for each in every]
    (task,) = read_csv(run("feedback-task", "list", "--limit=1", "--csv", server=server).output)
    assert (task["name"], task["hide_model"]) == ("sheet", "false")


def test_csv_of_completions(server: RunningServer, tmp_path: Path) -> None:
    """A row for each completion, with a column for each field and reviewer."""
    ids = disagree(server, "wide")
    file = tmp_path / "wide.csv"
    command = ["feedback", "download", str(file), "--rows=completion"]
    assert run(*command, server=server).status == 2
    assert run(*command, "--task=wide", server=server).status == 0
    rows = read_csv(file.read_text())
    assert [row["completion_id"] for row in rows] == ids
    assert [(row["relevance [ann]"], row["relevance [=ben]"]) for row in rows] == [
        ("2", "2"), ("1", "5"), ("3", "4"),
    ]  # fmt: skip
    assert [row["prompt"] for row in rows] == ["one", "two", "three"]
    report = read_csv(run("feedback-task", "agreement", "wide", "--csv", server=server).output)
    assert [(row["field"], row["ratings"], row["units"]) for row in report] == [
        ("relevance", "6", "3")
    ]
