"""Findings are grouped by cause, and every format says what each means and what to do."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

import briggs
from briggs.checker import (
    PROBES,
    Cause,
    CheckReport,
    Endpoint,
    Result,
    Software,
    check_endpoint,
    write_json,
    write_junit,
    write_markdown,
)
from briggs.checker.advice import ADVICE, REFUSED
from briggs.checker.clients import BREAKAGES
from briggs.checker.expectations import PROBE
from briggs.checker.servers import PAGES, SIGNS
from briggs.rules import RULES, Finding
from tests.checker.plants import PLANTS
from tests.checker.server import open_model

SOURCE = Path(briggs.__file__).parent
VLLM = Software(name="vLLM", version="0.11.0", evidence="owned_by is vllm")


async def check(rule: str) -> CheckReport:
    """All probes against an endpoint that breaks one rule."""
    with open_model({rule: PLANTS[rule]}) as upstream:
        async with Endpoint(f"http://127.0.0.1:{upstream.port}/{rule}/v1", model="m-1") as endpoint:
            results = [result async for result in check_endpoint(endpoint)]
    return CheckReport(subject=rule, model="m-1", results=results)


def report(*findings: Finding, server: Software | None = None, probe: str = "plain") -> CheckReport:
    result = Result(probe=probe, title="", verdict="fail", findings=list(findings))
    return CheckReport(subject="-", server=server, results=[result])


def find(rule: str, *, path: str = "", message: str = "", excerpt: str = "") -> Finding:
    severity = RULES[rule].severity if rule in RULES else "error"
    return Finding(rule=rule, severity=severity, path=path, message=message, excerpt=excerpt)


async def test_one_cause_is_one_finding() -> None:
    """A member that is missing from the answers of many probes is one cause with many places."""
    [cause] = (await check("E5")).causes
    assert cause.rule == "E5"
    assert len(cause.probes) >= 10
    assert cause.count == len(cause.places) >= len(cause.probes)


async def test_whole_and_streamed_answers_share_a_cause() -> None:
    """The position of a chunk, a choice or a token, and the values, tell no causes apart."""
    findings = [
        find("L2", path="choices[0].logprobs.refusal", message="It is missing."),
        find("L2", path="chunks[3].choices[1].logprobs.refusal", message="It is missing."),
        find("M2", path="choices[0].message.content", message="It is not a string."),
        find("M2", path="chunks[1].choices[0].delta.content", message="It is not a string."),
        find("U2", path="usage.total_tokens", message="The sum is 12."),
        find("U2", path="fold.usage.total_tokens", message="The sum is 42."),
    ]
    assert sorted((cause.rule, cause.count) for cause in report(*findings).causes) == [
        ("L2", 2),
        ("M2", 2),
        ("U2", 2),
    ]


def test_different_members_are_different_causes() -> None:
    """Two missing members are two things to fix."""
    findings = [find("E5", path=f"choices[0].{name}") for name in ("logprobs", "message.refusal")]
    assert len(report(*findings).causes) == 2


def test_what_is_only_worth_knowing_is_no_cause() -> None:
    """Findings of severity `info` are in the results, and in no cause."""
    assert report(find("E8", path="x_groq")).causes == []


@pytest.mark.parametrize(
    ("finding", "client"),
    [
        (find("S10", path="chunks[1].choices[0].delta.tool_calls[0].index"), "openai-python"),
        (find("S8", path="chunks[7].usage", message="Another usage follows."), "LangChain"),
        (find("M2", path="choices[0].message.content"), "AI SDK"),
        (find("E3", message="It is not a whole number of seconds."), "Pydantic AI"),
        (find("M11", path="choices[0].message.content"), "Instructor"),
        (find("S6", message="Choice 0 has no finish_reason."), "LiteLLM"),
        (find("E5", path="choices[0].message.role"), "LangChain"),
    ],
)
def test_what_breaks_clients(finding: Finding, client: str) -> None:
    """A cause names the clients that it breaks, and what they do."""
    [cause] = report(finding).causes
    assert cause.effect == "breaks clients"
    assert cause.clients[client]


@pytest.mark.parametrize(
    "finding",
    [
        find("E5", path="choices[0].message.refusal", message="It is missing."),
        find("E5", path="choices[0].logprobs", message="It is missing."),
        find("L2", path="choices[0].logprobs.refusal", message="It is missing."),
        find("E2", path="id", message="It is not a non-empty string.", excerpt='""'),
        find("S4", path="chunks[1].created"),
    ],
)
def test_what_is_cosmetic(finding: Finding) -> None:
    """What no client stumbles over is cosmetic, however severe the rule is."""
    [cause] = report(finding).causes
    assert (cause.effect, cause.clients) == ("cosmetic", {})


def test_what_breaks_clients_comes_first() -> None:
    """Then the order is that of the book, and the findings of probes come last."""
    rules = ("probe", "H1", "S13", "C8", "M2", "J1")
    causes = report(*map(find, rules)).causes
    assert [cause.rule for cause in causes] == ["J1", "M2", "S13", "C8", "H1", "probe"]


def test_what_briggs_mends() -> None:
    """What Briggs does is the rule's own fix, a refusal, or nothing, and each says so."""
    by_rule = {cause.rule: cause for cause in report(*map(find, ("E1", "S6", "C8"))).causes}
    assert by_rule["E1"].mended == RULES["E1"].fix
    assert by_rule["S6"].mended.startswith("Briggs refuses what it cannot mend.")
    assert by_rule["C8"].mended.startswith("Nothing:")


def test_advice_is_for_the_server() -> None:
    """A known server gets its flag, or else says that none is known; an unknown one gets none."""
    finding = find("M10", path="choices[0].message.tool_calls")
    [known] = report(finding, server=VLLM, probe="tools-required").causes
    assert "--enable-auto-tool-choice" in (known.advice or "")
    [general] = report(find("S4"), server=VLLM).causes
    assert "vLLM" in (general.advice or "")
    assert report(finding, probe="tools-required").causes[0].advice is None


def test_what_is_refused_has_advice() -> None:
    """Probes that are refused for the same reason are one refusal, with the flag to set."""
    results = [
        Result(probe=probe, title="", verdict="unsupported", reason="it answered 400: No tools")
        for probe in ("tools-auto", "tools-required")
    ]
    [refusal] = CheckReport(subject="-", server=VLLM, results=results).refusals
    assert refusal.probes == ["tools-auto", "tools-required"]
    assert "--tool-call-parser" in (refusal.advice or "")


def test_every_format_says_the_same() -> None:
    """The server, the clients, what Briggs mends and the advice are in all of them."""
    whole = report(
        find("S8", path="chunks[7].usage", message="Another usage follows."),
        server=VLLM,
        probe="stream-usage",
    )
    [cause] = whole.causes
    written = json.loads(write_json(whole))
    assert written["server"]["version"] == "0.11.0"
    assert written["causes"][0]["clients"] == cause.clients
    assert written["causes"][0]["places"][0]["probe"] == "stream-usage"
    suite = ElementTree.fromstring(write_junit(whole))
    failure = suite.findtext("testcase/failure") or ""
    for text in (json.dumps(written), failure, write_markdown(whole)):
        assert cause.effect in text
        assert "LangChain" in text
        assert cause.mended in text
        assert (cause.advice or "?") in text
    for text in (ElementTree.tostring(suite, encoding="unicode"), write_markdown(whole)):
        assert "vLLM 0.11.0" in text


def test_places_are_bounded() -> None:
    """Of a cause that shows in very many places 100 are listed, and all are counted."""
    findings = [
        find("L7", path=f"choices[0].logprobs.content[{n}].top_logprobs") for n in range(999)
    ]
    [cause] = report(*findings).causes
    assert isinstance(cause, Cause)
    assert (len(cause.places), cause.count) == (100, 999)


def test_the_tables_name_what_exists() -> None:
    """Each row is about a rule of the book, a probe, and a server that can be recognised."""
    servers = {each.server for each in (*SIGNS, *PAGES)}
    probes = {probe.name for probe in PROBES}
    assert {each.rule for each in BREAKAGES} <= RULES.keys() | {PROBE}
    for advice in ADVICE:
        assert advice.server in servers
        assert set(advice.rules) <= RULES.keys() | {PROBE, REFUSED}
        assert set(advice.probes) <= probes


def test_the_tables_quote_messages_that_exist() -> None:
    """What a row looks for in a message is something that its rule, or a probe, says."""
    for breakage in BREAKAGES:
        chapter = "checker/expectations.py" if breakage.rule == PROBE else "rules/*.py"
        said = [text for file in SOURCE.glob(chapter) for text in list_messages(file)]
        assert any(breakage.says in text for text in said), breakage.says


def list_messages(file: Path) -> Iterator[str]:
    """The texts in a module, without those of decorators, which describe its rules."""
    for statement in ast.parse(file.read_text()).body:
        for part in getattr(statement, "body", [statement]):
            for node in ast.walk(part):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
