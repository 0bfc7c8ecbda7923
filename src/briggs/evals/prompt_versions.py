"""Decides which version of which named prompt a text has, by a distance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from briggs.evals.prompts import join, split_words
from briggs.types.differences import compare
from briggs.types.prompts import PromptVersion, Template

DISTANCE_MAX = 0.5
"""A text that is no further from a version is the next version of the same prompt."""
_SHARED_MIN = 0.5
"""A version is compared word by word if at least so many of its words are in the text."""
_COMPARED_MAX = 3
"""So many versions, those with the most words in common, are compared word by word."""
_VARIABLE = re.compile(r"\{\d{1,4}\}")
_NUMBER = re.compile(r"(?:\D*\d){4}")
"""A word with four digits or more is a date, a time, an amount or an id, and no wording."""


class NearVersion(NamedTuple):
    """The version that is nearest to a text."""

    version: PromptVersion
    distance: float
    """From 0 to 1. 0 if the text is one of this version."""
    template: Template
    """That of the text, with the variables of the version."""


def read_template(text: str) -> Template:
    """A text as a template: words with {1}, {2} ... or with four digits are variables."""
    return _tidy(
        None if _VARIABLE.search(word) or _NUMBER.match(word) else word
        for word in split_words(text)
    )


def find_nearest(text: str, versions: Sequence[PromptVersion]) -> NearVersion | None:
    """The version that a text has, or the nearest one. None if all have other words.

    Of several that it has, the one with the most fixed words counts.
    """
    words = split_words(text)
    known = {*words}
    shares = sorted(((_share(each.template, known), each) for each in versions), key=_order)
    fitting = [each for share, each in shares if share == 1.0 and fits(each.template, words)]
    if fitting:
        best = max(fitting, key=lambda each: (_count(each.template), each.version))
        return NearVersion(best, 0.0, best.template)
    near = [_compare(each, words) for share, each in shares[:_COMPARED_MAX] if share >= _SHARED_MIN]
    return min(near, key=lambda each: each.distance, default=None)


def fits(template: Template, words: Sequence[str]) -> bool:
    """Whether a text has all fixed words of a template, and others only where it has variables."""
    return join(template, words) == template


def measure(template: Template, words: Sequence[str | None]) -> tuple[float, Template]:
    """How far words are from a template, and their own template with its variables.

    The distance is the share of words that are only in one of the two, of all that are in either.
    What stands in place of a variable does not count.
    """
    fixed = [each or "" for each in template]
    given = [each or "" for each in words]
    kept = apart = 0
    found: Template = []
    for run in compare(fixed, given):
        before, after = template[run.a], words[run.b]
        if run.kind == "same":
            kept += sum(each is not None for each in before)
            found += before
            continue
        apart += sum(each is not None for each in before)
        if None in before:
            found.append(None)
            continue
        apart += sum(each is not None for each in after)
        found += [None if each is None or _NUMBER.match(each) else each for each in after]
    return apart / max(kept + apart, 1), _tidy(found)


def unite(template: Template, other: Template) -> Template:
    """The template of both: what differs becomes a variable."""
    return _tidy(join(template, [each or "" for each in other]))


def _compare(version: PromptVersion, words: Sequence[str]) -> NearVersion:
    distance, template = measure(version.template, words)
    return NearVersion(version, distance, template)


def _share(template: Template, words: set[str]) -> float:
    """The share of its fixed words that are among these."""
    fixed = {each for each in template if each is not None}
    return len(fixed & words) / len(fixed) if fixed else 0.0


def _order(found: tuple[float, PromptVersion]) -> tuple[float, str, int]:
    share, version = found
    return -share, version.prompt_id, -version.version


def _count(template: Template) -> int:
    return sum(each is not None for each in template)


def _tidy(words: Iterable[str | None]) -> Template:
    """Variables that follow each other are one."""
    tidied: Template = []
    for each in words:
        if each is not None or not tidied or tidied[-1] is not None:
            tidied.append(each)
    return tidied
