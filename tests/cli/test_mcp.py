"""`briggs mcp`, by the official client, over the pipes that programs use."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from briggs.cli.tools.bounds import CHARACTERS_MAX, write_bounded
from briggs.types.completions import create_id
from tests.cli.running import RunningServer, create_completions, environment, join, run
from tests.cli.test_feedback import create_task, give

READING = [
    "list_completions", "search_completions", "get_completion", "read_body",
    "compare_completions", "get_statistics", "list_tasks",
]  # fmt: skip


class Assistant:
    """A program that has started `briggs mcp`."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **values: Any) -> str:
        """The text of a tool's result, which must be no error."""
        result = await self.client.call_tool(tool, values)
        assert not result.is_error, result.content
        return str(result.content[0].text)  # type: ignore[union-attr]

    async def ask(self, tool: str, **values: Any) -> Any:
        """The result of a tool, read as JSON."""
        return json.loads(await self.call(tool, **values))

    async def fail(self, tool: str, **values: Any) -> str:
        """What a tool says that refuses."""
        result = await self.client.call_tool(tool, values)
        assert result.is_error
        return str(result.content[0].text)  # type: ignore[union-attr]


def assist(
    server: RunningServer, story: Callable[[Assistant], Awaitable[None]], *, key: str = ""
) -> None:
    """Run a story against `briggs mcp` in a process of its own."""
    variables = environment(BRIGGS_URL=server.url, BRIGGS_API_KEY=key or server.api_key)
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "briggs", "mcp"], env=variables
    )

    async def act() -> None:
        async with Client(command, read_timeout_seconds=30) as client:
            await story(Assistant(client))

    asyncio.run(act())


def create_key(server: RunningServer, *scopes: str) -> str:
    options = [option for scope in scopes for option in ("--scope", scope)]
    made = run("keys", "create", "of mcp", *options, server=server)
    assert made.status == 0, made.errors
    return made.output.strip()


def test_the_record_is_read(server: RunningServer) -> None:
    """Lists, searches, one completion, its bodies, two compared, figures and tasks."""
    first, second = create_completions(server, "one\ntwo", "one\nthree", tags=["mcp"], seed=1)
    create_completions(server, "else", tags=["other"])
    create_task(server, "mcp")
    give(server, "mcp", 4, "--completion", first)

    async def story(assistant: Assistant) -> None:
        tools = (await assistant.client.list_tools()).tools
        assert [tool.name for tool in tools] == [*READING, "grade_completion"]
        hints = [tool.annotations and tool.annotations.read_only_hint for tool in tools]
        assert hints == [True] * len(READING) + [False]
        assert all(tool.description for tool in tools)
        newest = await assistant.ask("list_completions", limit=1)
        assert newest["completions"][0]["tags"] == ["other"] and newest["next_after"]
        found = await assistant.ask("search_completions", filter='tag = mcp and "three"')
        assert (found["matching"], found["matching_is_exact"]) == (1, True)
        [listed] = found["completions"]
        assert (listed["id"], listed["asked"]) == (second, "one\nthree")
        assert listed["answered"] == "You said: one\nthree"
        whole = await assistant.ask("get_completion", id=first[-8:])
        assert whole["request"]["messages"][0]["content"] == "one\ntwo"
        assert whole["answer"]["choices"][0]["message"]["content"] == "You said: one\ntwo"
        assert [each["json_values"] for each in whole["feedback"]] == [{"relevance": 4}]
        received = await assistant.call("read_body", id=first, body="received", offset=6)
        assert received.startswith("Characters 6 to ") and "data: [DONE]" in received
        compared = await assistant.ask("compare_completions", first=first, second=second)
        assert not compared["same_messages"]
        assert "-two" in compared["difference_of_messages"]
        assert "+three" in compared["difference_of_answers"]
        assert compared["parameters_that_differ"] == {}
        figures = await assistant.ask("get_statistics", filter="tag = mcp", by="model")
        assert figures["total"]["completions"] == 2
        tasks = await assistant.ask("list_tasks")
        assert "mcp" in [each["name"] for each in tasks]

    assist(server, story)


def test_a_model_grades_if_its_key_may(server: RunningServer) -> None:
    """Its feedback is a model's. A key that only reads does not even see the tool."""
    [id] = create_completions(server, "x", tags=["mcp-graded"])
    create_task(server, "mcp-graded")

    async def grade(assistant: Assistant) -> None:
        values = {"task": "mcp-graded", "id": id, "comment": "good"}
        given = await assistant.ask("grade_completion", values={"relevance": 5}, **values)
        assert (given["reviewer_kind"], given["comment"]) == ("model", "good")
        said = await assistant.fail("grade_completion", values={"relevance": 9}, **values)
        assert "relevance" in said

    async def read(assistant: Assistant) -> None:
        assert [tool.name for tool in (await assistant.client.list_tools()).tools] == READING
        found = await assistant.ask("get_completion", id=id)
        assert found["feedback"][0]["reviewer_kind"] == "model"

    assist(server, grade, key=create_key(server, "read", "grade"))
    assist(server, read, key=create_key(server, "read"))


def test_mistakes_are_sentences(server: RunningServer) -> None:
    """A model reads what is wrong, and what to do instead."""

    async def story(assistant: Assistant) -> None:
        said = await assistant.fail("search_completions", filter="tagg = x")
        assert "Did you mean 'tag'?" in said
        assert "There is no completion" in await assistant.fail("get_completion", id="zzzz-none")
        assert "limit" in await assistant.fail("list_completions", limit=1_000)

    assist(server, story)


def test_odd_bodies_are_read(server: RunningServer, tmp_path: Path) -> None:
    """Half a surrogate pair, or an answer of no shape, ends neither the server nor a list."""
    server = join(server, tmp_path / "own")
    id = create_id()
    asked = {"model": "m", "messages": [{"role": "user", "content": "half \ud800"}]}
    kept = {"object": "briggs.completion", "id": id, "kind": "chat", "status": "finished"}
    line = {**kept, "created_at_us": 1_790_000_000_000_000, "model": "m", "tags": ["odd"]}
    answer = {"created": "x", "model": 5, "choices": "x"}
    (tmp_path / "odd.jsonl").write_text(json.dumps({**line, "request": asked, "response": answer}))
    assert run("import", str(tmp_path / "odd.jsonl"), server=server).status == 0

    async def story(assistant: Assistant) -> None:
        assert "half ?" in await assistant.call("read_body", id=id, body="request")
        assert "half" in await assistant.call("get_completion", id=id)
        found = await assistant.ask("search_completions", filter="tag = odd")
        assert [each["id"] for each in found["completions"]] == [id]
        assert "without an id" in await assistant.fail("get_completion", id="")

    assist(server, story)


def test_a_large_body_is_cut(server: RunningServer) -> None:
    """A body of 20 MB comes as its beginning, which says so, and can be read on."""
    [id] = create_completions(server, "x" * 20_000_000, model="mine/letters", tags=["large"])

    async def story(assistant: Assistant) -> None:
        text = await assistant.call("get_completion", id=id)
        assert len(text) <= CHARACTERS_MAX
        assert "cut: 20,000,000 characters in all" in text
        listed = await assistant.call("search_completions", filter="tag = large")
        assert len(listed) < 5_000
        piece = await assistant.call("read_body", id=id, body="request", offset=19_999_990)
        assert "xxx" in piece and len(piece) < 60_000
        first = await assistant.call("read_body", id=id, body="request")
        assert "Read on with offset 50000." in first

    assist(server, story)


def test_a_server_that_is_away_is_one_line(server: RunningServer) -> None:
    """A program that starts the command shows why it ended."""
    done = run("mcp", "--url=http://127.0.0.1:9", server=server)
    assert done.status == 1 and len(done.errors.splitlines()) == 1
    assert "http://127.0.0.1:9" in done.errors


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        ["x" * 1_000] * 1_000,
        [[["x" * 100] * 100] * 100] * 10,
        {str(number): "x" * 1_000 for number in range(10_000)},
        {"x" * 100_000: 1},
    ],
)
def test_results_are_bounded(value: Any) -> None:
    """Whatever its shape, a result is short and says that it was cut."""
    text = write_bounded(value)
    assert len(text) <= CHARACTERS_MAX + 100
    assert "(cut: " in text
