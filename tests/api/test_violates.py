"""Broken rules are recorded, listed and counted, and never cost the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Server, Upstream, list_cases, load_case, read_rows, run_server

# Where the result differs from what the case says, and why.
OTHERWISE = {
    # Its usage counts two tokens, and three have log probabilities.
    "n01-logprobs-split-utf8-escaped": {"L12"},
    # It names the model that its own request asks for.
    "n31-seed-page-example": {"C2", "E3", "E4", "E5", "L2", "L3", "L4", "L5"},
    # Groq's deltas have empty tool_calls.
    "s05-x-groq-usage": {"M5", "S5"},
    # Bytes after [DONE] are not waited for.
    "s37-after-done": set(),
}
HI = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def broken(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What was recorded of every case by a server that was stopped at once afterwards."""
    data = tmp_path_factory.mktemp("violates") / "data"
    with run_server(data, config=upstream.config()) as server:
        for id in list_cases():
            server.chat({**load_case(id)["request"], "model": f"{id}/m-1"})
        server.stop()
    rows = read_rows(data, "model, violates")
    return {row["model"].partition("/")[0]: json.loads(row["violates"] or "[]") for row in rows}


@pytest.mark.parametrize("id", list_cases())
def test_cases_are_judged(broken: dict[str, list[str]], id: str) -> None:
    """The broken rules of an answer are recorded, at the latest when the server stops."""
    expected = OTHERWISE.get(id, set(load_case(id)["expect"].get("violates", [])))
    warned = set(load_case(id)["expect"].get("warn", [])) - {"E8", "M14"}
    assert broken[id] == sorted(expected | warned)


@pytest.fixture(scope="module")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("judged") / "data"
    with run_server(data, config=upstream.config()) as server:
        yield server


def list_violating(server: Server, *rules: str) -> list[dict[str, Any]]:
    query = "&".join(f"violates={rule}" for rule in rules)
    items: list[dict[str, Any]] = server.send(
        "GET", f"/v1/chat/completions?status=any&{query}"
    ).json["data"]
    return items


def test_calls_are_listed_by_rule(running: Server) -> None:
    """A list by rules has the answers that break all of them, including the newest call's."""
    for id in ("n07-toolcalls-content-missing", "n03-logprobs-llamacpp-empty-token", "ok"):
        running.chat({**HI, "model": f"{id}/m-1"})
    assert len(list_violating(running, "E5")) == 2
    [both] = list_violating(running, "E5", "L2")
    assert both["briggs"]["violates"] == ["E5", "L1", "L2"]
    assert both["briggs"]["status"] == "finished"
    metrics = running.send("GET", "/metrics").body.decode()
    name = "n07-toolcalls-content-missing"
    assert f'\nbriggs_rules_broken_total{{provider="{name}",rule="E5"}} 1.0\n' in metrics


def test_an_unknown_rule_is_refused(running: Server) -> None:
    """An unknown rule is an error, not an empty list."""
    reply = running.send("GET", "/v1/chat/completions?violates=C99")
    assert reply.status == 400
    assert "C99" in reply.json["error"]["message"]
    assert reply.json["error"]["param"] == "violates"


def test_a_plain_answer_breaks_nothing(running: Server) -> None:
    """An answer and a stream that conform have an empty list."""
    for stream in (False, True):
        reply = running.chat({**HI, "model": "ok/m-1", "stream": stream})
        assert running.find(reply)["briggs"]["violates"] == []


def test_what_the_request_forbids_is_seen(running: Server) -> None:
    """An answer that is valid by itself is also checked against its request."""
    reply = running.chat({**HI, "model": "ok/m-1", "max_tokens": 1})
    assert running.find(reply)["briggs"]["violates"] == ["C7"]


def test_the_data_folder_remembers(running: Server, upstream: Upstream, tmp_path: Path) -> None:
    """Another server that opens the folder lists by rule too."""
    with run_server(tmp_path / "data", config=upstream.config()) as server:
        server.chat({**HI, "model": "n19-content-array-thinking/m-1"})
        server.stop()
    with run_server(tmp_path / "data", config=upstream.config()) as server:
        assert [item["briggs"]["violates"] for item in list_violating(server, "M2")] == [["M2"]]
