"""Rules that an answer broke: what came, what the caller got, and the rule's own sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from markupsafe import Markup

from briggs.record.bodies import find_response, read_answered
from briggs.rules import BYTES_MAX, RULES, Finding, check_response
from briggs.rules.changes import ABSENT, Change, list_changes
from briggs.types import json
from briggs.types.completions import Completion
from briggs.web.figures import ticks

ROWS_MAX = 60
VALUE_CHARACTERS_MAX = 200
CHECKED_BYTES_MAX = min(BYTES_MAX, 1024 * 1024)
"""A larger answer is not checked again, so the place of what was left is not known."""


class BrokenRule(NamedTuple):
    """One place where an answer broke a rule."""

    rule: str
    title: Markup
    """What must be true, as a sentence."""
    state: Literal["mended", "left"]
    path: str
    came: str | None
    """The value as JSON. None if it is not known; empty if it was missing."""
    got: str | None
    """What the caller got instead. None if that is not known, or if it is what came."""
    note: str
    """What Briggs does about it, or what is wrong with it."""


def list_broken_rules(completion: Completion) -> tuple[list[BrokenRule], int]:
    """The places where rules were broken, those that were mended first, and how many there are."""
    rows = [_describe(change) for change in _list_changes(completion)]
    count = len(completion.fixes)
    mended = {fix.rule for fix in completion.fixes}
    left = [rule for rule in completion.violates if rule not in mended]
    found = _find_left(completion, left) if left else {}
    unmended = [row for rule in left for row in _list_left(rule, found.get(rule, ()))]
    return [*rows, *unmended][:ROWS_MAX], count + len(unmended)


def _list_changes(completion: Completion) -> list[Change]:
    """What was mended. The values of large answers are not looked up."""
    received, response = completion.received or b"", completion.response or b""
    is_small = len(received) <= CHECKED_BYTES_MAX and len(response) <= CHECKED_BYTES_MAX
    if not completion.fixes:
        return []
    return list_changes(
        completion.fixes[:ROWS_MAX],
        received=received if is_small else None,
        answer=read_answered(completion) if is_small else None,
    )


def _describe(change: Change) -> BrokenRule:
    came: str | None = "" if change.is_known else None
    return BrokenRule(
        rule=change.fix.rule,
        title=_title(change.fix.rule),
        state="mended",
        path=change.fix.path,
        came=came if change.came is ABSENT else _excerpt(change.came),
        got=None if change.became is ABSENT else _excerpt(change.became),
        note=_find_fix(change.fix.rule),
    )


def _list_left(rule: str, findings: Sequence[Finding]) -> list[BrokenRule]:
    if not findings:
        return [BrokenRule(rule, _title(rule), "left", "", None, None, "")]
    return [
        BrokenRule(rule, _title(rule), "left", finding.path, finding.excerpt, None, finding.message)
        for finding in findings
    ]


def _find_left(completion: Completion, rules: Sequence[str]) -> dict[str, list[Finding]]:
    """Where the answer to the caller still breaks these rules."""
    if len(completion.response or b"") > CHECKED_BYTES_MAX:
        return {}
    response = find_response(completion) or b""
    found: dict[str, list[Finding]] = {}
    for finding in check_response(response, request=completion.request):
        if finding.rule in rules:
            found.setdefault(finding.rule, []).append(finding)
    return found


def _title(id: str) -> Markup:
    """A rule's sentence, with its code as code."""
    rule = RULES.get(id)
    return ticks(rule.title if rule else f"This version does not know the rule {id}.")


def _find_fix(id: str) -> str:
    rule = RULES.get(id)
    return (rule.fix or "") if rule else ""


def _excerpt(value: Any) -> str:
    text = json.lay_out(value, indent=None)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}…"
