"""Advice about a prompt by plain rules: what it has, what it lacks, and what a change did.

No model is asked, so the same prompt always gets the same advice. The names of the parts are those
of Log10's prompt analysis, whose clients show them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

PROMPT_LENGTH_MAX = 200_000
"""Characters of a prompt."""
SENTENCES_SHOWN_MAX = 100

Colour = Literal["green", "yellow", "red"]
"""There is nothing to do; it may be better; it is missing."""

_PLACEHOLDER = re.compile(
    r"\{\{\s?[\w.]{1,60}\s?\}\}|\{[\w.]{1,60}\}|<[A-Za-z_]{2,60}>|\[[A-Z_ ]{2,60}\]"
)
_SENTENCE = re.compile(r"[^.!?\n]{1,2000}[.!?]?")
_EXAMPLE = re.compile(r"(?i)\b(?:for example|examples?|e\.g\.|for instance|such as)\b")
_FORMAT = re.compile(
    r"(?i)\b(?:json|xml|csv|yaml|markdown|bullets?|bullet points|table|numbered list|format|schema"
    r"|one word|single word|one line)\b"
)
_QUANTITY = re.compile(
    r"(?i)\b(?:\d{1,6}|one|two|three|four|five|ten)\s+(?:or fewer\s+)?(?:words?|sentences?|lines?"
    r"|paragraphs?|items?|points?|characters?|tokens?|bullets?)\b|\b(?:at most|no more than|up to"
    r"|exactly|at least)\s+(?:\d{1,6}|one|two|three|four|five|ten)\b"
)
_INCLUSION = re.compile(r"(?i)\b(?:must|always|make sure|be sure to|include|mention|ensure)\b")
_EXCLUSION = re.compile(r"(?i)\b(?:do not|don't|never|avoid|without|must not|exclude)\b")
_ROLE = re.compile(r"(?i)\b(?:you are|act as|your (?:role|task|job) is)\b")


class Part(NamedTuple):
    """A part that a prompt can have."""

    category: str
    pattern: re.Pattern[str]
    missing: Colour
    advice: str
    """What to do if it is missing."""


PARTS: Mapping[str, Part] = {
    "Role": Part(
        "Context",
        _ROLE,
        "yellow",
        "Say who answers, and what the task is: 'You are ... Your task is ...'.",
    ),
    "DataPlaceholders": Part(
        "Context",
        _PLACEHOLDER,
        "yellow",
        "Mark what changes from call to call, such as {question}, and keep it apart from the "
        "instructions.",
    ),
    "ExampleDemonstration": Part(
        "Instructions",
        _EXAMPLE,
        "red",
        "Show one or more examples of a question and the answer that you want.",
    ),
    "FormatInstruction": Part(
        "Instructions",
        _FORMAT,
        "red",
        "Say in which format the answer must be, such as JSON with named members.",
    ),
    "QuantityInstruction": Part(
        "Instructions",
        _QUANTITY,
        "yellow",
        "Say how long the answer may be, such as 'at most 3 sentences'.",
    ),
    "Inclusion": Part("Instructions", _INCLUSION, "yellow", "Say what every answer must include."),
    "Exclusion": Part(
        "Instructions",
        _EXCLUSION,
        "yellow",
        "Say what no answer may do, such as 'If you do not know, say so, and do not guess'.",
    ),
}


def describe_prompt(prompt: str) -> dict[str, Any]:
    """What a prompt has: its words, placeholders, sentences, and the parts that were found."""
    return {
        "words": len(prompt.split()),
        "characters": len(prompt),
        "placeholders": list(dict.fromkeys(_PLACEHOLDER.findall(prompt)))[:SENTENCES_SHOWN_MAX],
        "parts": [name for name, part in PARTS.items() if part.pattern.search(prompt)],
        "sentences": list_sentences(prompt)[:SENTENCES_SHOWN_MAX],
    }


def advise(prompt: str) -> dict[str, dict[str, dict[str, str]]]:
    """By category and part, a colour and a recommendation."""
    advice: dict[str, dict[str, dict[str, str]]] = {}
    for name, part in PARTS.items():
        found = part.pattern.search(prompt)
        said = f"It is there: '{' '.join(found[0].split())}'." if found else part.advice
        colour = "green" if found else part.missing
        advice.setdefault(part.category, {})[name] = {"color": colour, "recommendation": said}
    return advice


def report_change(before: str, after: str) -> dict[str, Any]:
    """What a new version of a prompt adds, removes, and has solved."""
    old, new = list_sentences(before), list_sentences(after)
    lacked, lacks = _list_missing(before), _list_missing(after)
    return {
        "words": {"before": len(before.split()), "after": len(after.split())},
        "added": [each for each in new if each not in set(old)][:SENTENCES_SHOWN_MAX],
        "removed": [each for each in old if each not in set(new)][:SENTENCES_SHOWN_MAX],
        "solved": [name for name in lacked if name not in lacks],
        "lost": [name for name in lacks if name not in lacked],
        "left": lacks,
    }


def list_sentences(prompt: str) -> list[str]:
    """The sentences and lines of a prompt."""
    found = (" ".join(each.split()) for each in _SENTENCE.findall(prompt))
    return [each for each in found if each]


def _list_missing(prompt: str) -> Sequence[str]:
    return [name for name, part in PARTS.items() if not part.pattern.search(prompt)]
