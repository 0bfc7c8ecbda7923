"""The results of a check as JSON, as JUnit's XML and as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import get_args
from xml.etree import ElementTree

import msgspec

from briggs.checker.check import Result, Verdict
from briggs.types.rules import RULES, Finding
from briggs.types.wire import encode

# XML 1.0 has no way to say these, not even as references.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Report(msgspec.Struct, kw_only=True):
    """What a check of one endpoint, or of one file, has found."""

    subject: str
    """The endpoint's URL, or the file's name."""
    model: str | None = None
    results: list[Result] = []

    def has_failed(self, *, strict: bool) -> bool:
        """Whether something is wrong, or if `strict`, may be wrong or could not be seen."""
        wrong = {"fail", "warn", "not run"} if strict else {"fail"}
        return any(result.verdict in wrong for result in self.results)

    def summarise(self) -> str:
        """`20 pass, 2 warn, 1 fail`."""
        counts = Counter(result.verdict for result in self.results)
        return ", ".join(
            f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict) if counts[verdict]
        )

    def group_findings(self) -> dict[str, list[tuple[str, Finding]]]:
        """The findings with the names of their probes, by rule, in the order of the book."""
        found: dict[str, list[tuple[str, Finding]]] = {}
        for result in self.results:
            for finding in result.findings:
                found.setdefault(finding.rule, []).append((result.probe, finding))
        order = {rule: position for position, rule in enumerate(RULES)}
        return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def list_rules(findings: Iterable[Finding]) -> list[str]:
    """The rules that are broken, each once, and none of mere information."""
    rules = {finding.rule for finding in findings if finding.severity != "info"}
    return [*(rule for rule in RULES if rule in rules), *sorted(rules - RULES.keys())]


def describe_rule(rule: str) -> str:
    """What a rule says, in a few words."""
    return RULES[rule].title if rule in RULES else "The answer is one to what was asked."


def write_json(report: Report) -> str:
    """One JSON object: `subject`, `model` and `results`, each with its `findings`."""
    return encode(msgspec.to_builtins(report)).decode()


def write_junit(report: Report) -> str:
    """One test suite with a test case a probe, as CI servers read it."""
    suite = ElementTree.Element("testsuite", name=_for_xml(f"briggs check {report.subject}"))
    counts = Counter(result.verdict for result in report.results)
    skipped = counts["unsupported"] + counts["not run"]
    suite.attrib |= {
        "tests": str(len(report.results)),
        "failures": str(counts["fail"]),
        "errors": "0",
        "skipped": str(skipped),
        "time": _seconds(sum(result.duration_ms or 0 for result in report.results)),
    }
    for result in report.results:
        _add_case(suite, result)
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def write_markdown(report: Report) -> str:
    """A table of the probes, then what was found by rule, with the offending bytes."""
    model = f" ({report.model})" if report.model else ""
    lines = [f"# {report.subject}{model}", "", f"{report.summarise()}.", ""]
    lines += ["| probe | verdict | rules |", "|---|---|---|"]
    for result in report.results:
        rules = ", ".join(list_rules(result.findings)) or _for_cell(result.reason)
        lines.append(f"| {result.probe} | {result.verdict} | {rules} |")
    for rule, found in report.group_findings().items():
        lines += ["", f"## {rule}: {describe_rule(rule)}", ""]
        for probe, finding in found:
            where = f" at `{finding.path}`" if finding.path else ""
            lines.append(f"- {finding.severity} in {probe}{where}: {_for_cell(finding.message)}")
            if finding.excerpt:
                lines.append(f"  `{_for_cell(finding.excerpt).replace('`', '´')}`")
    # Half a surrogate pair has no UTF-8.
    return "\n".join([*lines, ""]).encode("utf-8", "replace").decode()


def _add_case(suite: ElementTree.Element, result: Result) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname="briggs.check",
        name=_for_xml(result.probe),
        time=_seconds(result.duration_ms),
    )
    text = "\n".join(_describe(finding) for finding in result.findings)
    if result.verdict == "fail":
        rules = ", ".join(list_rules(result.findings))
        ElementTree.SubElement(case, "failure", message=rules).text = _for_xml(text)
    elif result.verdict in ("unsupported", "not run"):
        message = f"{result.verdict}: {result.reason}"
        ElementTree.SubElement(case, "skipped", message=_for_xml(message))
    elif text:
        ElementTree.SubElement(case, "system-out").text = _for_xml(text)


def _describe(finding: Finding) -> str:
    path = f" {finding.path}:" if finding.path else ""
    return f"{finding.rule} {finding.severity}:{path} {finding.message} {finding.excerpt}".rstrip()


def _seconds(duration_ms: float | None) -> str:
    return f"{(duration_ms or 0) / 1000:.3f}"


def _for_xml(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)


def _for_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
