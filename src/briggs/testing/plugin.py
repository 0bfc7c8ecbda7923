"""What `pytest --briggs` does: tags calls, collects scores, and sends a report to the server."""

from __future__ import annotations

import platform
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest

import briggs
from briggs.client import ClientError
from briggs.client.address import choose_server
from briggs.estimates.pairs import mean_of_clusters
from briggs.testing.evals import Evals
from briggs.testing.thresholds import ThresholdVerdict, judge_interval
from briggs.types import json
from briggs.types.texts import count_of

ScoreFunction = Callable[..., None]

SCORE, THRESHOLD = "briggs_score", "briggs_threshold"
_RUN = "briggs_run_id"
_NAME_LENGTH_MAX = 200


class BriggsPlugin:
    """One run of tests. Workers of xdist have the controller's id, and the controller reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self._is_worker = worker is not None
        self.run_id: str = worker[_RUN] if worker is not None else uuid.uuid4().hex[:12]
        named = config.getoption("briggs_session_name") or config.getini("eval_session_name")
        self.name: str = (named or "pytest")[:_NAME_LENGTH_MAX]
        self._began = time.time()
        self._tests: dict[str, dict[str, Any]] = {}
        self._server = choose_server(config.getoption("briggs_url"), None)

    @cached_property
    def client(self) -> briggs.Client:
        """A client of the server."""
        return briggs.Client(self._server.url, self._server.api_key)

    @cached_property
    def evals(self) -> Evals:
        """What runs evals."""
        return Evals(self._server.url, self._server.api_key)

    def open_score(self, item: pytest.Item) -> ScoreFunction:
        """What notes the scores of one case."""

        def score(value: float | bool, name: str = "score", reason: str = "") -> None:
            number = float(value)
            if not 0 <= number <= 1:
                raise ValueError(f"a score is a number from 0 to 1, not {value!r}")
            # These travel from the workers to the controller.
            said = {"name": name, "value": number, "reason": reason[:_NAME_LENGTH_MAX]}
            item.user_properties.append((SCORE, said))

        return score

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_RUN] = self.run_id

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        for mark in item.iter_markers("briggs_threshold"):
            item.user_properties.append((THRESHOLD, _read_mark(mark)))
        # The tags of Log10's plugin: the test, and the test in this run.
        with briggs.tags(item.name[:_NAME_LENGTH_MAX], f"{self.name}-{self.run_id}"):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests.setdefault(
            report.nodeid,
            {
                "nodeid": report.nodeid,
                "outcome": "passed",
                "log10_completion_tags_selector": [
                    report.location[2][:_NAME_LENGTH_MAX],
                    f"{self.name}-{self.run_id}",
                ],
            },
        )
        test[report.when or "call"] = {"duration": report.duration, "outcome": report.outcome}
        if report.outcome != "passed":
            test["outcome"] = report.outcome
            test[report.when or "call"]["longrepr"] = report.longreprtext[:10_000]
        test["user_properties"] = [dict([each]) for each in report.user_properties]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._is_worker:
            return
        broken = any(not verdict.holds for _, verdict in self._judge())
        if broken and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        terminalreporter.section("briggs")
        judged = dict(self._judge())
        for group, (count, said) in self._summarise().items():
            if group not in judged:
                terminalreporter.line(f"{group}: {said} of {count_of(count, 'case')}")
        for group, verdict in judged.items():
            word = "holds" if verdict.holds else "FAILED"
            terminalreporter.line(f"{word}  {group}: {verdict.text}")
        report = self._write_report(int(exitstatus))
        if self._config.getoption("briggs_pretty_print"):
            terminalreporter.line(json.lay_out(report))
        if self._config.getoption("briggs_local"):
            return
        try:
            id = self._send(report)
        except ClientError as error:
            terminalreporter.line(f"The report was not sent: {error}")
        else:
            terminalreporter.line(f"Test run {id} of '{self.name}', tag {self.name}-{self.run_id}")

    def _collect(self) -> dict[tuple[str, str], dict[str, list[float]]]:
        """The values of each score of a test function, by its cases."""
        found: dict[tuple[str, str], dict[str, list[float]]] = {}
        for nodeid, test in self._tests.items():
            for each in test.get("user_properties", []):
                if said := each.get(SCORE):
                    cases = found.setdefault((_name_group(nodeid), said["name"]), {})
                    cases.setdefault(nodeid, []).append(said["value"])
        return found

    def _summarise(self) -> dict[str, tuple[int, str]]:
        summaries = {}
        for (group, name), cases in self._collect().items():
            found = mean_of_clusters([*cases.values()])
            assert found is not None, "a case is noted with its value"
            ends = found.interval
            said = f"{found.mean:.3f}" + (f" ({ends.low:.3f} to {ends.high:.3f})" if ends else "")
            summaries[f"{group} {name}"] = (found.samples, said)
        return summaries

    def _judge(self) -> list[tuple[str, ThresholdVerdict]]:
        """The thresholds of all tests, and whether they hold."""
        wanted = {
            (_name_group(nodeid), said["name"]): said
            for nodeid, test in self._tests.items()
            for each in test.get("user_properties", [])
            if (said := each.get(THRESHOLD))
        }
        values = self._collect()
        verdicts = []
        for (group, name), said in wanted.items():
            found = mean_of_clusters([*values.get((group, name), {}).values()])
            verdict = judge_interval(
                None if found is None else found.mean,
                None if found is None else found.interval,
                0 if found is None else found.samples,
                at_least=said["at_least"],
                sure=said["sure"],
            )
            verdicts.append((f"{group} {name}", verdict))
        return verdicts

    def _write_report(self, exitcode: int) -> dict[str, Any]:
        """The report, in the shape of Log10's plugin."""
        outcomes = Counter(test["outcome"] for test in self._tests.values())
        return {
            "created": self._began,
            "duration": time.time() - self._began,
            "exitcode": exitcode,
            "root": str(self._config.rootpath),
            "environment": {"Python": platform.python_version(), "Platform": platform.platform()},
            "summary": {**outcomes, "total": len(self._tests), "collected": len(self._tests)},
            "tests": list(self._tests.values()),
            "thresholds": [
                {"test": group, "holds": verdict.holds, "text": verdict.text}
                for group, verdict in self._judge()
            ],
        }

    def _send(self, report: dict[str, Any]) -> str:
        return self.client.test_runs.create(self.name, report).id


def _read_mark(mark: pytest.Mark) -> dict[str, Any]:
    return _threshold(*mark.args, **mark.kwargs)


def _threshold(at_least: float, name: str = "score", sure: bool = False) -> dict[str, Any]:
    return {"at_least": float(at_least), "name": name, "sure": bool(sure)}


def _name_group(nodeid: str) -> str:
    """The test function of a case."""
    return nodeid.partition("[")[0]
