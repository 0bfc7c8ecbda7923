"""Compares two texts word by word, or two answers token by token, in bounded time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

STEPS_MAX = 1_000
"""The most insertions and deletions that are looked for. Texts that differ more are replaced."""

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


class Stretch(NamedTuple):
    """A part of both sequences, which is the same in both or not."""

    kind: Literal["same", "differs"]
    a: slice
    b: slice


class Compared(NamedTuple):
    """A part of one text, as it compares with the other."""

    text: str
    differs: bool


def compare_words(a: str, b: str) -> tuple[list[Compared], list[Compared]]:
    """Both texts in pieces, the words that the other lacks marked.

    A space between two words that differ belongs to the difference, so that it reads as one.
    """
    words = [_WORDS.findall(text) for text in (a, b)]
    runs = _join_across_spaces(compare(*words), words[0])
    return (
        [Compared("".join(words[0][run.a]), run.kind == "differs") for run in runs if _has(run.a)],
        [Compared("".join(words[1][run.b]), run.kind == "differs") for run in runs if _has(run.b)],
    )


def compare(a: Sequence[str], b: Sequence[str]) -> list[Stretch]:
    """The runs of two sequences, in order, by Myers's shortest edit script (1986)."""
    start = _count_common(a, b)
    end = _count_common(a[start:][::-1], b[start:][::-1])
    inner_a, inner_b = a[start : len(a) - end], b[start : len(b) - end]
    pairs = [(at, at) for at in range(start)]
    pairs += [(start + x, start + y) for x, y in _find_pairs(inner_a, inner_b)]
    pairs += [(len(a) - left, len(b) - left) for left in range(end, 0, -1)]
    return list(_list_runs(pairs, len(a), len(b)))


def _find_pairs(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """The places that both have in common. None of them if more than `STEPS_MAX` differ."""
    if not a or not b:
        return []
    furthest = {1: 0}
    trail: list[dict[int, int]] = []
    for steps in range(min(len(a) + len(b), STEPS_MAX) + 1):
        trail.append(dict(furthest))
        for diagonal in range(-steps, steps + 1, 2):
            x = _step(furthest, diagonal, steps)
            y = x - diagonal
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x, y = x + 1, y + 1
            furthest[diagonal] = x
            if x >= len(a) and y >= len(b):
                return _walk_back(trail, len(a), len(b))
    return []


def _step(furthest: dict[int, int], diagonal: int, steps: int) -> int:
    """Where a step onto this diagonal leads, from the better of its neighbours."""
    if diagonal == -steps or (
        diagonal != steps and furthest[diagonal - 1] < furthest[diagonal + 1]
    ):
        return furthest[diagonal + 1]
    return furthest[diagonal - 1] + 1


def _walk_back(trail: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for steps in range(len(trail) - 1, -1, -1):
        furthest, diagonal = trail[steps], x - y
        begin = _step(furthest, diagonal, steps) if steps else 0
        while x > begin and y > 0 and x - 1 >= begin and y - 1 >= begin - diagonal:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        if steps:
            inserts = diagonal == -steps or (
                diagonal != steps and furthest[diagonal - 1] < furthest[diagonal + 1]
            )
            x, y = (x, y - 1) if inserts else (x - 1, y)
    return pairs[::-1]


def _list_runs(pairs: Sequence[tuple[int, int]], a: int, b: int) -> Iterator[Stretch]:
    at_a = at_b = 0
    at = 0
    while at < len(pairs):
        x, y = pairs[at]
        if x > at_a or y > at_b:
            yield Stretch("differs", slice(at_a, x), slice(at_b, y))
        size = 1
        while at + size < len(pairs) and pairs[at + size] == (x + size, y + size):
            size += 1
        yield Stretch("same", slice(x, x + size), slice(y, y + size))
        at_a, at_b, at = x + size, y + size, at + size
    if a > at_a or b > at_b:
        yield Stretch("differs", slice(at_a, a), slice(at_b, b))


def _join_across_spaces(runs: Sequence[Stretch], words: Sequence[str]) -> list[Stretch]:
    joined: list[Stretch] = []
    for place, run in enumerate(runs):
        is_space = run.kind == "same" and not "".join(words[run.a]).strip(" ")
        is_between = 0 < place < len(runs) - 1
        if (
            joined
            and joined[-1].kind == "differs"
            and (run.kind == "differs" or (is_space and is_between))
        ):
            last = joined[-1]
            joined[-1] = Stretch(
                "differs", slice(last.a.start, run.a.stop), slice(last.b.start, run.b.stop)
            )
        else:
            joined.append(run)
    return joined


def _count_common(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count


def _has(part: slice) -> bool:
    return bool(part.stop > part.start)
