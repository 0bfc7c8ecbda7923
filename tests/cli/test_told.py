"""Programs may log anything. It can still be listed, shown and graded."""

from __future__ import annotations

import json
import urllib.request
import uuid
from typing import Any

import pytest

from tests.cli.running import RunningServer, run, show

ASKED = {"model": "m", "messages": [{"role": "user", "content": "what was asked"}]}
SAID = {"message": {"role": "assistant", "content": "what was said"}}
TOLD: dict[str, tuple[Any, Any]] = {
    "a chat": (ASKED, {"choices": [SAID]}),
    "a prompt": ({"prompt": "what was asked"}, {"choices": [{"text": "what was said"}]}),
    "prompts": ({"prompt": ["what was asked"]}, {"choices": [{"text": "what was said"}]}),
    "Anthropic's": (ASKED, {"content": [{"type": "text", "text": "what was said"}], "usage": {}}),
    "a text": ("what was asked", "what was said"),
    "a list": ([1], [1]),
    "members of other types": (
        {"model": 1, "messages": [1, {"role": None, "content": 5, "tool_calls": "x"}], "tools": 1},
        {"created": "x", "model": 5, "object": 1, "usage": 3, "metadata": 4, "choices": [
            {"message": {"content": 5, "tool_calls": [1, {}, {"function": 1}]}, "logprobs": 1}]},
    ),
    "choices that are none": (ASKED, {"choices": [1, None]}),
    "no choices": ({"messages": None}, {"choices": None}),
}  # fmt: skip


def tell(server: RunningServer, name: str, *, tag: str) -> str:
    """Log a call as Log10's clients do, with bodies as JSON strings. Returns its id."""
    id = str(uuid.uuid4())
    asked, said = (json.dumps(body) for body in TOLD[name])
    row = {"status": "finished", "request": asked, "response": said, "tags": [tag]}
    request = urllib.request.Request(
        f"{server.url}/api/completions/{id}",
        data=json.dumps(row).encode(),
        headers={"x-log10-token": server.api_key},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    return id


@pytest.mark.parametrize("name", TOLD)
def test_what_was_told_is_shown(server: RunningServer, name: str) -> None:
    """Each is listed and shown, in a pipe and on a terminal."""
    id = tell(server, name, tag=name)
    (item,) = run("completions", "list", "--tag", name, server=server).lines
    (alone,) = run("completions", "get", id, server=server).lines
    assert item == alone
    for command in (["get", id], ["list", "--tag", name]):
        status, shown = show("completions", *command, server=server, width=140)
        assert status == 0, shown
        if "what was" in str(TOLD[name][0]):
            assert "what was asked" in shown
        assert ("what was said" in shown) is ("what was said" in str(TOLD[name][1]))


def test_what_was_told_can_be_graded(server: RunningServer) -> None:
    """Each appears in its task's queue and can be graded."""
    schema = '{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}'
    for name in TOLD:
        tag = f"to grade: {name}"
        tell(server, name, tag=tag)
        task = ["--name", name, "--task-schema", schema, "--completion-tags-selector", tag]
        assert run("feedback-task", "create", *task, server=server).status == 0
        done = run("feedback", "grade", "--task", name, "--piped", input="y\n" * 9, server=server)
        assert done.status == 0
        assert "0 graded" not in done.errors
