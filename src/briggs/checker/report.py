"""The results of a check as JSON, as JUnit's XML and as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import get_args
from xml.etree import ElementTree

import msgspec

from briggs.checker.causes import Cause, Refusal, group_causes, group_refusals
from briggs.checker.check import Result, Verdict
from briggs.checker.servers import Software
from briggs.rules import RULES, Finding
from briggs.types.json import encode

# XML 1.0 cannot hold these characters, not even as references.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class CheckReport(msgspec.Struct, kw_only=True, dict=True):
    """What a check of one endpoint or one file found."""

    subject: str
    """The endpoint's URL, or the file's name."""
    model: str | None = None
    server: Software | None = None
    """The software that answers, if it was recognised."""
    results: list[Result] = []

    @cached_property
    def causes(self) -> list[Cause]:
        """What is wrong: those that break clients first."""
        return group_causes(self.results, server=self.server)

    @cached_property
    def refusals(self) -> list[Refusal]:
        """What is not supported."""
        return group_refusals(self.results, server=self.server)

    def has_failed(self, *, strict: bool) -> bool:
        """Whether a probe failed. If `strict`, warnings and probes that were not run count too."""
        wrong = {"fail", "warn", "not run"} if strict else {"fail"}
        return any(result.verdict in wrong for result in self.results)

    def summarise(self) -> str:
        """`20 pass, 2 warn, 1 fail`."""
        counts = Counter(result.verdict for result in self.results)
        return ", ".join(
            f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict) if counts[verdict]
        )

    def summarise_causes(self) -> str:
        """`3 break clients, 2 cosmetic`; empty if there are none."""
        counts = Counter(cause.effect for cause in self.causes)
        broken = counts["breaks clients"]
        parts = [
            f"{broken} {'breaks' if broken == 1 else 'break'} clients" if broken else "",
            f"{counts['cosmetic']} cosmetic" if counts["cosmetic"] else "",
        ]
        return ", ".join(filter(None, parts))


def list_rules(findings: Iterable[Finding]) -> list[str]:
    """The rules that are broken, each once, without those of severity `info`."""
    rules = {finding.rule for finding in findings if finding.severity != "info"}
    return [*(rule for rule in RULES if rule in rules), *sorted(rules - RULES.keys())]


def write_json(report: CheckReport) -> str:
    """One JSON object: `subject`, `model`, `server`, `causes`, `refusals` and `results`."""
    whole = msgspec.to_builtins(report)
    results = whole.pop("results")
    whole["causes"] = msgspec.to_builtins(report.causes)
    whole["refusals"] = msgspec.to_builtins(report.refusals)
    return encode({**whole, "results": results}).decode()


def write_junit(report: CheckReport) -> str:
    """One test suite with a test case for each probe, as CI servers read it."""
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
        _add_case(suite, result, report)
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def write_markdown(report: CheckReport) -> str:
    """A table of the probes, then each cause with its places and the offending bytes."""
    model = f" ({report.model})" if report.model else ""
    lines = [f"# {report.subject}{model}", ""]
    if report.server:
        lines += [f"{report.server.describe()} ({report.server.evidence}).", ""]
    summary = [report.summarise(), report.summarise_causes()]
    lines += [" ".join(f"{each}." for each in summary if each), ""]
    lines += ["| probe | verdict | rules |", "|---|---|---|"]
    for result in report.results:
        rules = ", ".join(list_rules(result.findings)) or _for_cell(result.reason)
        lines.append(f"| {result.probe} | {result.verdict} | {rules} |")
    for cause in report.causes:
        where = f"`{cause.path}`: " if cause.path else ""
        lines += ["", f"## {cause.rule}: {cause.title}", ""]
        lines += [f"{where}{_for_cell(cause.message)}", ""]
        lines += [f"- {name}: {_for_cell(text)}" for name, text in describe_cause(cause)]
        for place in cause.places:
            path = f" at `{place.path}`" if place.path else ""
            lines.append(f"- in {place.probe}{path}: {_for_cell(place.message)}")
            if place.excerpt:
                lines.append(f"  `{_for_cell(place.excerpt).replace('`', '´')}`")
    if report.refusals:
        lines += ["", "## Not supported", ""]
        lines += [
            f"- {', '.join(refusal.probes)}: {_for_cell(describe_refusal(refusal))}"
            for refusal in report.refusals
        ]
    # Half a surrogate pair cannot be written as UTF-8.
    return "\n".join([*lines, ""]).encode("utf-8", "replace").decode()


def describe_cause(cause: Cause) -> list[tuple[str, str]]:
    """What a cause means and what to do, as named lines. Every format shows the same lines."""
    lines = [
        ("severity", f"{cause.severity}, {cause.effect}"),
        ("clients", _describe_clients(cause)),
        ("Briggs", cause.mended),
        ("advice", cause.advice or ""),
    ]
    return [(name, text) for name, text in lines if text]


def _describe_clients(cause: Cause) -> str:
    """`LangChain, AI SDK (raises an error); openai-node (loses the usage)`."""
    by_effect: dict[str, list[str]] = {}
    for client, does in cause.clients.items():
        by_effect.setdefault(does, []).append(client)
    return "; ".join(f"{', '.join(clients)} ({does})" for does, clients in by_effect.items())


def describe_refusal(refusal: Refusal) -> str:
    """What the endpoint said, and what to do."""
    return f"{refusal.reason}. {refusal.advice or ''}".strip()


def _add_case(suite: ElementTree.Element, result: Result, report: CheckReport) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname="briggs.check",
        name=_for_xml(result.probe),
        time=_seconds(result.duration_ms),
    )
    if report.server:
        properties = ElementTree.SubElement(case, "properties")
        server = f"{report.server.describe()} ({report.server.evidence})"
        ElementTree.SubElement(properties, "property", name="server", value=_for_xml(server))
    text = "\n".join([*map(_describe, result.findings), *_list_help(result, report)])
    if result.verdict == "fail":
        rules = ", ".join(list_rules(result.findings))
        ElementTree.SubElement(case, "failure", message=rules).text = _for_xml(text)
    elif result.verdict in ("unsupported", "not run"):
        message = f"{result.verdict}: {result.reason}"
        skipped = ElementTree.SubElement(case, "skipped", message=_for_xml(message))
        skipped.text = _for_xml(text) or None
    elif text:
        ElementTree.SubElement(case, "system-out").text = _for_xml(text)


def _list_help(result: Result, report: CheckReport) -> list[str]:
    """What the causes in a probe mean, and what to do."""
    lines = [
        f"{cause.rule} {name}: {said}"
        for cause in report.causes
        if result.probe in cause.probes
        for name, said in describe_cause(cause)
    ]
    return lines + [
        f"advice: {refusal.advice}"
        for refusal in report.refusals
        if result.probe in refusal.probes and refusal.advice
    ]


def _describe(finding: Finding) -> str:
    path = f" {finding.path}:" if finding.path else ""
    return f"{finding.rule} {finding.severity}:{path} {finding.message} {finding.excerpt}".rstrip()


def _seconds(duration_ms: float | None) -> str:
    return f"{(duration_ms or 0) / 1000:.3f}"


def _for_xml(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)


def _for_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
