"""Groups findings by cause: one cause may show in many probes, and is one thing to fix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from briggs.checker import expectations
from briggs.checker.advice import advise_on_refusal, find_advice
from briggs.checker.check import Result
from briggs.checker.clients import find_clients
from briggs.checker.servers import Software
from briggs.rules import RULES, Finding

Effect = Literal["breaks clients", "cosmetic"]

PLACES_MAX = 100
"""The most places of one cause that are listed."""

# Cases that Briggs refuses, although the rule has a `fix` for other cases.
_REFUSED = ("J1", "C1", "C4", "L3", "S1", "S6", "S7", "S14")
_PROBES_MENDED = {
    expectations.ANSWERED: "Briggs refuses requests that cannot be right, and unknown models.",
    expectations.BLAMED: "Briggs refuses wrong requests itself, with a status from 400 to 499.",
    expectations.NO_LIMIT: "Nothing: Briggs passes the limit on under the caller's name for it.",
    expectations.UNANSWERED: "Briggs answers 502, and asks the next target if there is one.",
    expectations.BROKEN_OFF: "Briggs ends the call with an error, and keeps what had come.",
    expectations.TOO_LARGE: "Briggs ends the call with an error.",
    expectations.FAILED: "Briggs answers 502, and asks the next target if there is one.",
    expectations.SAME_ID: "Briggs has an id of its own for each completion.",
}


class CausePlace(msgspec.Struct, kw_only=True):
    """One place where a cause shows."""

    probe: str
    path: str
    message: str
    excerpt: str


class Cause(msgspec.Struct, kw_only=True):
    """One thing that is wrong, with every place where it shows."""

    rule: str
    severity: Literal["error", "warning"]
    """The severity of the worst place."""
    effect: Effect
    title: str
    """What the rule says."""
    message: str
    """What is wrong, at the first place."""
    path: str
    """The first place."""
    clients: dict[str, str]
    """The clients that it breaks, and what each does; none if it is cosmetic."""
    mended: str
    """What Briggs changes about it."""
    advice: str | None
    """What to set, or which version to run, if the server is known."""
    places: list[CausePlace]
    """At most 100 of them."""
    count: int
    """How many places there are."""

    @property
    def probes(self) -> list[str]:
        """The probes in which it shows."""
        return list(dict.fromkeys(place.probe for place in self.places))


class Refusal(msgspec.Struct, kw_only=True):
    """Something that an endpoint does not support, with every probe that asked for it."""

    reason: str
    probes: list[str]
    advice: str | None


def group_causes(results: Iterable[Result], *, server: Software | None = None) -> list[Cause]:
    """The causes of all findings: those that break clients first, then in the book's order."""
    found: dict[tuple[str, str, str], list[tuple[str, Finding]]] = {}
    for result in results:
        for finding in result.findings:
            if finding.severity != "info":
                found.setdefault(_find_key(finding), []).append((result.probe, finding))
    order = {rule: position for position, rule in enumerate(RULES)}
    causes = [_create_cause(places, server) for places in found.values()]
    return sorted(
        causes, key=lambda cause: (cause.effect == "cosmetic", order.get(cause.rule, len(order)))
    )


def group_refusals(results: Iterable[Result], *, server: Software | None = None) -> list[Refusal]:
    """What is unsupported, by what the endpoint said about it."""
    found: dict[str, list[str]] = {}
    for result in results:
        if result.verdict == "unsupported":
            found.setdefault(result.reason, []).append(result.probe)
    return [
        Refusal(
            reason=reason,
            probes=probes,
            advice=advise_on_refusal(server, reason, probes=probes),
        )
        for reason, probes in found.items()
    ]


def describe_rule(rule: str) -> str:
    """What a rule says, in a few words."""
    return RULES[rule].title if rule in RULES else "The answer fits what was asked."


def _create_cause(found: Sequence[tuple[str, Finding]], server: Software | None) -> Cause:
    first = found[0][1]
    clients = _collect_clients(finding for _, finding in found)
    probes = {probe for probe, _ in found}
    return Cause(
        rule=first.rule,
        severity="error" if any(one.severity == "error" for _, one in found) else "warning",
        effect="breaks clients" if clients else "cosmetic",
        title=describe_rule(first.rule),
        message=first.message,
        path=first.path,
        clients=clients,
        mended=_describe_mending(first),
        advice=find_advice(server, first, probes=probes),
        places=[
            CausePlace(probe=probe, path=one.path, message=one.message, excerpt=one.excerpt)
            for probe, one in found[:PLACES_MAX]
        ],
        count=len(found),
    )


def _collect_clients(findings: Iterable[Finding]) -> dict[str, str]:
    clients: dict[str, str] = {}
    for finding in findings:
        clients |= find_clients(finding)
    return clients


def _describe_mending(finding: Finding) -> str:
    if finding.rule not in RULES:
        said: Mapping[str, str] = _PROBES_MENDED
        fits = (text for begin, text in said.items() if finding.message.startswith(begin))
        return next(fits, "Nothing: only the model or its server can change this.")
    fix = RULES[finding.rule].fix
    if finding.severity != RULES[finding.rule].severity:
        fix = None
    elif finding.rule in _REFUSED:
        return f"Briggs refuses what it cannot mend. {fix}"
    return fix or "Nothing: it is passed on, and the record names the rule."


_WITHIN = re.compile(r"^(fold|chunks\[\d+\])\.?")
_INDEX = re.compile(r"\[\d+\]")
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|-?\d+(\.\d+)?")


def _find_key(finding: Finding) -> tuple[str, str, str]:
    """A key that the findings of one cause share. It leaves out positions and values."""
    path = _INDEX.sub("[]", _WITHIN.sub("", finding.path)).replace("].delta", "].message")
    if finding.rule in _PATHLESS:
        path = ""
    message = finding.message
    for begin in _BEGINNINGS:
        if message.startswith(begin):
            message = begin
    return finding.rule, path, _VALUE.sub("…", message)


# The rest of the message depends on the request, and so is not part of the cause.
_BEGINNINGS = (
    expectations.ANSWERED,
    expectations.BLAMED,
    expectations.NOT_CUT,
    expectations.SAME_ID,
    expectations.TOO_LARGE,
)
_PATHLESS = ("J1", "L5", "L6", "L8", "L9", "L10", "S12", "M14")
"""Rules about a value itself. Its place in the answer does not matter for the cause."""
