"""The rule book: every rule in order, with the function that checks it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from briggs.types import json

Severity = Literal["error", "warning", "info"]
Subject = Literal[
    "body",
    "response",
    "chunk",
    "stream",
    "request",
    "error",
    "model response",
    "model stream",
    "message",
    "message stream",
    "message error",
    "embeddings",
    "moderation",
    "text completion",
    "text stream",
]

EXCERPT_CHARACTERS_MAX = 80
FINDINGS_MAX = 100
"""The most findings of one rule in one answer, chunk or request."""


class Rule(msgspec.Struct, frozen=True):
    """A statement that must be true of an answer, an error or a request."""

    id: str
    severity: Severity
    """How bad it is to break it. A milder case may have a milder finding."""
    title: str
    """What must be true, as a sentence."""
    basis: str
    """The reason: the specification's words, or what was observed."""
    fix: str | None
    """What Briggs does to an answer that breaks it; None if it changes nothing."""
    subject: str
    """What it applies to, separated by commas."""


class Finding(msgspec.Struct, frozen=True):
    """One place where a rule is broken."""

    rule: str
    severity: Severity
    path: str
    """Such as `choices[0].message.refusal`. In a stream `chunks[3].choices[0].delta`, or
    `fold.choices[0].message` in the response that its chunks form together."""
    message: str
    excerpt: str
    """The value at that path, as JSON cut to 80 characters; empty if there is none."""


class Broken(NamedTuple):
    """A place where a rule is broken, as its check yields it."""

    path: str
    message: str
    value: Any = ...
    severity: Severity | None = None
    """If it is milder than the rule's."""


Check = Callable[[Any], Iterable[Broken]]
CheckT = TypeVar("CheckT", bound=Check)

BOOK: dict[str, Rule] = {}
_CHECKS: dict[str, list[tuple[Rule, Check]]] = {}


def rule(
    id: str, severity: Severity, title: str, *, on: Subject, basis: str, fix: str | None = None
) -> Callable[[CheckT], CheckT]:
    """Decorates the check of a rule, and enters both into the book."""

    def enter(check: CheckT) -> CheckT:
        BOOK[id] = Rule(id, severity, title, basis, fix, on)
        _CHECKS.setdefault(on, []).append((BOOK[id], check))
        return check

    return enter


def also(id: str, *, on: Subject) -> Callable[[CheckT], CheckT]:
    """Decorates a check that applies a rule of the book to something else too."""

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
    """The findings of the rules about `on`. Their paths begin with `at`."""
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
        text = json.encode_plain(value).decode()
    except (RecursionError, ValueError):
        # NaN is not valid JSON, and deep nesting cannot be written.
        text = str(value) if isinstance(value, float) else ""
    limit = EXCERPT_CHARACTERS_MAX
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
