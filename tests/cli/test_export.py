"""`briggs export`: every format, read by the library that it is for."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from openai.types.chat import ChatCompletionAssistantMessageParam, ChatCompletionMessageParam
from pydantic import TypeAdapter

from briggs.cli.exporting.files import open_part
from briggs.cli.exporting.training import KINDS
from briggs.types.record_lines import read_line
from tests.cli.running import RunningServer, create_completions, environment, run, show
from tests.cli.test_feedback import create_task, give
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
DATASETS = ROOT / ".venvs" / "datasets" / "bin" / "python"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look",
            "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
        },
    }
]
TURNS = [
    {"role": "developer", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "it?"}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"at":"it"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "blue"},
    {"role": "user", "content": "So?"},
]


def export(server: RunningServer, *options: str) -> list[dict[str, Any]]:
    """The lines of an export to standard output."""
    done = run("export", "-", *options, server=server)
    assert done.status == 0, done.errors
    return done.lines


def test_the_whole_record(server: RunningServer, tmp_path: Path) -> None:
    """Every completion is a line, of any status, with its bytes, its feedback and its task."""
    ids = create_completions(server, "a", "b", tags=["whole"])
    run("chat", "x", "--model=mine/refuses", "--tag=whole", server=server)
    task = create_task(server, "whole")
    given = give(server, "whole", 4, "--completion", ids[0])
    given = run("feedback", "edit", given["id"], "--set", "relevance=5", server=server).lines[0]
    file = tmp_path / "all.jsonl"
    done = run("export", str(file), "--tag=whole", "--feedback", server=server)
    assert done.errors == f"3 completions in {file}.\n"
    lines = file.read_bytes().splitlines()
    tasks = [each for each in map(json.loads, lines) if each["object"] == "briggs.feedback_task"]
    assert [each["id"] for each in tasks] == [task["id"]]
    first, second, failed = (read_line(line, organization_id="o") for line in lines[1:])
    assert [first.id, second.id] == ids
    raw = run("completions", "get", ids[0], "--raw", server=server).output.encode()
    assert first.received == raw and first.response
    assert failed.status == "failed" and failed.received and b"no, thank you" in failed.received
    [written] = json.loads(lines[1])["feedback"]
    assert (written["id"], written["json_values"]) == (given["id"], {"relevance": 5})
    assert [each["json_values"] for each in written["versions"]] == [{"relevance": 4}]
    assert "feedback" not in json.loads(lines[2])
    assert list(tmp_path.iterdir()) == [file]


def test_a_filter_a_limit_and_standard_output(server: RunningServer) -> None:
    """The grammar of lists chooses, in the order that is asked for."""
    ids = create_completions(server, *map(str, range(4)), tags=["chosen"])
    options = ["--filter", 'tag = chosen and not "2"', "--order=desc"]
    assert [each["id"] for each in export(server, *options)] == [ids[3], ids[1], ids[0]]
    assert [each["id"] for each in export(server, *options, "--limit=2")] == [ids[3], ids[1]]
    wrong = run("export", "-", "--filter", "tagg = x", server=server)
    assert wrong.status == 1 and "Did you mean 'tag'?" in wrong.errors


def test_csv(server: RunningServer, tmp_path: Path) -> None:
    """The end of the name chooses CSV; `--columns` chooses its columns."""
    ids = create_completions(server, "=1+1", "b", tags=["sheet-of-export"])
    file = tmp_path / "all.csv"
    options = ["--tag=sheet-of-export", "--columns=id,asked"]
    done = run("export", str(file), *options, server=server)
    assert done.status == 0, done.errors
    assert list(csv.reader(io.StringIO(file.read_text()))) == [
        ["id", "asked"],
        [ids[0], "'=1+1"],
        [ids[1], "b"],
    ]


def test_parquet(server: RunningServer, tmp_path: Path) -> None:
    """pyarrow reads the types and the texts of the record."""
    ids = create_completions(server, "a", "b", tags=["parquet"], seed=2**70)
    create_task(server, "parquet")
    give(server, "parquet", 4, "--completion", ids[0])
    file = tmp_path / "all.parquet"
    done = run("export", str(file), "--tag=parquet", "--feedback", server=server)
    assert done.status == 0, done.errors
    table = pyarrow.parquet.read_table(file)
    first, second = table.to_pylist()
    assert [first["id"], second["id"]] == ids
    assert first["tags"] == ["parquet"] and first["finish_reasons"] == ["stop"]
    assert first["seed"] is None
    assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    assert json.loads(first["request"])["messages"][0]["content"] == "a"
    assert json.loads(first["response"])["choices"][0]["message"]["content"] == "You said: a"
    assert [each["json_values"] for each in json.loads(first["feedback"])] == [{"relevance": 4}]
    assert json.loads(second["feedback"]) == []
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "openai", "trl"])
def test_odd_texts_are_exported(server: RunningServer, tmp_path: Path, form: str) -> None:
    """Halves of characters, line separators and control characters break no format."""
    tag = f"odd-{form}"
    odd = "half \ud83d and \u2028 and \x00 and \n"
    create_completions(server, odd, "plain", tags=[tag], model="mine/letters")
    file = tmp_path / "x"
    done = run("export", str(file), f"--format={form}", f"--tag={tag}", server=server)
    assert done.status == 0, done.errors
    assert done.errors.startswith("2 ")
    if form == "parquet":
        assert pyarrow.parquet.read_table(file).num_rows == 2
    elif form == "csv":
        assert len(list(csv.reader(io.StringIO(file.read_bytes().decode(), newline="")))) == 3
    else:
        assert len([json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]) == 2


# ---- Files to train with.


def check_openai(row: dict[str, Any]) -> None:
    """Check a row against the types of OpenAI's own package."""
    if "input" in row:
        TypeAdapter(list[ChatCompletionMessageParam]).validate_python(row["input"]["messages"])
        for name in ("preferred_output", "non_preferred_output"):
            assert len(row[name]) == 1
            TypeAdapter(ChatCompletionAssistantMessageParam).validate_python(row[name][0])
        assert row.keys() == {"input", "preferred_output", "non_preferred_output"}
        return
    TypeAdapter(list[ChatCompletionMessageParam]).validate_python(row["messages"])
    assert row.keys() <= {"messages", "tools", "parallel_tool_calls"}
    assert row["messages"][-1]["role"] == "assistant"
    for each in row["messages"]:
        assert each["role"] in ("system", "user", "assistant", "tool")
        assert ("weight" in each) == (each["role"] == "assistant")


COLUMNS = {
    "messages": {"messages"},
    "prompt-completion": {"prompt", "completion"},
    "preference": {"prompt", "chosen", "rejected"},
    "labels": {"prompt", "completion", "label"},
}
"""The columns of each type of data set that TRL documents."""

READ = """
import json, sys, datasets
data = datasets.load_dataset("json", data_files=sys.argv[1], split="train")
print(json.dumps({"columns": data.column_names, "rows": list(data)}))
"""


def check_trl(rows: list[dict[str, Any]], *, kind: str, folder: Path) -> None:
    """Check rows against the columns that TRL documents, and load them as TRL's users do."""
    for row in rows:
        assert row.keys() - {"tools"} == COLUMNS[kind]
        for name in COLUMNS[kind] - {"label"}:
            for message in row[name]:
                assert isinstance(message["content"], str)
                for call in message.get("tool_calls", ()):
                    assert isinstance(call["function"]["arguments"], dict)
    if not DATASETS.exists():
        return
    file = folder / f"{kind}.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    read = subprocess.run(
        [DATASETS, "-c", READ, file],
        env={**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert read.returncode == 0, read.stderr.decode()
    loaded = json.loads(read.stdout)
    assert {*loaded["columns"]} - {"tools"} == COLUMNS[kind]
    assert len(loaded["rows"]) == len(rows)


@pytest.fixture(scope="module")
def graded(server: RunningServer) -> dict[str, str]:
    """Completions of the task `trained`, by what became of them."""
    options = {"tags": ["trained"], "tools": TOOLS, "messages": TURNS}
    good, bad, corrected, ungraded = create_completions(server, "", "", "", "", **options)
    create_task(server, "trained")
    give(server, "trained", 5, "--completion", good)
    give(server, "trained", 1, "--completion", bad)
    give(server, "trained", 2, "--completion", corrected, "--corrected", "It is blue.")
    preferred = [ungraded, good, "--best", ungraded]
    assert run("preferences", "create", *preferred, server=server).status == 0
    return {"good": good, "bad": bad, "corrected": corrected, "ungraded": ungraded}


def test_openai_messages(server: RunningServer, graded: dict[str, str]) -> None:
    """Good answers, and corrections in place of bad ones; only the last answer is learnt."""
    options = ["--format=openai", "--tag=trained"]
    done = run("export", "-", *options, "--task=trained", "--min-grade=4", server=server)
    first, second = done.lines
    for row in (first, second):
        check_openai(row)
        assert row["tools"] == TOOLS
    roles = [(each["role"], each.get("weight")) for each in first["messages"]]
    assert roles == [
        ("system", None), ("user", None), ("assistant", 0), ("tool", None), ("user", None),
        ("assistant", 1),
    ]  # fmt: skip
    assert first["messages"][-1]["content"] == "You said: So?"
    assert second["messages"][-1]["content"] == "It is blue."
    assert "Left out: 1 graded too low." in done.errors
    assert "Left out: 1 not graded." in done.errors
    assert len(export(server, *options)) == 4
    named = ["--task=trained", "--min-grade", "relevance=1"]
    assert len(export(server, *options, *named)) == 3
    by_filter = [*options, "--filter", "tag = trained and grade.trained.relevance >= 5"]
    assert len(export(server, *by_filter)) == 1


def test_openai_preferences(server: RunningServer, graded: dict[str, str]) -> None:
    """Preferences, corrections and, with a task, the best and the worst of the grades."""
    options = ["--format=openai", "--kind=preference", "--tag=trained"]
    rows = export(server, *options)
    for row in rows:
        check_openai(row)
    assert [row["preferred_output"][0]["content"] for row in rows] == [
        "It is blue.",
        "You said: So?",
    ]
    assert len(export(server, *options, "--task=trained")) == 3
    assert len(export(server, *options, "--task=trained", "--min-grade=6")) == 2


@pytest.mark.parametrize("kind", KINDS["trl"])
def test_trl(server: RunningServer, graded: dict[str, str], tmp_path: Path, kind: str) -> None:
    """Each kind has the columns that TRL documents, and `datasets` loads it."""
    options = ["--format=trl", f"--kind={kind}", "--task=trained", "--tag=trained"]
    rows = export(server, *options, "--min-grade=4")
    check_trl(rows, kind=kind, folder=tmp_path)
    counts = {"messages": 2, "prompt-completion": 2, "preference": 3, "labels": 5}
    assert len(rows) == counts[kind]
    assert all(row["tools"] == TOOLS for row in rows)
    prompt = rows[0].get("prompt") or rows[0]["messages"]
    assert prompt[1]["content"] == "What is it?"
    assert prompt[2]["tool_calls"][0]["function"]["arguments"] == {"at": "it"}
    if kind == "labels":
        said = "You said: So?"
        labels = [(row["completion"][0]["content"], row["label"]) for row in rows]
        assert labels == [
            (said, True), (said, False), (said, False), ("It is blue.", True), (said, True),
        ]  # fmt: skip


def test_what_is_left_out_is_said(server: RunningServer) -> None:
    """A failed call, an image for TRL and a grade that is not named are no rows."""
    run("chat", "x", "--model=mine/refuses", "--session=left-out", server=server)
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    messages = [{"role": "user", "content": image}]
    create_completions(server, "", messages=messages, session_id="left-out")
    done = run("export", "-", "--format=trl", "--session=left-out", server=server)
    assert done.output == ""
    assert "Left out: 1 not finished." in done.errors
    assert "Left out: 1 with images, sound or files." in done.errors


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format=openai", "--kind=labels"], "does not work with openai"),
        (["--task=x"], "are for training files"),
        (["--format=trl", "--min-grade=4"], "--min-grade needs --task"),
        (["--format=trl", "--task=x", "--min-grade=much"], "write 4, or relevance=4"),
        (["--columns=id"], "only for CSV"),
        (["--format=csv", "--feedback"], "only for jsonl and parquet"),
        (["--resume"], "--resume needs a FILE"),
    ],
)
def test_options_that_do_not_fit(server: RunningServer, options: list[str], said: str) -> None:
    """The error says which options go together."""
    done = run("export", "-", *options, server=server)
    assert done.status == 2
    assert said in done.errors


def test_several_grades_are_named(server: RunningServer) -> None:
    """If a task has several numbers, the error names them."""
    schema = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}
    task = ["feedback-task", "create", "--name=two grades", "--task-schema", json.dumps(schema)]
    assert run(*task, "--completion-tags-selector=two-grades", server=server).status == 0
    [id] = create_completions(server, "x", tags=["two-grades"])
    values = json.dumps({"a": 1, "b": 2})
    give = ["feedback", "create", "--task=two grades", "--values", values, "--completion", id]
    assert run(*give, server=server).status == 0
    options = ["--format=trl", "--task=two grades", "--tag=two-grades", "--min-grade"]
    done = run("export", "-", *options, "1", server=server)
    assert done.status == 1 and "--min-grade a=NUMBER" in done.errors
    assert len(export(server, *options, "b=2")) == 1


# ---- The file.


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.parquet"])
def test_an_export_goes_on_where_it_was_killed(
    server: RunningServer, tmp_path: Path, name: str
) -> None:
    """After kill -9, `--resume` makes the file that a whole export makes."""
    session = f"killed-{name}"
    create_completions(server, *["x" * 200] * 250, session_id=session)
    file, whole = tmp_path / name, tmp_path / f"whole-{name}"
    options = [f"--session={session}"]
    command = [sys.executable, "-c", SLOW, "export", str(file), *options]
    killed = subprocess.Popen(command, env=environment(BRIGGS_DATA=str(server.data)))
    state = tmp_path / f"{name}.part.state"
    while not state.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    begun = json.loads(state.read_bytes())
    assert 0 < begun["count"] < 250
    assert not file.exists()
    done = run("export", str(file), *options, "--resume", server=server)
    assert done.status == 0, done.errors
    assert "250 completions in" in done.errors
    assert run("export", str(whole), *options, server=server).status == 0
    if name.endswith("parquet"):
        assert pyarrow.parquet.read_table(file) == pyarrow.parquet.read_table(whole)
    else:
        assert file.read_bytes() == whole.read_bytes()
    assert {*tmp_path.iterdir()} == {file, whole}


SLOW = """
import time
from briggs.cli import main
from briggs.cli.exporting import files
files.SAVED_EVERY_S = 0
save = files.PartFile.save
files.PartFile.save = lambda *given: (time.sleep(0.005), save(*given))
main()
"""
"""`briggs`, but slow enough to be killed in the middle of an export."""


def test_resume_with_other_options_is_refused(server: RunningServer, tmp_path: Path) -> None:
    """A part is gone on with only if the file would be the same."""
    file = tmp_path / "x.jsonl"
    (tmp_path / "x.jsonl.part").write_bytes(b"")
    (tmp_path / "x.jsonl.part.state").write_text('{"options": "other"}')
    done = run("export", str(file), "--limit=1", "--resume", server=server)
    assert done.status == 1 and "was written with other options" in done.errors
    assert run("export", str(file), "--limit=1", server=server).status == 0
    assert list(tmp_path.iterdir()) == [file]
    assert run("export", str(file), "--limit=2", "--resume", server=server).status == 0


def test_a_failed_export_leaves_the_old_file(server: RunningServer, tmp_path: Path) -> None:
    """The file is replaced only when the export is complete."""
    file = tmp_path / "old.jsonl"
    file.write_text("old")
    failed = run("export", str(file), "--url=http://127.0.0.1:9", server=server)
    assert failed.status == 1
    assert file.read_text() == "old"


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_disk_that_fills_up_leaves_a_part(
    server: RunningServer, tmp_path: Path, form: str
) -> None:
    """The error names the file. With room on the disk, the export goes on."""
    tag = f"fills-{form}"
    create_completions(server, *["x" * 5_000] * 5, session_id=tag)
    file = tmp_path / "x"
    command = ["export", str(file), f"--session={tag}", f"--format={form}"]
    done = subprocess.run(
        [sys.executable, "-m", "briggs", *command],
        env=environment(BRIGGS_DATA=str(server.data)),
        capture_output=True,
        timeout=PATIENCE_S,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)),
    )
    assert done.returncode == 1
    assert done.stderr.decode() == f"Error: {file}.part: File too large\n"
    assert not file.exists() and (tmp_path / "x.part").exists()
    went_on = run(*command, "--resume", server=server)
    assert went_on.status == 0 and "5 completions in" in went_on.errors
    assert list(tmp_path.iterdir()) == [file]
    whole = tmp_path / "whole"
    assert run("export", str(whole), *command[2:], server=server).status == 0
    if form == "parquet":
        assert pyarrow.parquet.read_table(file) == pyarrow.parquet.read_table(whole)
    else:
        assert file.read_bytes() == whole.read_bytes()


def test_two_exports_of_one_file(server: RunningServer, tmp_path: Path) -> None:
    """The second one is refused, and the first one is whole."""
    file = tmp_path / "x.jsonl"
    with open_part(file, options=1, resume=False, finish=lambda part: part) as first:
        first.opened.write(b"first")
        second = run("export", str(file), "--limit=1", server=server)
        assert second.status == 1 and "another export writes" in second.errors
    assert file.read_bytes() == b"first"


def test_a_terminal_shows_a_bar(server: RunningServer, tmp_path: Path) -> None:
    """On a terminal, a progress bar reaches its end."""
    create_completions(server, *map(str, range(5)), session_id="bar-of-export")
    options = [str(tmp_path / "x"), "--session=bar-of-export"]
    status, shown = show("export", *options, server=server)
    assert status == 0
    assert "100%" in shown
    assert "5 completions in" in shown


def test_each_kind_is_an_option() -> None:
    """Every kind has its columns in this file's table."""
    assert {*COLUMNS} == {kind for kinds in KINDS.values() for kind in kinds}
    assert {*KINDS} == {"openai", "trl"}
