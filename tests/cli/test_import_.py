"""`briggs import`: our own exports without loss, and the files of other tools."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.cli.importing import documents
from briggs.cli.importing.documents import read_rows
from tests.cli.running import RunningServer, create_completions, join, open_server, run, show
from tests.cli.test_feedback import create_task, give

FILES = Path(__file__).parent / "imported"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with open_server(tmp_path_factory.mktemp("other")) as running:
        yield running


@pytest.fixture
def other(shared: RunningServer, tmp_path: Path) -> RunningServer:
    """A second server, on which no other test has imported anything for this organization."""
    return join(shared, tmp_path / "other")


def take(server: RunningServer, name: str, *options: str) -> str:
    """Import a file of this folder. Returns what the command says."""
    return run("import", str(FILES / name), *options, server=server).errors


def list_all(server: RunningServer, *options: str) -> dict[str, dict[str, Any]]:
    """The completions that match, by the name that their tool gave them."""
    listed = run("completions", "list", "--limit=100", *options, server=server).lines
    return {each["id"]: each for each in listed}


def read_export(server: RunningServer, file: Path, *options: str) -> list[dict[str, Any]]:
    done = run("export", str(file), "--feedback", *options, server=server)
    assert done.status == 0, done.errors
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    for line in lines:
        line.pop("organization_id")
        for each in line.get("feedback", ()):
            each.pop("organization_id")
    return lines


def test_an_export_comes_back_without_loss(
    server: RunningServer, other: RunningServer, tmp_path: Path
) -> None:
    """Bytes, times, tags, feedback, its edits and preferences; a second import changes nothing."""
    server = join(server, tmp_path / "own")
    first, second = create_completions(server, "same", "same", tags=["moved"], user="ann")
    run("chat", "x", "--model=mine/refuses", "--tag=moved", server=server)
    run("chat", "x", "--model=mine/mends", "--tag=moved", "--no-stream", server=server)
    create_task(server, "moved", "--reviewers=2")
    given = give(server, "moved", 2, "--completion", first, "--corrected", "better")
    run("feedback", "edit", given["id"], "--set", "relevance=3", server=server)
    run("preferences", "create", first, second, "--best", second, server=server)
    file, back = tmp_path / "all.jsonl", tmp_path / "back.jsonl"
    exported = read_export(server, file, "--tag=moved")
    count = len(exported)
    done = run("import", str(file), server=other)
    assert (done.status, done.errors) == (0, f"{count} new, 0 already on record, 0 bad.\n")
    assert read_export(other, back, "--tag=moved") == exported
    ours, theirs = file.read_bytes().splitlines(), back.read_bytes().splitlines()
    assert all(b'"request":{' in line for line in ours if b"briggs.completion" in line)
    assert [each.partition(b'"request"')[2] for each in ours] == [
        each.partition(b'"request"')[2] for each in theirs
    ]
    run("completions", "list", "--tag=moved", server=other)
    again = run("import", str(file), server=other)
    assert (again.status, again.errors) == (0, f"0 new, {count} already on record, 0 bad.\n")
    assert read_export(other, back, "--tag=moved") == exported
    listed = run("feedback", "list", "--task=moved", server=other).lines
    assert [each["json_values"] for each in listed] == [{"relevance": 3}]
    progress = run("feedback-task", "progress", "moved", "--json", server=other).lines[0]
    assert (progress["matching"], progress["graded"]) == (len(exported) - 3, 0)
    counted = [run("stats", "--tag=moved", "--json", server=each).lines for each in (server, other)]
    assert counted[0] == counted[1]


def test_a_batch_of_openai(other: RunningServer) -> None:
    """Output and input become calls; an error is a failed call, and an embedding is left out."""
    said = take(
        other, "batch-output.jsonl", "--requests", str(FILES / "batch-input.jsonl"), "--tag=batch"
    )
    assert "Line 4: it is not JSON" in said
    assert "3 new, 0 already on record, 1 bad." in said
    assert "Left out: 1 for /v1/embeddings." in said
    found = list_all(other, "--tag=batch", "--status=any")
    done = [each for each in found.values() if each["briggs"]["status"] == "finished"]
    [whole] = done
    assert whole["choices"][0]["message"]["content"] == "Hello! How can I help you?"
    assert whole["metadata"] == {"custom_id": "request-2"}
    assert whole["briggs"]["request"]["messages"] == [{"role": "user", "content": "Hi"}]
    assert whole["briggs"]["created_at"] == 1711475054
    assert whole["briggs"]["total_tokens"] == 39
    kinds = {each["briggs"]["failure_kind"] for each in found.values()} - {None}
    assert kinds == {"invalid_value", "batch_expired"}
    wrong = take(other, "batch-input.jsonl")
    assert "import its output, and name this file with --requests" in wrong


def test_a_fine_tuning_file_of_openai(other: RunningServer) -> None:
    """The last message is the answer. A second import finds the same calls."""
    said = take(other, "fine-tuning.jsonl", "--tag=tuned")
    assert "Line 3: the last message is not the assistant's" in said
    assert "2 new, 0 already on record, 1 bad." in said
    assert "0 new, 2 already on record, 1 bad." in take(other, "fine-tuning.jsonl")
    found = list(list_all(other, "--tag=tuned").values())
    found.sort(key=lambda each: len(each["briggs"]["request"]["messages"]))
    called, told = found
    assert told["choices"][0]["message"]["content"].startswith("Paris, as if everyone")
    assert "weight" not in json.dumps(told)
    assert len(told["briggs"]["request"]["messages"]) == 4
    assert called["briggs"]["request"]["tools"][0]["function"]["name"] == "get_current_weather"
    assert called["choices"][0]["finish_reason"] == "tool_calls"
    assert called["briggs"]["violates"] == []


def test_preferences_of_openai(other: RunningServer) -> None:
    """Both answers are completions, and one is preferred to the other, once."""
    assert "2 new, 0 already on record, 0 bad." in take(other, "preferences.jsonl", "--tag=pair")
    assert "0 new, 2 already on record, 0 bad." in take(other, "preferences.jsonl")
    rows = run(
        "export", "-", "--format=openai", "--kind=preference", "--tag=pair", server=other
    ).lines
    [expected] = [
        json.loads(line) for line in (FILES / "preferences.jsonl").read_text().splitlines()
    ]
    [row] = rows
    assert row["input"]["messages"] == expected["input"]["messages"]
    for name in ("preferred_output", "non_preferred_output"):
        assert row[name][0]["content"] == expected[name][0]["content"]


def test_spend_logs_of_litellm(other: RunningServer) -> None:
    """Rows of the API with and without bodies; their cost counts, and 0 is no cost."""
    said = take(other, "litellm.json", "--tag=litellm")
    assert "Line 42: the time 'yesterday' is not like 2026-11-23T14:00:00Z" in said
    assert "3 new, 0 already on record, 1 bad." in said
    assert "Left out: 1 of the type aembedding." in said
    found = list_all(other, "--tag=litellm", "--status=any", "--order=asc")
    whole, bare, failed = found.values()
    details = whole["briggs"]
    assert whole["choices"][0]["message"]["content"] == 'I am {"a"} \\ model'
    assert (details["cost_usd"], details["price_source"]) == (0.00002625, "provider")
    assert (details["duration_ms"], details["user"], details["session_id"]) == (
        1500,
        "palantir",
        "s-litellm",
    )
    assert details["tags"] == ["jobID:214590dsff09fds", "litellm"]
    assert details["created_at"] == 1793527200.25
    assert details["request"]["messages"] == [{"role": "user", "content": "what llm are you"}]
    assert details["model"] == "cheap"
    assert (bare["briggs"]["cost_usd"], bare["briggs"]["total_tokens"]) == (0.5, 30)
    assert bare["choices"][0]["message"]["content"] is None
    assert bare["briggs"]["violates"] == []
    assert failed["briggs"]["failure_kind"] == "AuthenticationError"
    assert failed["briggs"]["failure_reason"] == "Incorrect API key provided"
    assert failed["briggs"]["cost_usd"] is None


def test_spend_logs_of_litellm_as_csv(other: RunningServer) -> None:
    """Cells hold JSON, with line breaks too; a row with too few cells is bad."""
    said = take(other, "litellm.csv", "--tag=litellm-csv")
    assert "Line 4: it has 2 cells, and the header has 16" in said
    [row] = list_all(other, "--tag=litellm-csv").values()
    assert row["briggs"]["request"]["messages"][0]["content"] == "two lines"
    assert row["choices"][0]["message"]["content"] == "yes"
    assert row["briggs"]["tags"] == ["nightly", "litellm-csv"]
    assert (row["briggs"]["cost_usd"], row["briggs"]["prompt_tokens"]) == (0.25, 3)


def test_the_activity_of_openrouter(other: RunningServer) -> None:
    """Rows have figures without texts; a cancelled one is a call whose caller left."""
    assert "2 new" in take(other, "openrouter.csv", "--tag=router")
    found = list_all(other, "--tag=router", "--status=any", "--order=asc").values()
    whole, left = (each["briggs"] for each in found)
    assert whole["model"] == "openrouter/openai/gpt-oss-120b"
    assert (whole["cost_usd"], whole["cached_tokens"], whole["reasoning_tokens"]) == (
        0.0123,
        8000,
        20,
    )
    assert (whole["duration_ms"], whole["user"], whole["stream"]) == (2500, "ann", True)
    assert whole["finish_reasons"] == ["stop"]
    assert (left["status"], left["failure_kind"]) == ("failed", "hang_up")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("langfuse.jsonl", "2 new, 0 already on record, 0 bad.\nLeft out: 1 of the type SPAN."),
        ("langfuse.json", "1 new, 0 already on record, 0 bad.\nLeft out: 1 of the type EVENT."),
        ("langfuse.csv", "1 new, 0 already on record, 0 bad."),
    ],
)
def test_observations_of_langfuse(other: RunningServer, name: str, expected: str) -> None:
    """Generations become calls, from exports to storage, the API and the pages."""
    assert expected in take(other, name, f"--tag={name}")
    first = next(iter(list_all(other, f"--tag={name}", "--status=any", "--order=asc").values()))
    details = first["briggs"]
    assert details["status"] == "finished" and details["model"] == "gpt-4o"
    answers = {"langfuse.jsonl": "On its way."}
    assert first["choices"][0]["message"]["content"] == answers.get(name, "hello")
    costs = {"langfuse.jsonl": (0.003, 17, 2000), "langfuse.json": (0.01, 4, 3000)}
    figures = (details["cost_usd"], details["total_tokens"], details["duration_ms"])
    assert figures == costs.get(name, (0.01, 4, 1000))
    if name == "langfuse.jsonl":
        assert first["metadata"]["customer"] == "42"
        assert details["tags"] == ["support", name]
        assert (details["user"], details["session_id"]) == ("u-1", "session-1")
        assert details["request"]["temperature"] == 0.7
        [failed] = list_all(other, f"--tag={name}", "--status=failed").values()
        assert failed["briggs"]["failure_reason"] == "rate limited"
        assert failed["briggs"]["request"]["messages"][0]["content"] == "plain text"


def test_bad_lines_are_named(other: RunningServer, tmp_path: Path) -> None:
    """What is wrong is said for 20 lines, all are counted, and the good ones are taken."""
    [id] = create_completions(other, "good", tags=["among-bad"])
    good = run("export", "-", "--tag=among-bad", server=other).output.encode()
    assert run("completions", "delete", id, "--yes", server=other).status == 0
    lines = [
        *[b"{}"] * 22,
        b'{"object":"briggs.completion","id":"x"}',
        good.replace(b'"status":"finished"', b'"status":"started"').replace(b'"id":"', b'"id":"9'),
        good,
    ]
    file = tmp_path / "bad.jsonl"
    file.write_bytes(b"\n".join(lines))
    done = run("import", str(file), "--format=briggs", server=other)
    assert done.status == 1
    assert "Line 20: The line is not a call" in done.errors
    assert "Line 21" not in done.errors
    assert "... and 4 more bad rows." in done.errors
    assert "1 new, 0 already on record, 24 bad." in done.errors
    unknown = tmp_path / "unknown.jsonl"
    unknown.write_text('{"a": 1}')
    done = run("import", str(unknown), server=other)
    assert done.status == 1 and "line 1: the format is not known" in done.errors
    unknown.write_text("")
    assert run("import", str(unknown), server=other).errors == (
        "0 new, 0 already on record, 0 bad.\n"
    )


def test_a_key_without_the_scope_is_told(other: RunningServer) -> None:
    """An import writes whole records, so it is an administrator's."""
    made = run("keys", "create", "reader", "--json", server=other)
    key = made.lines[0]["value"]
    done = run("import", str(FILES / "openrouter.csv"), "--api-key", key, server=other)
    assert done.status == 1 and "needs the scope 'admin'" in done.errors


def test_a_terminal_shows_how_far_it_is(other: RunningServer) -> None:
    """On a terminal, a bar reaches the end of the file."""
    status, shown = show("import", str(FILES / "openrouter.csv"), server=other)
    assert status == 0
    assert "100%" in shown and "on record" in shown


# ---- Splitting files.

ROWS = st.lists(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.text() | st.integers() | st.none(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=5,
        ),
        max_size=4,
    ),
    max_size=6,
)


@given(ROWS, st.sampled_from([None, 1]), st.integers(1, 40), st.booleans())
def test_an_array_is_split(
    rows: list[dict[str, Any]], indent: int | None, piece: int, is_ascii: bool
) -> None:
    """However the pieces fall, the objects of an array come one by one, with their lines."""
    text = json.dumps(rows, indent=indent, ensure_ascii=is_ascii)
    data = text.encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_PIECE", piece)
        found = list(documents._read_array(io.BytesIO(data), lambda count: None))
    assert [json.loads(each.raw) for each in found] == rows
    for each in found:
        line = data.split(b"\n")[each.line - 1].lstrip(b" [,")
        assert each.raw.startswith(line[:1]) and line


@pytest.mark.parametrize(
    ("begin", "problem"),
    [
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
        ('{"a": 1}'.encode("utf-16-le"), "UTF-8"),
        (gzip.compress(b"{}"), "gunzip"),
        (b"PK\x03\x04...", "unzip"),
        (b"PAR1...", "Parquet"),
        (b"\x00" * 100, "UTF-8"),
    ],
)
def test_files_of_another_kind(begin: bytes, problem: str) -> None:
    """A file that is no text is one bad row that says what it is, not an empty file."""
    [row] = read_rows(io.BytesIO(begin), lambda count: None)
    assert problem in row.problem


def test_long_rows_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is too long is reported in every kind of file, and the next one is read."""
    monkeypatch.setattr(documents, "ROW_BYTES_MAX", 100)
    monkeypatch.setattr(documents, "_PIECE", 64)
    long, short = json.dumps({"a": "x" * 500}), json.dumps({"a": 1})
    for text in (f"{short}\n{long}\n{short}\n", f"[{short},\n{long},\n{short}]"):
        read = list(read_rows(io.BytesIO(text.encode()), lambda count: None))
        assert [bool(each.problem) for each in read] == [False, True, False]
        assert [each.line for each in read] == [1, 2, 3]
    table = f"a,b\n1,2\n{'x' * 500},2\n3,4\n"
    read = list(read_rows(io.BytesIO(table.encode()), lambda count: None))
    assert [each.cells for each in read if each.cells] == [
        {"a": "1", "b": "2"},
        {"a": "3", "b": "4"},
    ]
    assert any(each.problem for each in read)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("\ufeff" + '{"a": 1}\n\n{"a": 2}\r\n', 2),
        ('{\n "data": [{"a": 1},\n {"a": 2}]\n}', 2),
        ('{"observations": [{"a": 1}], "id": "trace"}', 1),
        ('[{"a": 1}, {"a": 2}', 3),
        ("a,b\n1,2\n", 1),
        ('a,b\n"1', 1),
    ],
)
def test_files_of_every_shape(text: str, count: int) -> None:
    """Lines, one object with a list, an array that is cut off, and tables."""
    assert len(list(read_rows(io.BytesIO(text.encode()), lambda count: None))) == count
