"""`briggs evals` in a pipe and on a terminal, and what its reports say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.running import RunningServer, join, open_server, plain, run, show

ROWS = [{"input": f"number {n}", "target": f"number {n}"} for n in range(12)]
ROWS += [{"input": "odd", "target": "even"}]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with open_server(tmp_path_factory.mktemp("commands")) as running:
        yield running


@pytest.fixture
def server(shared: RunningServer, tmp_path: Path) -> RunningServer:
    """A server that has answered nothing to this organization, and so asks everything."""
    return join(shared, tmp_path / "own")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my numbers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_markdown(server: RunningServer, file: Path) -> None:
    """What is lacking comes first, then a table, then what changed, by the ids of samples."""
    done = run(
        *("evals", "run", str(file), "--targets", "mine/echo,mine/thinks,mine/refuses"),
        *("--scorers", "includes", "--format", "markdown"),
        server=server,
    )
    assert done.status == 1
    assert "39 to ask, 0 answered before: cost not known, since mine/echo, mine/" in done.errors
    lines = done.output.splitlines()
    assert lines[0] == "### my-numbers"
    assert lines[2] == "Of 39 answers, 13 failed (13 upstream_400)."
    assert lines[6].startswith("| `mine/echo` | 0.923 (0.667 to 0.986) | 0 | — |")
    assert lines[8].startswith("| `mine/refuses` | none | 13 of 13 |")
    text = done.output
    assert "**includes: mine/thinks against mine/echo**: Worse by 0.92 (0.58 to 0.99)." in text
    [worse] = [line for line in lines if line.startswith("- 12 worse: ")]
    # Each sample leads to the page that shows both answers to it.
    assert worse.count(f"]({server.url}/compare?ids=") == 12 and "[`1`]" in worse


def test_terminal_and_others(server: RunningServer, file: Path, tmp_path: Path) -> None:
    """The terminal, JUnit and JSON say the same, and a second run costs nothing."""
    arguments = ("evals", "run", str(file), "--targets", "mine/echo,mine/thinks")
    first = run(*arguments, "--scorer", "fuzzy:0.5", "--format", "json", server=server)
    made = json.loads(first.output)
    assert first.status == 0 and made["progress"]["answered"] == 26
    scorers = ("--scorers", "exact", "--scorers")
    status, shown = show(*arguments, *(*scorers, "includes"), server=server, width=150)
    assert status == 0
    shown = plain(shown)
    assert "26 answered before" in shown and "All 26 answers are there." in shown
    assert "The cost of this run: $0.00. Answers of earlier runs: 26." in shown
    id = run("evals", "list", "--limit", "1", "--json", server=server).lines[0]["id"]
    xml = tmp_path / "junit.xml"
    report = ("evals", "report", id, "--format", "junit", "--output", str(xml))
    assert run(*report, server=server).status == 0
    suites = ElementTree.parse(xml).getroot()
    assert [suite.get("failures") for suite in suites] == ["0", "1"]
    [failure] = suites.iter("failure")
    assert f" {server.url}/compare?ids=" in (failure.text or "")
    compared = run("evals", "report", id, "--baseline", id, "--format", "json", server=server)
    baselines = {each["baseline_run_id"] for each in json.loads(compared.output)["comparisons"]}
    assert baselines == {id, None}
    assert id in run("evals", "list", "--pretty", server=server).output
    answers = run("evals", "answers", id, server=server).lines
    assert answers[0]["text"] == "You said: number 0"
    assert run("evals", "cancel", id, server=server).errors == "The run is finished.\n"
    assert run("evals", "resume", id, "--format", "json", server=server).status == 0
    assert run("evals", "delete", id, "--yes", server=server).status == 0
    assert run("evals", "report", id, server=server).status == 1


def test_python_scorers(server: RunningServer, file: Path, tmp_path: Path) -> None:
    """A function scores in the command; what it raises is a failed score with its reason."""
    code = tmp_path / "mine.py"
    code.write_text(
        "def short(text, sample):\n"
        "    if sample['id'] == '13':\n"
        "        raise ValueError('odd one')\n"
        "    return len(text) < 20, f'{len(text)} characters'\n"
    )
    arguments = ("evals", "run", str(file), "--targets", "mine/echo")
    done = run(*arguments, "--scorer", f"python:{code}:short", "--format", "json", server=server)
    score = json.loads(done.output)["targets"][0]["scores"]["short"]
    assert (score["mean"], score["values"], score["failed"]) == (1.0, 12, 1)
    assert score["reasons"]["ValueError: odd one"] == 1


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        ("exakt", "'exakt' is no scorer: use one of exact, includes"),
        ("exact:5", "exact takes no such value"),
        ("fuzzy:x", "it needs a number"),
        ("regex:{x", "it is not JSON"),
        ("python:nowhere.py:f", "nowhere.py is no Python file"),
        ("python:f", "write python:FILE.py:FUNCTION"),
    ],
)
def test_bad_scorers(server: RunningServer, file: Path, scorer: str, said: str) -> None:
    """A scorer that cannot be read is refused before the file is sent."""
    arguments = ("evals", "run", str(file), "--targets", "mine/echo")
    done = run(*arguments, "--scorer", scorer, server=server)
    assert done.status == 2 and said in done.errors


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("ray",), 1, "--workers needs ray. Install it with: pip install 'briggs[ray]'"),
        (("tcp://127.0.0.1:1",), 2, "'tcp://127.0.0.1:1' is no cluster: write ray://HOST:PORT"),
        (("ray://127.0.0.1:0",), 2, "is no cluster"),
        (("ray://127.0.0.1:99999",), 2, "is no cluster"),
        (("ray://[",), 2, "is no cluster"),
        (("ray://127.0.0.1:1",), 1, "start the cluster with `ray start --head"),
        (("ray://192.0.2.1",), 2, "the machines of ray://192.0.2.1:10001 cannot reach http://127"),
        (("ray", "--workers-url", "nowhere"), 1, "'nowhere' is not an address"),
    ],
)
def test_clusters_that_cannot_be_used(
    server: RunningServer, file: Path, options: tuple[str, ...], status: int, said: str
) -> None:
    """A cluster that cannot be used is an error that says what to do, before anything is sent."""
    arguments = ("evals", "run", str(file), "--targets", "mine/echo", "--name", "spread")
    done = run(*arguments, "--workers", *options, server=server)
    assert done.status == status and said in done.errors
    assert "Traceback" not in done.errors
    assert "spread" not in run("evals", "list", "--limit", "500", server=server).output


def test_the_cost_is_asked(tmp_path: Path, file: Path) -> None:
    """A run that may cost more than the limit needs --yes in a pipe."""
    price = '[prices."mine/echo"]\ninput = 900000\noutput = 900000\n'
    with open_server(tmp_path, config=price) as server:
        arguments = ("evals", "run", str(file), "--targets", "mine/echo", "--scorers", "includes")
        done = run(*arguments, server=server)
        assert done.status == 2 and "this may cost more than $1: add --yes" in done.errors
        done = run(*arguments, "--yes", "--format", "json", server=server)
        assert done.status == 0
        assert json.loads(done.output)["progress"]["cost_usd"] > 1
