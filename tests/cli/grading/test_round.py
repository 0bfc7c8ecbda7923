"""`briggs feedback grade`: on a terminal, key by key, and in a pipe, line by line."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cli.running import (
    Finished,
    RunningServer,
    Terminal,
    create_completions,
    open_terminal,
    run,
)

SCHEMA = {
    "type": "object",
    "required": ["relevance", "kind"],
    "properties": {
        "relevance": {"type": "integer", "minimum": 1, "maximum": 5},
        "kind": {"enum": ["praise", "question"]},
        "note": {"type": "string"},
    },
}


def create_task(server: RunningServer, name: str, *options: str, **schema: Any) -> None:
    """A task for the completions with the tag of its name."""
    made = run(
        *["feedback-task", "create", "--name", name, "--completion-tags-selector", name],
        *["--task-schema", json.dumps({**SCHEMA, **schema}), *options],
        server=server,
    )
    assert made.status == 0, made.errors


def list_given(server: RunningServer, task: str) -> list[dict[str, Any]]:
    """What was given, the oldest first."""
    return run("feedback", "list", "--task", task, server=server).lines[::-1]


def progress(server: RunningServer, task: str) -> dict[str, int]:
    (found,) = run("feedback-task", "get", task, server=server).lines
    counts: dict[str, int] = found["progress"]
    return counts


@contextmanager
def grade(server: RunningServer, task: str, *options: str) -> Iterator[Terminal]:
    """Grade on a terminal; ends well, and without a traceback."""
    command = ["feedback", "grade", "--task", task, *options]
    with open_terminal(*command, server=server, NO_COLOR="1") as terminal:
        yield terminal
        assert terminal.wait() == 0, terminal.shown
        assert "Traceback" not in terminal.shown


def grade_piped(
    server: RunningServer, task: str, *said: str, reviewer: str = "ben", options: Sequence[str] = ()
) -> Finished:
    """Grade in a pipe, one line after the other."""
    command = ["feedback", "grade", "--piped", "--task", task, "--reviewer", reviewer, *options]
    done = run(*command, input="".join(f"{line}\n" for line in said), server=server)
    assert done.status == 0, done.errors
    return done


def press(terminal: Terminal, *keys: str) -> None:
    """Each key when it is asked for."""
    for key in keys:
        terminal.wait_for("›")
        terminal.type(key)


def test_a_round_through_the_queue(server: RunningServer) -> None:
    """Each completion is shown once, and one key says each choice; a line says a text."""
    create_task(server, "round", "--instruction", "Read it twice.")
    ids = create_completions(server, "first", "second", tags=["round"])
    with grade(server, "round", "--reviewer=ann") as terminal:
        terminal.wait_for("Read it twice.")
        terminal.wait_for("0 of 2 graded")
        terminal.wait_for("You said: first")
        press(terminal, "3", "1", "well said\r")
        terminal.wait_for("1 of 2 graded · 1 by you now")
        terminal.wait_for("You said: second")
        press(terminal, "5", "2", "\r")
        terminal.wait_for("Nothing is left")
        press(terminal, "\r")
        terminal.wait_for("2 graded, 0 skipped")
    first, second = list_given(server, "round")
    assert first["json_values"] == {"relevance": 3, "kind": "praise", "note": "well said"}
    assert second["json_values"] == {"relevance": 5, "kind": "question"}
    assert [each["matched_completion_ids"] for each in (first, second)] == [[id] for id in ids]
    assert {(each["reviewer"], each["reviewer_kind"]) for each in (first, second)} == {
        ("ann", "person")
    }


def test_going_back_and_editing(server: RunningServer) -> None:
    """`u` goes back a field, and from the first to the completion before; return keeps."""
    create_task(server, "undone")
    create_completions(server, "first", "second", tags=["undone"])
    said = ["3", "u", "4", "1", "", "u", "", "2", "", "q"]
    done = grade_piped(server, "undone", *said)
    shown = done.output
    first, again = (shown.index("You said: first"), shown.rindex("You said: first"))
    second, back = (shown.index("You said: second"), shown.rindex("You said: second"))
    assert first < second < again < back
    assert "return keeps 4" in shown[again:]
    assert "return keeps praise" in shown[again:]
    (given,) = list_given(server, "undone")
    assert given["json_values"] == {"relevance": 4, "kind": "question"}
    assert given["version"] == 2
    assert progress(server, "undone")["in_progress"] == 0


def test_the_last_of_all_can_be_edited(server: RunningServer) -> None:
    """At the end of the queue `u` goes back too, as often as it is wanted."""
    create_task(server, "last")
    create_completions(server, "x", tags=["last"])
    grade_piped(server, "last", "3", "1", "", "u", "4", "", "", "u", "5", "2", "", "")
    (given,) = list_given(server, "last")
    assert given["json_values"] == {"relevance": 5, "kind": "question"}
    assert given["version"] == 3


def test_going_back_from_the_first_of_all(server: RunningServer) -> None:
    """Where there is nothing to go back to, the completion is shown again."""
    create_task(server, "nothing before")
    create_completions(server, "x", tags=["nothing before"])
    done = grade_piped(server, "nothing before", "u", "q")
    assert "There is none before this one." in done.output
    assert done.output.count("You said: x") == 2


def test_skip_comment_and_help(server: RunningServer) -> None:
    """`s` passes one over for a reason, `c` adds a comment, `?` explains; others say so."""
    create_task(server, "passed")
    _, graded = create_completions(server, "first", "second", tags=["passed"])
    said = ["s", "", "unclear", "?", "9", "c", "hm", "1", "1", "/u", "", "fine"]
    done = grade_piped(server, "passed", *said)
    assert "the completion goes back to the queue" in done.output
    assert "'9' is not a choice here" in done.output
    assert "Nothing is left" in done.output
    assert done.errors == "1 graded, 1 skipped.\n"
    (given,) = list_given(server, "passed")
    assert given["matched_completion_ids"] == [graded]
    assert given["json_values"] == {"relevance": 1, "kind": "praise", "note": "fine"}
    assert given["comment"] == "hm"
    assert progress(server, "passed") == {
        "matching": 2, "graded": 1, "left": 1, "in_progress": 0, "skipped": 1,
        "is_filled": True,
    }  # fmt: skip


@pytest.mark.parametrize("key", ["q", "\x03", "\x04"])
def test_quitting_gives_the_completion_back(server: RunningServer, key: str) -> None:
    """However one leaves, the completion at hand awaits the next reviewer at once."""
    task = f"left by {ord(key)}"
    create_task(server, task)
    create_completions(server, "x", tags=[task])
    with grade(server, task) as terminal:
        terminal.wait_for("›")
        assert progress(server, task)["in_progress"] == 1
        terminal.type(key)
        terminal.wait_for("0 graded, 0 skipped")
    assert progress(server, task)["in_progress"] == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_window_that_is_closed(server: RunningServer, number: signal.Signals) -> None:
    """Whoever is ended by a signal gives the completion back too."""
    task = f"ended by {number.name}"
    create_task(server, task)
    create_completions(server, "x", tags=[task])
    with grade(server, task) as terminal:
        terminal.wait_for("›")
        terminal.process.send_signal(number)
        terminal.wait_for("0 graded, 0 skipped")
    assert progress(server, task)["in_progress"] == 0


def test_leaving_where_a_text_is_asked_for(server: RunningServer) -> None:
    """Ctrl-D in an empty line of text leaves too, and hands nothing in."""
    create_task(server, "half")
    create_completions(server, "x", tags=["half"])
    with grade(server, "half") as terminal:
        press(terminal, "1", "1", "\x04")
        terminal.wait_for("0 graded, 0 skipped")
    assert list_given(server, "half") == []
    assert progress(server, "half")["in_progress"] == 0


def test_what_others_said(server: RunningServer) -> None:
    """What others said is shown where the task is open, and not where it is blind."""
    for name, is_blind in (("seen", "--open"), ("unseen", "--blind")):
        create_task(server, name, is_blind, "--reviewers=2")
        (id,) = create_completions(server, "x", tags=[name])
        values = ["--values", '{"relevance": 2, "kind": "praise"}', f"--completion={id}"]
        run("feedback", "create", "--task", name, *values, "--reviewer=ben", server=server)
        done = grade_piped(server, name, "q", reviewer="ann")
        assert "You said: x" in done.output
        assert ("ben: relevance=2  kind=praise" in done.output) is (name == "seen")


def test_a_wrong_value_is_asked_for_at_once(server: RunningServer) -> None:
    """A value that does not fit is asked for again before the next field."""
    create_task(server, "odd", properties={"relevance": {"type": "integer", "minimum": 5}},
                required=["relevance"])  # fmt: skip
    create_completions(server, "x", tags=["odd"])
    done = grade_piped(server, "odd", "four", "4", "6")
    assert "write a whole number" in done.output
    assert "4 does not fit: it must be a whole number of at least 5" in done.output
    (given,) = list_given(server, "odd")
    assert given["json_values"] == {"relevance": 6}


def test_one_wrong_field_never_loses_the_others(server: RunningServer) -> None:
    """What only the server can check is asked for again, and nothing else is."""
    schema = {
        "flags": {"type": "array", "items": {"enum": ["rude", "wrong"]}},
        "code": {"type": "string", "pattern": "^[A-Z]+$"},
        "when": {"type": "string", "format": "date"},
        "good": {"type": "boolean"},
    }
    create_task(server, "kept", properties=schema, required=["good"])
    create_completions(server, "x", tags=["kept"])
    said = ["1 2", "abc", "monday", "y", "ABC", "2026-11-29"]
    done = grade_piped(server, "kept", *said)
    assert "1 rude   2 wrong" in done.output
    assert 'code: "abc" does not match' in done.output
    assert 'when: "monday" is not a "date"' in done.output
    (given,) = list_given(server, "kept")
    assert given["json_values"] == {
        "flags": ["rude", "wrong"], "code": "ABC", "when": "2026-11-29", "good": True,
    }  # fmt: skip


def test_going_back_from_a_refused_field(server: RunningServer) -> None:
    """`u` goes back to the field before it, although only the refused one is asked for again."""
    schema = {"good": {"type": "boolean"}, "code": {"type": "string", "pattern": "^[A-Z]+$"}}
    create_task(server, "back", properties=schema, required=["good"])
    create_completions(server, "x", tags=["back"])
    done = grade_piped(server, "back", "y", "abc", "/u", "n", "ABC")
    assert "return keeps true" in done.output
    (given,) = list_given(server, "back")
    assert given["json_values"] == {"good": False, "code": "ABC"}


def test_several_choices(server: RunningServer) -> None:
    """The options have numbers; a number that is none of them is refused at once."""
    schema = {"flags": {"type": "array", "items": {"enum": ["rude", "wrong", "long"]}}}
    create_task(server, "several", properties=schema, required=["flags"])
    create_completions(server, "x", "y", tags=["several"])
    done = grade_piped(server, "several", "4", "3,1", "0")
    assert "0 none   1 rude   2 wrong   3 long" in done.output
    assert "there is no option '4'" in done.output
    values = [each["json_values"] for each in list_given(server, "several")]
    assert values == [{"flags": ["long", "rude"]}, {"flags": []}]


def test_a_text_that_looks_like_a_command(server: RunningServer) -> None:
    """In a text field `q` and `s` are texts, and it is said how to quit and to skip."""
    create_task(server, "letters")
    create_completions(server, "x", "y", tags=["letters"])
    done = grade_piped(server, "letters", "3", "1", "q", "3", "1", "s")
    assert "'q' is a text here. The command is /q." in done.output
    assert "'s' is a text here. The command is /s." in done.output
    notes = [each["json_values"]["note"] for each in list_given(server, "letters")]
    assert notes == ["q", "s"]


def test_a_person_is_asked_what_a_letter_means(server: RunningServer) -> None:
    """On a terminal a text field says its commands, and takes `q` only after return."""
    create_task(server, "asked")
    create_completions(server, "x", "y", tags=["asked"])
    with grade(server, "asked") as terminal:
        press(terminal, "3", "1")
        terminal.wait_for("/s skips, /q quits, /? helps")
        press(terminal, "q\r")
        terminal.wait_for("return takes 'q' as the text")
        press(terminal, "\r", "4", "2", "s\r")
        terminal.wait_for("return takes 's' as the text")
        press(terminal, "/q\r")
        terminal.wait_for("1 graded, 0 skipped")
    (given,) = list_given(server, "asked")
    assert given["json_values"]["note"] == "q"


def test_a_task_that_changes_meanwhile(server: RunningServer) -> None:
    """Who is in it is told what changed, and is asked only for what is new or fits no more."""
    create_task(server, "moving")
    create_completions(server, "x", "y", tags=["moving"])
    changed = {
        "relevance": {"type": "integer", "minimum": 1, "maximum": 5},
        "kind": {"enum": ["question", "order"]},
        "tone": {"enum": ["warm", "cold"]},
    }
    schema = json.dumps({**SCHEMA, "properties": changed, "required": ["relevance", "tone"]})
    update = ["feedback-task", "update", "moving"]
    with grade(server, "moving") as terminal:
        press(terminal, "3", "1")
        terminal.wait_for("return leaves it out")
        assert run(*update, f"--task-schema={schema}", server=server).status == 0
        press(terminal, "lost\r")
        terminal.wait_for("from version 1 to version 2")
        terminal.wait_for("Changed field: kind, now one of question, order")
        terminal.wait_for("New field: tone, one of warm, cold")
        terminal.wait_for("Removed field: note")
        terminal.wait_for("Kept: relevance=3")
        press(terminal, "2", "1")
        terminal.wait_for("You said: y")
        assert run(*update, "--instruction=Be fair.", server=server).status == 0
        press(terminal, "5", "1", "2")
        terminal.wait_for("New instruction: Be fair.")
        terminal.wait_for("return keeps 5")
        press(terminal, "4", "\r", "\r", "x")
        terminal.wait_for("2 graded")
    first, second = list_given(server, "moving")
    assert first["json_values"] == {"relevance": 3, "kind": "order", "tone": "warm"}
    assert second["json_values"] == {"relevance": 4, "kind": "question", "tone": "cold"}
    assert (first["task_version"], second["task_version"]) == (2, 3)


def test_a_task_that_is_archived_meanwhile(server: RunningServer) -> None:
    """The round ends with a reason, and not with a traceback."""
    create_task(server, "closed")
    create_completions(server, "x", tags=["closed"])
    with grade(server, "closed") as terminal:
        press(terminal, "3", "1")
        terminal.wait_for("return leaves it out")
        assert run("feedback-task", "archive", "closed", "--yes", server=server).status == 0
        press(terminal, "\r")
        terminal.wait_for("takes no more feedback")
        terminal.wait_for("0 graded")


def test_progress_says_what_is_left(server: RunningServer) -> None:
    """What is left for the reviewer and what is left for all are two numbers."""
    create_task(server, "left", "--reviewers=2")
    create_completions(server, "x", "y", tags=["left"])
    grade_piped(server, "left", "3", "1", "", "q", reviewer="ann")
    done = grade_piped(server, "left", "q", reviewer="ann")
    assert "0 of 2 graded · 0 by you now · 1 left for you, 2 for all" in done.output
    (found,) = run("feedback-task", "progress", "left", "--reviewer=ann", server=server).lines
    assert (found["left"], found["left_for_reviewer"]) == (2, 1)


def test_a_hidden_model(server: RunningServer) -> None:
    """Nothing on the screen names the model, its provider, its cost or its time."""
    create_task(server, "secret", "--hide-model")
    create_task(server, "open", "--show-model")
    create_completions(server, "x", tags=["secret", "open"])
    hidden = grade_piped(server, "secret", "q", options=["--logprobs"]).output
    shown = grade_piped(server, "open", "q").output
    assert "You said: x" in hidden and "You said: x" in shown
    assert "hides the model" in hidden
    for word in ("echo", "mine", "$", "tokens", " ms"):
        assert word not in hidden, hidden
    assert "echo" in shown


def test_an_edit_within_the_round_keeps_what_was_said(server: RunningServer) -> None:
    """Going back to the completion before loses no value of the one at hand."""
    create_task(server, "both")
    create_completions(server, "x", "y", tags=["both"])
    said = ["3", "1", "", "4", "u", "u", "5", "", "", "", "2", ""]
    grade_piped(server, "both", *said)
    first, second = list_given(server, "both")
    assert first["json_values"] == {"relevance": 5, "kind": "praise"}
    assert second["json_values"] == {"relevance": 4, "kind": "question"}


def test_a_skip_that_is_taken_back_and_a_field_that_is_emptied(server: RunningServer) -> None:
    """`/u` where a reason is asked for does not skip; `-` empties a field."""
    create_task(server, "cleared")
    create_completions(server, "x", tags=["cleared"])
    done = grade_piped(
        server, "cleared", "3", "s", "/u", "", "-", "1", "note", "u", "", "", "/-", "x"
    )
    assert "This field needs a value." in done.output
    (given,) = list_given(server, "cleared")
    assert given["json_values"] == {"relevance": 3, "kind": "praise"}
    assert given["version"] == 2


def test_a_limit_ends_the_round(server: RunningServer) -> None:
    """After as many as were asked for, no other completion is taken."""
    create_task(server, "limited")
    create_completions(server, "first", "second", tags=["limited"])
    done = grade_piped(server, "limited", "1", "2", "", options=["--limit=1", "--order=newest"])
    assert "You said: second" in done.output
    assert "You said: first" not in done.output
    assert progress(server, "limited")["in_progress"] == 0


def test_a_pipe_that_ends_quits(server: RunningServer) -> None:
    """In a pipe each line is a key or a text; its end gives the completion back."""
    create_task(server, "piped")
    create_completions(server, "first", "second", tags=["piped"])
    done = grade_piped(server, "piped", "4", "2", "fine", "3")
    assert done.errors == "1 graded, 0 skipped.\n"
    (given,) = list_given(server, "piped")
    assert given["json_values"] == {"relevance": 4, "kind": "question", "note": "fine"}
    assert progress(server, "piped")["in_progress"] == 0


def test_without_a_terminal(server: RunningServer) -> None:
    """Where no key can be pressed it refuses, and says what there is instead."""
    done = run("feedback", "grade", "--task=any", server=server)
    assert done.status == 2
    assert "needs a terminal" in done.errors
    assert "--piped" in done.errors


def test_a_completion_that_others_took_meanwhile(server: RunningServer) -> None:
    """A late answer is refused with a reason, and the round goes on."""
    create_task(server, "gone")
    first, _ = create_completions(server, "first", "second", tags=["gone"])
    with grade(server, "gone") as terminal:
        terminal.wait_for("You said: first")
        run("completions", "delete", first, "--yes", server=server)
        press(terminal, "1", "1", "\r")
        terminal.wait_for(f"'{first}'")
        terminal.wait_for("You said: second")
        press(terminal, "q")
    assert list_given(server, "gone") == []
