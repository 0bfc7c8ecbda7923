"""Finds prompts in traffic: system messages by what is the same in them, and how they fare."""

from __future__ import annotations

import asyncio
import bisect
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec

from briggs.estimates.intervals import Interval
from briggs.estimates.prediction import estimate_mean
from briggs.record.bodies import read_asked
from briggs.storage import FeedbackQuery, Query, Store
from briggs.types.any_json import list_objects, number
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import OWN_TAGS, Completion
from briggs.types.errors import InvalidRequest
from briggs.types.feedback import Feedback
from briggs.types.filters import AllOf
from briggs.types.prompts import WORDS_MAX
from briggs.types.texts import content_text

COMPLETIONS_MAX = 5_000
TEMPLATES_MAX = 100
SHARE_MIN = 0.6
"""From this share of equal words on, two texts are of one prompt."""
JUMP_MAX = 200
"""A variable has at most so many words."""
EXAMPLES_MAX = 5
_PAGE = 50
_PAGE_BYTES = 16 * 1024 * 1024
_SYSTEM = ("system", "developer")
_TOKEN = re.compile(r"\s*\S+")
"""A word with the blanks before it."""


class GradeMean(msgspec.Struct, kw_only=True):
    """The mean of a field of a task. Yes counts as 1."""

    mean: float
    interval: Interval | None
    count: int


class FoundPrompt(msgspec.Struct, kw_only=True):
    """A prompt, and the calls that use it."""

    id: str
    """Of its fixed parts: the same text has the same id."""
    template: str
    """Its text, with {1}, {2} ... for what changes."""
    variables: int
    texts: int
    """How many different texts it stands for."""
    calls: int
    first_at: int
    """Unix time in microseconds."""
    last_at: int
    models: dict[str, int]
    cost_usd: float | None
    """The mean of the calls with a known price."""
    prompt_tokens: float | None
    completion_tokens: float | None
    grades: dict[str, dict[str, GradeMean]]
    """By the name of a task and its field."""
    completion_ids: list[str]
    """The newest calls."""


class FoundPrompts(msgspec.Struct, kw_only=True):
    """The prompts of some calls, those with the most calls first."""

    prompts: list[FoundPrompt]
    looked_at: int
    without: int
    """Calls without a system message."""
    left_out: int
    """Calls of further prompts, beyond the most that are told apart."""


async def find_prompts(
    store: Store, *, organization_id: str, filter: str = "", limit: int = 1_000
) -> FoundPrompts:
    """The prompts of the newest calls that a filter selects. Raises `InvalidRequest`.

    The calls of Briggs itself, as of judges and drift watches, are left out.
    """
    if not 1 <= limit <= COMPLETIONS_MAX:
        raise InvalidRequest(f"'limit' is a number from 1 to {COMPLETIONS_MAX:,}.", param="limit")
    kind, given = parse_completion_filter("kind = chat"), parse_completion_filter(filter)
    assert kind is not None, "it is not empty"
    query: Query | None = Query(
        organization_id=organization_id,
        status="finished",
        without_tags=sorted(OWN_TAGS),
        filter=kind if given is None else AllOf([given, kind]),
        limit=_PAGE,
        bytes_max=_PAGE_BYTES,
    )
    sorter = Sorter()
    while query is not None and sorter.looked_at < limit:
        page = await store.completions.list(query)
        some = page.completions[: limit - sorter.looked_at]
        about = FeedbackQuery(organization_id=organization_id, reviews_only=True)
        feedback = await store.feedback.list_about([each.id for each in some], query=about)
        await asyncio.to_thread(sorter.add, some, feedback)
        query = (
            msgspec.structs.replace(query, after=page.completions[-1].id) if page.has_more else None
        )
    return sorter.report()


class Sorter:
    """Sorts calls by their prompts."""

    def __init__(self) -> None:
        self.looked_at = 0
        self._without = self._left_out = 0
        self._templates: list[_Template] = []
        self._known: dict[bytes, _Template | None] = {}

    def add(self, found: Sequence[Completion], feedback: Mapping[str, Sequence[Feedback]]) -> None:
        """Add some calls, newest first, with the feedback about each."""
        for completion in found:
            self.looked_at += 1
            text = read_system(completion)
            if not text.strip():
                self._without += 1
                continue
            template = self._find(text)
            if template is None:
                self._left_out += 1
            else:
                template.add(completion, feedback.get(completion.id, ()))

    def report(self) -> FoundPrompts:
        """What was found so far."""
        prompts = sorted((each.report() for each in self._templates), key=lambda each: -each.calls)
        return FoundPrompts(
            prompts=prompts,
            looked_at=self.looked_at,
            without=self._without,
            left_out=self._left_out,
        )

    def _find(self, text: str) -> _Template | None:
        digest = hash_text(text)
        if digest not in self._known:
            self._known[digest] = self._sort(split_words(text))
        return self._known[digest]

    def _sort(self, tokens: list[str]) -> _Template | None:
        words = {*tokens}
        alike = sorted(self._templates, key=lambda each: -each.count_shared(words))
        for template in alike[:3]:
            if template.take(tokens):
                return template
        if len(self._templates) >= TEMPLATES_MAX:
            return None
        self._templates.append(_Template(tokens))
        return self._templates[-1]


class _Template:
    """The fixed parts of a prompt, and the figures of its calls. None stands for a variable."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens: list[str | None] = [*tokens]
        self._texts = 1
        self._calls = 0
        self._times: list[int] = []
        self._models: Counter[str] = Counter()
        self._figures: dict[str, list[float]] = defaultdict(list)
        self._grades: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._ids: list[str] = []

    def count_shared(self, words: set[str]) -> float:
        """The share of its fixed words that are among these."""
        fixed = {each for each in self._tokens if each is not None}
        return len(fixed & words) / max(len(fixed), len(words), 1)

    def take(self, tokens: Sequence[str]) -> bool:
        """Take another text in, if enough of it is the same. What differs becomes a variable."""
        joined = join(self._tokens, tokens)
        kept = sum(each is not None for each in joined)
        before = sum(each is not None for each in self._tokens)
        if not kept or kept < SHARE_MIN * before or kept < SHARE_MIN / 2 * len(tokens):
            return False
        self._tokens = joined
        self._texts += 1
        return True

    def add(self, completion: Completion, feedback: Sequence[Feedback]) -> None:
        """Count a call."""
        self._calls += 1
        self._times.append(completion.created_at)
        self._models[completion.response_model or completion.model] += 1
        for name in ("cost_usd", "prompt_tokens", "completion_tokens"):
            if (value := getattr(completion, name)) is not None:
                self._figures[name].append(value)
        for (task, field), grades in read_grades(feedback).items():
            self._grades[task, field] += grades
        if len(self._ids) < EXAMPLES_MAX:
            self._ids.append(completion.id)

    def report(self) -> FoundPrompt:
        """What is known of the prompt."""
        text, variables = write_template(self._tokens)
        grades: dict[str, dict[str, GradeMean]] = defaultdict(dict)
        for (task, field), values in self._grades.items():
            found = estimate_mean(values, is_share=are_shares(values))
            assert found is not None, "there is at least one grade"
            grades[task][field] = GradeMean(
                mean=found.mean, interval=found.interval, count=len(values)
            )
        return FoundPrompt(
            id=hash_text(text).hex()[:12],
            template=text,
            variables=variables,
            texts=self._texts,
            calls=self._calls,
            first_at=min(self._times, default=0),
            last_at=max(self._times, default=0),
            models=dict(self._models.most_common(20)),
            cost_usd=self._mean("cost_usd"),
            prompt_tokens=self._mean("prompt_tokens"),
            completion_tokens=self._mean("completion_tokens"),
            grades=dict(grades),
            completion_ids=self._ids,
        )

    def _mean(self, name: str) -> float | None:
        values = self._figures[name]
        return sum(values) / len(values) if values else None


def read_system(completion: Completion) -> str:
    """The text of the system messages that a call begins with."""
    texts = []
    for message in list_objects(read_asked(completion).get("messages")):
        if message.get("role") not in _SYSTEM:
            break
        texts.append(content_text(message.get("content")))
    return "\n".join(texts)


def read_grades(feedback: Sequence[Feedback]) -> dict[tuple[str, str], list[float]]:
    """The grades of a call that are numbers, or yes or no, by task and field."""
    grades: dict[tuple[str, str], list[float]] = defaultdict(list)
    for given in feedback:
        for field, value in given.json_values.items():
            grade = value if isinstance(value, bool) else number(value)
            if grade is not None:
                grades[given.task_name, field].append(grade)
    return grades


def are_shares(grades: Sequence[float]) -> bool:
    """Whether the mean of these grades is a share: that of yes."""
    return all(isinstance(each, bool) for each in grades)


def split_words(text: str) -> list[str]:
    """The first words of a text, each with the blanks before it."""
    return [found[0] for found in islice(_TOKEN.finditer(text), WORDS_MAX)]


def hash_text(text: str) -> bytes:
    """The SHA-256 of a text, which may have half surrogate pairs."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def join(fixed: Sequence[str | None], tokens: Sequence[str]) -> list[str | None]:
    """The fixed parts that are in both, in order, with None for what is between them.

    Each word is looked for a little ahead only, so this takes linear time.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, token in enumerate(tokens):
        places[token].append(place)
    joined: list[str | None] = []
    at, is_gap = 0, False
    for part in fixed:
        found = places.get(part, []) if part is not None else []
        index = bisect.bisect_left(found, at)
        if index < len(found) and found[index] - at <= JUMP_MAX:
            if is_gap or found[index] > at:
                joined.append(None)
            joined.append(part)
            at, is_gap = found[index] + 1, False
        else:
            is_gap = True
    if is_gap or at < len(tokens):
        joined.append(None)
    return joined


def write_template(tokens: Sequence[str | None]) -> tuple[str, int]:
    """The text of a template, and how many variables it has."""
    parts: list[str] = []
    variables, was_variable = 0, False
    for token in tokens:
        if token is None:
            if not was_variable:
                variables += 1
                parts.append(f"{' ' if parts else ''}{{{variables}}}")
            was_variable = True
        else:
            parts.append(token)
            was_variable = False
    return "".join(parts), variables
