"""`briggs stats`, and the statistics of the API and the SDK."""

from __future__ import annotations

import csv
import io
import json
import urllib.error
import urllib.request

import pytest
from rich.cells import cell_len

from briggs.client.sync import Client
from tests.cli.running import RunningServer, create_completions, plain, run, show


def prepare(server: RunningServer, tag: str) -> None:
    create_completions(server, "a", "b", "c", tags=[tag, "=1+1"])
    run("chat", "x", "--model=mine/refuses", f"--tag={tag}", server=server)


def test_statistics_in_a_pipe(server: RunningServer) -> None:
    """In a pipe, it prints one line of JSON: the total, and each model with its failures."""
    prepare(server, "stats-pipe")
    (found,) = run("stats", "--tag=stats-pipe", "--since=1h", server=server).lines
    total = found["total"]
    assert (total["completions"], total["finished"], total["failed"]) == (4, 3, 1)
    assert total["failures"] == {"upstream_400": 1}
    assert total["prompt_tokens"] == 21
    assert total["estimated"]["completions"] == 0
    assert 0 < total["first_token_ms"]["p50"] <= total["duration_ms"]["p95"]
    by_model = {group["key"]: group["completions"] for group in found["groups"]}
    assert by_model == {"mine/echo": 3, "mine/refuses": 1}
    assert run("stats", "--tag=stats-pipe", "--until=1h", server=server).lines[0]["groups"] == []


def test_the_sdk_and_the_api_agree(server: RunningServer) -> None:
    """Statistics have the same filters as lists, under the same names."""
    prepare(server, "stats-sdk")
    with Client(server.url, server.api_key) as client:
        found = client.statistics.retrieve(by="tag", tags=["stats-sdk"], status="finished")
    assert {group.key: group.completions for group in found.groups} == {"stats-sdk": 3, "=1+1": 3}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("by=year", "by"),
        ("text=x", "text"),
        ("limit=5", "limit"),
        ("cost_usd_min=x", "cost_usd_min"),
    ],
)
def test_what_cannot_be_asked(server: RunningServer, query: str, param: str) -> None:
    """An unsupported query key is refused by name."""
    request = urllib.request.Request(
        f"{server.url}/api/v1/statistics?{query}",
        headers={"authorization": f"Bearer {server.api_key}"},
    )
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request)
    with raised.value as refused:
        assert refused.code == 400
        assert json.loads(refused.read())["param"] == param


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("by", ["model", "tag", "day"])
def test_statistics_on_a_terminal(server: RunningServer, width: int, by: str) -> None:
    """A terminal shows totals and a table, and no line is wider than the terminal."""
    tag = f"stats-{by}-{width}-" + "long" * 20
    prepare(server, tag)
    status, shown = show("stats", f"--by={by}", f"--tag={tag}", server=server, width=width)
    assert status == 0
    text = plain(shown)
    assert "4 · 1 failed (25.0%)" in text
    assert "upstream_400 1" in text
    assert "p95" in text
    assert max(map(cell_len, text.splitlines())) <= width


def test_statistics_as_csv(server: RunningServer) -> None:
    """CSV has a row for each group, and its name cannot be a formula."""
    prepare(server, "stats-csv")
    done = run("stats", "--by=tag", "--tag=stats-csv", "--csv", server=server)
    rows = {row["key"]: row for row in csv.DictReader(io.StringIO(done.output, newline=""))}
    assert rows.keys() == {"stats-csv", "'=1+1"}
    assert rows["stats-csv"]["failed"] == "1"
    assert float(rows["stats-csv"]["duration_ms_p95"]) > 0


def test_nothing_to_sum_up(server: RunningServer) -> None:
    """No match is a sentence for people, and zeros for programs."""
    assert "No completions match." in show("stats", "--tag=nothing", server=server)[1]
    (found,) = run("stats", "--tag=nothing", server=server).lines
    assert found["total"]["completions"] == 0
    assert run("stats", "--by=year", server=server).status == 2
