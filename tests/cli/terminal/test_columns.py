"""The table of completions, and the same as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from briggs.cli.terminal.columns import find_snippet
from tests.cli.running import RunningServer, create_completions, plain, run, show


def tell(server: RunningServer, **members: Any) -> str:
    """Record a call that was answered elsewhere. Returns its id."""
    id = str(uuid.uuid4())
    request = urllib.request.Request(
        f"{server.url}/api/completions/{id}",
        data=json.dumps({"status": "finished", **members}).encode(),
        headers={"x-log10-token": server.api_key},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    return id


def tell_chat(server: RunningServer, said: str, *, reason: str = "stop", **members: Any) -> str:
    """Record a chat with one user message and the answer `fine`. Returns its id."""
    asked = {"model": "m", "messages": [{"role": "user", "content": said}]}
    answer = {
        "index": 0,
        "finish_reason": reason,
        "message": {"role": "assistant", "content": "fine"},
    }
    return tell(
        server, request=json.dumps(asked), response=json.dumps({"choices": [answer]}), **members
    )


def test_what_was_cut_off_is_no_tick(server: RunningServer) -> None:
    """Answers that end with `length` or `content_filter` are marked as cut off."""
    for reason, mark in (("stop", "✓"), ("length", "!"), ("content_filter", "!")):
        id = tell_chat(server, "x", reason=reason, tags=["marks"])
        row = next(
            line
            for line in plain(
                show("completions", "list", "--tag=marks", server=server)[1]
            ).splitlines()
            if id[-8:] in line
        )
        assert f"{id[-8:]}  {mark}" in row


def test_a_wide_table_has_what_is_known(server: RunningServer) -> None:
    """A wide terminal also shows finish reason, tags, session and source."""
    tell_chat(server, "x", reason="length", tags=["t-wide"], session_id="s-wide")
    _, shown = show("completions", "list", "--tag=t-wide", server=server, width=200)
    row = plain(shown).splitlines()[1]
    for cell in ("length", "t-wide", "s-wide", "client"):
        assert cell in row


def test_the_end_says_how_many_match(server: RunningServer) -> None:
    """The table ends with the number of rows shown and the total."""
    create_completions(server, *"abcde", session_id="how many")
    _, shown = show("completions", "list", "--session=how many", "--limit=2", server=server)
    assert "2 of 5." in plain(shown)


def test_retries_are_marked(server: RunningServer) -> None:
    """A retried call has its own mark."""
    body = json.dumps({"model": "mine/echo", "messages": [{"role": "user", "content": "x"}]})
    request = urllib.request.Request(
        f"{server.url}/v1/chat/completions",
        data=body.encode(),
        headers={
            "authorization": f"Bearer {server.api_key}",
            "content-type": "application/json",
            "x-stainless-retry-count": "2",
            "x-briggs-session": "again",
        },
    )
    with urllib.request.urlopen(request) as answer:
        answer.read()
    assert "✓↻" in plain(show("completions", "list", "--session=again", server=server)[1])
    (row,) = read_csv(run("completions", "list", "--session=again", "--csv", server=server).output)
    assert row["retries"] == "2"


def test_columns_are_chosen(server: RunningServer) -> None:
    """Columns can be named by heading or by member. A wrong name lists all."""
    tell_chat(server, "x", tags=["chosen columns"])
    options = ["completions", "list", "--tag=chosen columns", "--pretty"]
    shown = run(*options, "--columns", "source,finish_reasons", server=server).output
    assert shown.splitlines()[0].split() == ["source", "finish"]
    assert shown.splitlines()[1].split() == ["client", "stop"]
    refused = run(*options, "--columns=id,nope", server=server)
    assert refused.status == 2
    assert "'nope'" in refused.errors
    assert "finish" in refused.errors
    assert len(refused.errors.splitlines()) == 1


def test_more_filters_have_options(server: RunningServer) -> None:
    """The command has every filter of the API, under the same names."""
    tell_chat(server, "x", reason="length", tags=["more options"])

    def count(*filters: str) -> int:
        done = run("completions", "list", "--tag=more options", *filters, server=server)
        assert done.status == 0, done.errors
        return len(done.lines)

    assert count("--finish-reason=length", "--source=client") == 1
    assert count("--finish-reason=stop") == 0
    assert count("--user=ann") == 0
    assert count("--failure-kind=timeout") == 0
    assert count("--duration-ms-min=1") == 0
    assert count("--cost-usd-max=5", "--since=1h", "--until=1h") == 0


@pytest.mark.parametrize(
    "wrong",
    [
        ["--duration-ms-min=nan"],
        ["--cost-usd-max", "9" * 5_000],
        ["--cost-usd-min=2", "--cost-usd-max=1"],
        ["--limit", "9" * 5_000],
        ["--since", "9" * 5_000],
        ["--source=x"],
        ["--metadata=x"],
        ["--json", "--pretty"],
    ],
)
def test_a_wrong_option_is_one_line(server: RunningServer, wrong: list[str]) -> None:
    """An invalid filter is a short error on one line, with exit status 2."""
    done = run("completions", "list", *wrong, server=server)
    assert (done.status, done.output) == (2, "")
    assert len(done.errors.splitlines()) == 1
    assert len(done.errors) < 700


@pytest.mark.parametrize("width", [20, 40, 80, 100, 120, 150, 200, 300])
def test_no_line_is_wider_than_the_terminal(server: RunningServer, width: int) -> None:
    """No row is wider than the terminal, even with wide characters and chosen columns."""
    tell_chat(
        server, "日本語のテキスト 🎉 " * 20, tags=["wide", "日本語" * 9], session_id="日本" * 20
    )
    for columns in ([], ["--columns=id,session,tags,asked"]):
        _, shown = show("completions", "list", "--tag=wide", *columns, server=server, width=width)
        table = plain(shown).split("\r\n\r\n")[0]
        assert max(map(cell_len, table.splitlines())) <= width


def test_the_words_that_were_searched_for_are_shown(server: RunningServer) -> None:
    """The text around the searched words is shown, even from an earlier message."""
    tell_chat(server, "word " * 100 + "Needle and thread", tags=["snippet"])
    _, shown = show("completions", "list", "--tag=snippet", "--text=needle", server=server)
    assert "Needle" in plain(shown)
    earlier = [{"role": "user", "content": "a Needle"}, {"role": "user", "content": "last"}]
    tell(server, request=json.dumps({"model": "m", "messages": earlier}), tags=["earlier"])
    _, shown = show("completions", "list", "--tag=earlier", "--text=needle", server=server)
    assert "Needle" in plain(shown)


@pytest.mark.parametrize("text", ["[x] (a+)+$", "ẞ straße", "\x1b[2J", ""])
def test_a_snippet_of_anything(text: str) -> None:
    """The searched words are not a pattern, and cannot steer the terminal."""
    shown = find_snippet(f"before {text} after", text, width=20)
    assert "\x1b" not in shown.plain
    assert "after" in shown.plain


def test_csv_in_a_file_and_in_a_pipe(server: RunningServer, tmp_path: Path) -> None:
    """CSV has a row for each completion. Formulas are escaped, and nothing else changes."""
    id = tell_chat(server, '=HYPERLINK("x")', tags=["csv", "=t"], session_id="\tcsv")
    file = tmp_path / "all.csv"
    options = ["--tag=csv", "--status=any"]
    assert run("completions", "download", str(file), *options, server=server).status == 0
    (row,) = read_csv(file.read_bytes().decode())
    assert row["id"] == id
    assert row["asked"] == '\'=HYPERLINK("x")'
    assert row["answered"] == "fine"
    assert row["session_id"] == "'\tcsv"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", row["created_at"])
    piped = run("completions", "list", "--csv", *options, server=server)
    assert read_csv(piped.output) == [row]
    few = run("completions", "download", "--csv", "--columns=id,cost", *options, server=server)
    assert read_csv(few.output) == [{"id": id, "cost_usd": ""}]
    wrong = run("completions", "download", "--columns=id", *options, server=server)
    assert wrong.status == 2


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))
