"""Retention over HTTP, on the pages and by the command, with a file that changes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from briggs.types.completions import create_id
from briggs.wires.openai.responses.answer import write_id
from tests.cli.running import RunningServer, run
from tests.processes import Server, create_response, run_server
from tests.waiting import wait_for
from tests.web.visitor import Visitor

OLD_S = 40 * 86_400


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with run_server(tmp_path / "data", config="") as server:
        yield server


def log(server: Server, name: str, *tags: str, age_s: float = OLD_S) -> str:
    """A completion that a client logs long after it happened."""
    body = {
        "kind": "chat",
        "status": "finished",
        "tags": list(tags),
        "created_at_ms": round((time.time() - age_s) * 1000),
        "request": {"model": "m-1", "messages": [{"role": "user", "content": name}]},
        "response": create_response(f"about {name}"),
    }
    reply = server.send("POST", "/api/v1/completions", body)
    assert reply.status == 200, reply.body
    id: str = reply.json["id"]
    return id


def wait_until_empty(server: Server, id: str) -> None:
    wait_for(lambda: server.retrieve(id)["briggs"]["bodies_deleted_at"])


def test_a_change_of_the_file_and_a_completion_without_messages(server: Server) -> None:
    """After a reload the file's spans count, and every reader is told that messages are gone."""
    old = log(server, "canary-old")
    new = log(server, "canary-new", age_s=60)
    schema = {"type": "object", "properties": {"good": {"type": "boolean"}}}
    task = {"name": "t", "instruction": "?", "json_schema": schema, "completion_tags_selector": []}
    made = server.send("POST", "/api/v1/feedback_task", task).json
    config = server.data.parent / "data.toml"
    config.write_text('[retention]\nbodies = "30d"\n')
    server.process.send_signal(signal.SIGHUP)
    wait_until_empty(server, old)
    briggs = server.retrieve(old, "request", "received")["briggs"]
    assert briggs["request"] is None and briggs["total_tokens"] == 7
    with OpenAI(base_url=f"{server.url}/v1", api_key=server.key) as client:
        assert client.chat.completions.retrieve(old).choices == []
        assert client.chat.completions.retrieve(new).choices[0].message.content
    for part in ("messages", "received"):
        reply = server.send("GET", f"/v1/chat/completions/{old}/{part}")
        assert (reply.status, reply.json["error"]["code"]) == (410, "deleted")
        assert "deleted after 40 days, as [retention] says" in reply.json["error"]["message"]
    taken = server.send("POST", f"/api/v1/feedback_task/{made['id']}/next", {}).json
    assert taken["completion"]["id"] == new, (made, taken)
    progress = server.send("GET", f"/api/v1/feedback_task/{made['id']}/progress").json
    assert progress["matching"] == 1
    lines = server.send("GET", "/api/v1/completions/export").body.splitlines()
    exported = {line["id"]: line for line in map(json.loads, lines)}
    assert exported[old]["bodies_deleted_at"] and not exported[new].get("bodies_deleted_at")
    legacy = server.send("GET", f"/api/v1/completions/{old}")
    assert legacy.status == 200 and b"canary" not in legacy.body


def test_a_response_without_its_messages(server: Server) -> None:
    """It is neither retrieved nor continued, and the rest of its conversation goes on."""
    conversation = server.send("POST", "/v1/conversations", {}).json["id"]
    made = time.time() - OLD_S
    line = {
        "object": "briggs.completion",
        "id": create_id(),
        "kind": "response",
        "status": "finished",
        "created_at_us": round(made * 1e6),
        "model": "m-1",
        "session_id": conversation,
        "request": {"model": "m-1", "input": "canary", "conversation": conversation},
        "response": create_response("canary"),
    }
    assert server.send("POST", "/api/v1/completions/import", line).json["data"][0]["is_new"]
    place = f"/v1/responses/{write_id(str(line['id']))}"
    assert server.send("GET", place).json["status"] == "completed"
    (server.data.parent / "data.toml").write_text('[retention]\nbodies = "30d"\n')
    server.process.send_signal(signal.SIGHUP)
    wait_until_empty(server, str(line["id"]))
    for part in ("", "/input_items"):
        gone = server.send("GET", place + part)
        assert (gone.status, gone.json["error"]["code"]) == (410, "deleted")
    asked = {"model": "local/briggs-tiny", "input": "Hi"}
    refused = server.send(
        "POST", "/v1/responses", {**asked, "previous_response_id": place.rpartition("/")[2]}
    )
    assert refused.status == 400
    assert refused.json["error"]["code"] == "previous_response_not_found"
    assert "deleted after 40 days" in refused.json["error"]["message"]
    assert server.send("GET", f"/v1/conversations/{conversation}/items").json["data"] == []
    gone_on = server.send("POST", "/v1/responses", {**asked, "conversation": conversation})
    assert gone_on.json["status"] == "completed"
    assert server.send("DELETE", place).json["deleted"]


def test_a_page_says_what_is_gone(server: Server) -> None:
    """Every tab of a completion without messages opens, and its page and the list say why."""
    id = log(server, "canary-old")
    (server.data.parent / "data.toml").write_text('[retention]\nbodies = "30d"\n')
    server.process.send_signal(signal.SIGHUP)
    wait_until_empty(server, id)
    visitor = Visitor(server)
    for tab in ("", "?tab=raw", "?tab=rules", "?tab=parameters", "?tab=session", "?format=json"):
        page = visitor.visit(f"/completions/{id}{tab}")
        assert page.status == 200, tab
        assert b"Its messages were deleted after 40 days, as [retention] says." in page.body, tab
    for path in (f"/playground?from={id}", "/", "/sessions"):
        assert visitor.visit(path).status == 200, path
    listed = visitor.visit(f"/completions?range=all&peek={id}")
    assert listed.status == 200, listed.body
    assert b"messages deleted" in listed.body


def test_the_command_counts_first(server: Server) -> None:
    """A dry run prints what would go, and a run deletes it."""
    config = server.data.parent / "data.toml"
    log(server, "one", "pii", age_s=7_200)
    log(server, "two")
    config.write_text('[[retention.rules]]\ntag = "pii"\nmetadata = "365d"\n')
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    reply = server.send("GET", "/api/v1/retention").json
    assert reply["data"] == [
        {
            "what": "metadata",
            "span": "365d",
            "organization": None,
            "tag": "pii",
            "completions": 0,
        }
    ]
    there = RunningServer(server.url, server.key, server.data)
    counted = run("retention", "run", "--dry-run", server=there)
    assert counted.output.split() == [
        "0",
        "whole",
        "would",
        "be",
        "deleted,",
        "kept",
        "365d",
        "of",
        "tag",
        "pii",
    ]
    assert run("retention", "run", server=there).output.split()[:3] == ["0", "whole", "deleted,"]
    config.write_text("")
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert "everything is kept" in run("retention", "run", server=there).errors
