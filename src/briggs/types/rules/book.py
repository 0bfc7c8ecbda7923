"""The book: every rule that traffic is held to, in its order, and what checks it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from briggs.types import wire

Severity = Literal["error", "warning", "info"]
Subject = Literal["body", "response", "chunk", "stream", "request", "error"]

EXCERPT_CHARACTERS_MAX = 80
FINDINGS_MAX = 100
"""Of one rule in one thing that it is about."""


class Rule(msgspec.Struct, frozen=True):
    """A sentence that traffic keeps or breaks."""

    id: str
    severity: Severity
    """How bad it is to break it; a finding of a milder case may be milder."""
    title: str
    """What holds, as a sentence."""
    basis: str
    """What it rests on: the specification's words, or what was observed."""
    fix: str | None
    """What Briggs makes of an answer that breaks it; None where it changes nothing."""
    subject: str
    """What it is about, separated by commas."""


class Finding(msgspec.Struct, frozen=True):
    """One place where a rule is broken."""

    rule: str
    severity: Severity
    path: str
    """Such as `choices[0].message.refusal`; in a stream `chunks[3].choices[0].delta`, or
    `fold.choices[0].message` for what its chunks spell together."""
    message: str
    excerpt: str
    """The value that stands there, as JSON cut to 80 characters; empty where none does."""


class Broken(NamedTuple):
    """What a check yields for each place where its rule is broken."""

    path: str
    message: str
    value: Any = ...
    severity: Severity | None = None
    """Where it is milder than the rule's."""


Check = Callable[[Any], Iterable[Broken]]
CheckT = TypeVar("CheckT", bound=Check)

BOOK: dict[str, Rule] = {}
_CHECKS: dict[str, list[tuple[Rule, Check]]] = {}


def rule(
    id: str, severity: Severity, title: str, *, on: Subject, basis: str, fix: str | None = None
) -> Callable[[CheckT], CheckT]:
    """Enter a rule into the book, with the check that it decorates."""

    def enter(check: CheckT) -> CheckT:
        BOOK[id] = Rule(id, severity, title, basis, fix, on)
        _CHECKS.setdefault(on, []).append((BOOK[id], check))
        return check

    return enter


def also(id: str, *, on: Subject) -> Callable[[CheckT], CheckT]:
    """Check a rule of the book on something else too."""

    def enter(check: CheckT) -> CheckT:
        known = BOOK[id]
        BOOK[id] = msgspec.structs.replace(known, subject=f"{known.subject}, {on}")
        _CHECKS.setdefault(on, []).append((known, check))
        return check

    return enter


def judge(
    on: Subject,
    subject: Any,
    *,
    at: str = "",
    only: Container[str] | None = None,
    skip: Container[str] = (),
) -> list[Finding]:
    """What breaks the rules about `on`, its paths within `at`."""
    return [
        _find(rule, broken, at)
        for rule, check in _CHECKS[on]
        if rule.id not in skip and (only is None or rule.id in only)
        for broken in itertools.islice(check(subject), FINDINGS_MAX)
    ]


def _find(rule: Rule, broken: Broken, at: str) -> Finding:
    path = f"{at}.{broken.path}" if at and broken.path else at or broken.path
    return Finding(
        rule.id, broken.severity or rule.severity, path, broken.message, _excerpt(broken.value)
    )


def _excerpt(value: Any) -> str:
    if value is ...:
        return ""
    try:
        text = wire.encode_plain(value).decode()
    except (RecursionError, ValueError):
        # NaN has no JSON, and what is nested too deeply has none here.
        text = str(value) if isinstance(value, float) else ""
    limit = EXCERPT_CHARACTERS_MAX
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
