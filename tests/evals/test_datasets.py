"""Datasets of files and of the record, over HTTP, by the SDK and by the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from briggs import Client
from tests.cli.running import RunningServer, create_completions, open_server, run
from tests.processes import Reply, Server, run_server

ROWS = [
    {"input": "The capital of France?", "target": "Paris"},
    {"input": "Of Peru?", "target": "Lima"},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with open_server(tmp_path_factory.mktemp("datasets")) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url, server.api_key) as client:
        yield client


def test_versions(client: Client) -> None:
    """The same samples are the version that is there, others are the next, and none changes."""
    first = client.datasets.create("capitals", ROWS)
    again = client.datasets.create("capitals", ROWS)
    second = client.datasets.create("capitals", ROWS[:1])
    assert (first.version, again.id, second.version) == (1, first.id, 2)
    assert client.datasets.retrieve("capitals").id == second.id
    assert client.datasets.retrieve("capitals@1").id == first.id
    assert [each.references for each in client.datasets.export(first.id)] == [["Paris"], ["Lima"]]
    assert [each.id for each in client.datasets.list(name="capitals")] == [second.id, first.id]
    assert client.datasets.delete("capitals@1").id == first.id
    assert [each.id for each in client.datasets.list(name="capitals")] == [second.id]
    # The next version does not take the number of one that was deleted before it.
    assert client.datasets.create("capitals", ROWS).version == 3


def test_files(server: RunningServer, client: Client, tmp_path: Path) -> None:
    """JSON lines, a list, CSV, Parquet and an export are read as the same samples."""
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    (tmp_path / "a.csv").write_text("input,target\nThe capital of France?,Paris\nOf Peru?,Lima\n")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    made = run("datasets", "create", "files", str(lines), server=server).lines[0]
    exported = tmp_path / "export.jsonl"
    assert run("datasets", "export", "files", str(exported), server=server).status == 0
    for name in ("a.json", "a.csv", "a.parquet", "export.jsonl"):
        again = run("datasets", "create", "files", str(tmp_path / name), server=server)
        assert again.lines[0]["id"] == made["id"], name
    listed = run("datasets", "list", "--name", "files", "--pretty", server=server).output
    assert "files@1" in listed and "a.jsonl" in listed
    shown = run("datasets", "get", "files@1", server=server).lines[0]
    assert shown["samples"] == 2
    assert run("datasets", "delete", "files", "--yes", server=server).status == 0
    assert "no dataset 'files'" in run("datasets", "get", "files", server=server).errors


def test_wrong_files(server: RunningServer, tmp_path: Path) -> None:
    """A row that is wrong is named by its line or its number, and nothing is made."""
    file = tmp_path / "wrong.jsonl"
    for text, said in (
        ('{"input": "x"}\n{"inp', "line 2: it is not JSON"),
        ('{"input": "x"}\n{"target": "x"}\n', "Sample 2 has no question"),
        ('{"input": "x", "id": "a"}\n{"input": "y", "id": "a"}\n', "the same id 'a'"),
        ("", "has no samples"),
        ("neither of these\n", "has no samples: write JSON lines"),
    ):
        file.write_text(text)
        done = run("datasets", "create", "wrong", str(file), server=server)
        assert done.status == 1 and said in done.errors, done.errors
    assert run("datasets", "create", "wrong", server=server).status == 2
    assert run("datasets", "create", "a/b", str(file), server=server).status == 1
    assert run("datasets", "list", "--name", "wrong", server=server).lines == []


def test_the_record(server: RunningServer, client: Client) -> None:
    """A filter makes samples of questions, with the answers or with reviewers' corrections."""
    ids = create_completions(
        server, "one", "two", "three", metadata={"briggs_tags": "of-a-dataset"}
    )
    task = client.feedback_tasks.create(
        "t", {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    )
    client.feedback.create(
        task.id, {"ok": False}, completion_ids=[ids[1]], corrected_output="better"
    )
    made = client.datasets.create_from_completions("asked", "tag = of-a-dataset")
    samples = list(client.datasets.export(made.id))
    assert [each.completion_id for each in samples] == ids[::-1]
    assert samples[0].messages == [{"role": "user", "content": "three"}]
    assert (samples[0].references, samples[0].parameters) == ([], {})
    answers = client.datasets.create_from_completions(
        "answers", "tag = of-a-dataset", references="answer", limit=1
    )
    assert [each.references for each in client.datasets.export(answers.id)] == [["You said: three"]]
    corrected = client.datasets.create_from_completions(
        "corrected", "tag = of-a-dataset", references="corrected", task_id=task.id
    )
    (only,) = client.datasets.export(corrected.id)
    assert (only.completion_id, only.references) == (ids[1], ["better"])
    assert corrected.source == "corrections where tag = of-a-dataset"
    done = run("datasets", "create", "none", "--filter", "tag = nothing", server=server)
    assert done.status == 1 and "No completion can become a sample" in done.errors


def test_bounds_and_scopes(tmp_path: Path) -> None:
    """Counts are bounded, and a key that cannot read makes no samples of what is on record."""
    with run_server(tmp_path / "data") as server:
        made = server.send(
            "POST", "/v1/organization/admin_api_keys", {"name": "k", "scopes": ["answer"]}
        )
        key = made.json["value"]

        def create(body: dict[str, Any]) -> Reply:
            return server.send("POST", "/api/v1/datasets", body, key=key)

        assert create({"name": "a", "filter": ""}).status == 403
        assert create({"name": "a", "samples": ROWS}).status == 200
        assert server.send("GET", "/api/v1/datasets", key=key).status == 403
        for body, said in (
            ({"name": "a"}, "Give either"),
            ({"name": "a", "samples": []}, "1 to 10,000 samples"),
            ({"name": "a", "samples": ROWS * 5_001}, "1 to 10,000 samples"),
            ({"name": "a", "filter": "", "limit": 10_001}, "'limit' is a number"),
            ({"name": "a", "filter": "tagg = x"}, "tag"),
            ({"name": "x" * 201, "samples": ROWS}, "1 to 200 letters"),
        ):
            reply = server.send("POST", "/api/v1/datasets", body)
            assert reply.status == 400 and said in reply.json["error"], reply.body


def test_redaction(tmp_path: Path) -> None:
    """What is redacted in completions is redacted in samples."""
    config = '[redaction]\n[redaction.patterns]\nticket = "T-[0-9]+"\n'
    with run_server(tmp_path / "data", config=config) as server:
        reply = server.send(
            "POST", "/api/v1/datasets", {"name": "a", "samples": [{"input": "about T-4711"}]}
        )
        assert reply.status == 200, reply.body
        assert b"4711" not in _export(server)


def _export(server: Server) -> bytes:
    return server.send("GET", "/api/v1/datasets/a/export").body
