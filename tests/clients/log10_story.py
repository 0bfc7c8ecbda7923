"""What a program with Log10's package does, unchanged, and what its commands show afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from click.testing import CliRunner
from log10 import _httpx_utils
from log10.__main__ import cli
from log10.load import OpenAI, log10, log10_session, log10_tags

ELSEWHERE, BRIGGS = os.environ["ELSEWHERE_URL"], os.environ["OPENAI_BASE_URL"]
LOG10 = os.environ["LOG10_URL"]
QUESTION = "What is 12 + 34?"
MESSAGES: Any = [{"role": "user", "content": QUESTION}]
TOOLS: Any = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
SCHEMA = {
    "type": "object",
    "properties": {"coverage": {"type": "integer", "minimum": 1, "maximum": 7}},
    "required": ["coverage"],
}
AT_ONCE = 5


def check(fact: object, what: str, shown: object = "") -> None:
    if not fact:
        sys.exit(f"log10: {what}\n{shown}")


def run(*arguments: str) -> str:
    """What a command of Log10's prints."""
    ended = CliRunner().invoke(cli, list(arguments))
    check(ended.exit_code == 0, " ".join(arguments), f"{ended.output}\n{ended.exception!r}")
    return ended.output


def download(*arguments: str) -> list[dict[str, Any]]:
    """The lines that a command of Log10's saves."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.jsonl"
        run(*arguments, "--file", str(path))
        return [json.loads(line) for line in path.read_text().splitlines()]


def call(base_url: str, tag: str) -> None:
    """One after the other: whole, streamed, with tools, and refused."""
    client = OpenAI(base_url=base_url, tags=[tag], max_retries=0)
    with log10_session(tags=["in-session"]) as session:
        answer = client.chat.completions.create(model="whole", messages=MESSAGES)
        check(answer.choices[0].message.content == "46", "an answer has content")
        id, url = session.last_completion_id(), session.last_completion_url()
    check(url == f"{LOG10}/app/default/completions/{id}", "a session knows its last address", url)
    stream = client.chat.completions.create(model="whole", messages=MESSAGES, stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    check(said == "46", "a stream spells the answer", said)
    called = client.chat.completions.create(model="tools", messages=MESSAGES, tools=TOOLS)
    check(called.choices[0].message.tool_calls, "a tool is called")
    try:
        client.chat.completions.create(model="refused", messages=MESSAGES)
    except openai.BadRequestError:
        return
    check(False, "an error is raised as the client's own")


async def call_at_once() -> None:
    """Many at once, elsewhere and through Briggs, and one stream each."""
    for base_url, tag in ((ELSEWHERE, "async-elsewhere"), (BRIGGS, "async-briggs")):
        client = openai.AsyncOpenAI(base_url=base_url, max_retries=0)
        with log10_tags([tag]):
            await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="whole", messages=[{"role": "user", "content": f"question {number}"}]
                    )
                    for number in range(AT_ONCE)
                )
            )
            stream = await client.chat.completions.create(
                model="whole", messages=MESSAGES, stream=True
            )
            check([chunk async for chunk in stream], "a stream has chunks")
    await _httpx_utils.finalize()


def read_completions() -> None:
    """Every call is read back by the package's own commands."""
    for tag in ("sync-elsewhere", "sync-briggs"):
        told = download("completions", "download", "--tags", tag)
        told.sort(key=lambda completion: completion["created_at"])
        statuses = [(each["status"], each["kind"]) for each in told]
        expected = [("finished", "chat")] * 3 + [("failed", "chat")]
        check(statuses[:4] == expected, "every call ended as it did", statuses)
        check(told[2]["response"]["choices"][0]["message"]["tool_calls"], "a tool call is kept")
        check(told[3]["failure_kind"] == "BadRequestError", "a failure has its kind", told[3])
        check(all(each["stacktrace"] for each in told[:4]), "it is known where calls were made")
        shown = run("completions", "get", "--id", told[0]["id"])
        check(QUESTION in shown, "a completion is shown", shown)
    for tag in ("async-elsewhere", "async-briggs"):
        told = download("completions", "download", "--tags", tag)
        asked = sorted(each["request"]["messages"][0]["content"] for each in told)
        expected = [QUESTION, *(f"question {number}" for number in range(AT_ONCE))]
        check(asked == expected, "no call has another's request", asked)
        check({each["status"] for each in told} == {"finished"}, "every call has ended", told)
    years = ("--from", "2020-01-01", "--to", "2199-01-01")
    listed = run("completions", "list", "--limit", "3", *years)
    check(listed.count("success") == 3, "completions are listed", listed)
    listed = run("completions", "list", "--from", "2020-01-01", "--to", "2020-01-02")
    check("success" not in listed, "dates are obeyed", listed)


def grade() -> None:
    """A task and feedback, made and read back by the package's own commands."""
    made = run(
        *("feedback-task", "create", "--name", "Coverage", "--task_schema", json.dumps(SCHEMA)),
        *("--instruction", "Grade it.", "--completion_tags_selector", "in-session"),
    )
    task = made.split()[-1]
    check("Coverage" in run("feedback-task", "list"), "the task is listed")
    shown = json.loads(run("feedback-task", "get", "--id", task))
    check(shown["json_schema"] == SCHEMA, "the task has its schema", shown)
    for coverage in (3, 7):
        run(
            *("feedback", "create", "--task_id", task, "--comment", "seen"),
            *("--values", json.dumps({"coverage": coverage})),
            *("--completion_tags_selector", "in-session,sync-elsewhere"),
        )
    check("Total feedback: 2" in run("feedback", "list", "--task_id", task), "feedback is listed")
    given = download("feedback", "download", "--task_id", task)
    check(
        [each["json_values"]["coverage"] for each in given] == [7, 3], "the newest is first", given
    )
    check(len(given[0]["matched_completion_ids"]) == 1, "the tags match one completion", given)
    shown = json.loads(run("feedback", "get", "--id", given[0]["id"]))
    check(shown["comment"] == "seen", "a comment is kept", shown)
    low = download("feedback", "download", "--task_id", task, "--filter", "coverage <= 5")
    check([each["id"] for each in low] == [given[1]["id"]], "a filter is obeyed", low)
    shown = run(
        "feedback", "autofeedback", "get", "--completion-id", low[0]["matched_completion_ids"][0]
    )
    check('"autoFeedback": null' in shown, "no feedback is given by itself", shown)


def evaluate() -> None:
    """The package's plugin of pytest reports a run of tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test_sums.py"
        path.write_text("def test_sum():\n    assert 12 + 34 == 46\n")
        ended = pytest.main(
            ["--log10", "-q", "-p", "no:cacheprovider", "--rootdir", folder, folder]
        )
    check(ended == 0, "the tests pass", ended)
    headers = {"x-log10-token": os.environ["LOG10_TOKEN"]}
    runs = f"{LOG10}/api/v1/test_runs"
    [listed] = httpx.get(runs, headers=headers).json()["data"]
    report = httpx.get(f"{runs}/{listed['id']}", headers=headers).json()["report"]
    check(report["summary"]["passed"] == 1, "the report is kept", report)


if __name__ == "__main__":
    # The one address that the package does not take from its environment.
    _httpx_utils.GRAPHQL_URL = f"{LOG10}/graphql"
    log10(openai)
    call(ELSEWHERE, "sync-elsewhere")
    call(BRIGGS, "sync-briggs")
    asyncio.run(call_at_once())
    read_completions()
    grade()
    evaluate()
