"""`pytest --briggs`, as a user's tests see it, through real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from briggs import Client
from tests.cli.running import RunningServer, environment, open_server

SCORED = """
import pytest

@pytest.mark.briggs_threshold(0.9)
@pytest.mark.briggs_threshold(0.5, name="other", sure=True)
@pytest.mark.parametrize("number", range(20))
def test_scored(number, briggs_score):
    briggs_score(number % 2 == 0)
    briggs_score(1.0, name="other", reason="always")
"""
EVALS = """
import openai, briggs

SAMPLES = [{"input": f"number {n}", "target": f"number {n}"} for n in range(8)]

def has_said(text, sample):
    return text.startswith("You said")

def test_run(briggs_evals):
    report = briggs_evals.run(SAMPLES, ["mine/echo"], ["includes", has_said])
    briggs_evals.require(report, "includes", 0.9)
    briggs_evals.require(report, "has_said", 0.5, sure=True)

def test_below(briggs_evals):
    report = briggs_evals.run(SAMPLES, ["mine/thinks"], ["includes"])
    briggs_evals.require(report, "includes", 0.9)

def test_refused(briggs_evals):
    briggs_evals.run("nowhere", ["mine/echo"])

def test_tags(briggs_client):
    messages = [{"role": "user", "content": "hello"}]
    briggs_client.chat.completions.create(model="mine/echo", messages=messages)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with open_server(tmp_path_factory.mktemp("plugin")) as running:
        yield running


def run_tests(
    folder: Path, text: str, *options: str, server: RunningServer
) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=environment(BRIGGS_DATA=str(server.data)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_thresholds_over_cases(server: RunningServer, tmp_path: Path) -> None:
    """The mean of all cases, also over xdist's workers, decides, and the report is on record."""
    done = run_tests(tmp_path, SCORED, "--briggs", "-n", "2", server=server)
    assert done.returncode == 1 and "20 passed" in done.stdout, done.stdout + done.stderr
    assert "test_it.py::test_scored score: 0.500 (0.299 to 0.701) of 20 cases" in done.stdout
    assert done.stdout.count("0.500 (0.299 to 0.701)") == 1
    assert "FAILED  test_it.py::test_scored score: 0.500" in done.stdout
    assert "is clearly below 0.9" in done.stdout
    assert "holds  test_it.py::test_scored other: 1.000 (0.839 to 1.000)" in done.stdout
    with Client(server.url, server.api_key) as client:
        found = client.test_runs.retrieve(client.test_runs.list()[0].id)
    assert found.name == "pytest" and found.report is not None
    assert found.report["summary"] == {"passed": 20, "total": 20, "collected": 20}
    assert [each["holds"] for each in found.report["thresholds"]] in ([False, True], [True, False])


def test_evals_in_tests(server: RunningServer, tmp_path: Path) -> None:
    """A test runs an eval and requires its scores; its own calls have its name as a tag."""
    options = ("--log10", "--eval-session-name", "nightly", "--pretty-print")
    done = run_tests(tmp_path, EVALS, *options, server=server)
    assert "2 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "NotFound: There is no dataset 'nowhere': create it" in done.stdout
    assert "connection.py" not in done.stdout, "a refusal does not show how it was asked"
    assert "mine/thinks, includes: 0.000 (0.000 to 0.324) of 8 cases is clearly below 0.9" in (
        done.stdout
    )
    with Client(server.url, server.api_key) as client:
        run = client.test_runs.list()[0]
        assert run.name == "nightly" and f"Test run {run.id} of 'nightly'" in done.stdout
        (call,) = client.completions.iterate(tags=["test_tags"])
        report = client.test_runs.retrieve(run.id).report
    assert report is not None
    (test,) = [each for each in report["tests"] if each["nodeid"].endswith("test_tags")]
    assert set(test["log10_completion_tags_selector"]) == set(call.briggs.tags)
    assert report["summary"]["failed"] == 2


def test_without_briggs(server: RunningServer, tmp_path: Path) -> None:
    """Without the option nothing is imported or sent, and tests that need a server are skipped."""
    with Client(server.url, server.api_key) as client:
        before = len(client.test_runs.list())
        done = run_tests(tmp_path, SCORED, server=server)
        assert done.returncode == 0 and "20 skipped" in done.stdout, done.stdout
        local = run_tests(tmp_path, SCORED, "--briggs", "--local", server=server)
        assert local.returncode == 1 and "FAILED  " in local.stdout
        assert len(client.test_runs.list()) == before
    loaded = "import pytest_briggs, sys; print([name for name in sys.modules if 'msgspec' in name])"
    shown = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert json.loads(shown.stdout.replace("'", '"')) == []
