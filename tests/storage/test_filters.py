"""Filters on completions: SQL and words together select what each condition means."""

from __future__ import annotations

import asyncio
import itertools
import operator
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.storage import Query, Store
from briggs.storage.prompts import SortedCall
from briggs.storage.queries import Sort
from briggs.types.completion_filters import VOCABULARY, parse_completion_filter
from briggs.types.completions import Attempt, Completion, Fix
from briggs.types.errors import InvalidFilter
from briggs.types.feedback import Feedback, FeedbackTask
from briggs.types.filters import AllOf, Comparison, Filter, Not, Words
from briggs.types.keys import Key
from briggs.types.prompts import NamedPrompt, PromptPlace, PromptVersion

# 2026-11-23T14:00:00Z
CREATED = 1_795_442_400_000_000
HOUR = 3_600_000_000
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
TASKS = {"quality": "t-1", "tone.of voice": "t-2"}
KEYS = {"k-1": "ci", "k-2": "laptop"}
PROMPTS = {"support": "p-1", "sums": "p-2"}


class World:
    """Some completions and what was said about them, in a store and as they are."""

    def __init__(self) -> None:
        self.all = create_completions()
        self.grades = create_grades(self.all)
        self.places = {
            each.id: (name, 1 + at % 2)
            for at, (each, name) in enumerate(
                zip(self.all[1::2], itertools.cycle(PROMPTS), strict=False)
            )
        }
        """The prompt of every second completion."""
        self._runner = asyncio.Runner()

    def open(self, folder: Path) -> None:
        """Record everything."""
        self._store = self._runner.run(create_store(folder, self))
        self.all = [each for each in self.all if each.organization_id == "default"]

    def close(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()

    def find(self, text: str, **options: Any) -> list[str]:
        """The ids that the store lists, page by page."""
        filter = parse_completion_filter(text)
        query = Query(organization_id="default", filter=filter, limit=7, **options)
        found: list[str] = []
        while True:
            page = self._runner.run(self._store.completions.list(query))
            found += [each.id for each in page.completions]
            if not page.has_more:
                return found
            query = msgspec.structs.replace(query, after=found[-1])

    def count(self, text: str) -> int:
        query = Query(organization_id="default", filter=parse_completion_filter(text))
        return self._runner.run(self._store.completions.count(query)).count

    def expect(self, text: str) -> set[str]:
        """The ids that plain Python selects."""
        filter = parse_completion_filter(text)
        assert filter is not None
        return {each.id for each in self.all if self._matches(filter, each)}

    def _matches(self, filter: Filter, completion: Completion) -> bool:
        if isinstance(filter, Words):
            said = completion.request + (completion.response or b"")
            return filter.text.lower().encode() in said.lower()
        if isinstance(filter, Not):
            return not self._matches(filter.inner, completion)
        if isinstance(filter, Comparison):
            found = self._read(filter, completion)
            equal = any(_compare(filter, each) for each in found)
            if filter.value.is_none:
                equal = not found
            return not equal if filter.operator == "!=" else equal
        join = all if isinstance(filter, AllOf) else any
        return join(self._matches(each, completion) for each in filter.inner)

    def _read(self, condition: Comparison, of: Completion) -> list[Any]:
        """The values that a completion has in a field."""
        field = condition.field
        if field.startswith("metadata."):
            key = field.removeprefix("metadata.")
            return [of.metadata[key]] if key in of.metadata else []
        about = [each for each in self.grades if of.id in each.completion_ids]
        if field.startswith("grade."):
            task = next(task for task in TASKS if field.startswith(f"grade.{task}."))
            path = field.removeprefix(f"grade.{task}.")
            return [
                value
                for each in about
                if each.task_id == TASKS[task]
                for value in _read_path(each.json_values, path)
            ]
        broken, mended = set(of.violates), {fix.rule for fix in of.fixes}
        kinds = {"person": "people", "api": "api", "model": "model"}
        several: dict[str, list[Any]] = {
            "model": [each for each in (of.model, of.response_model) if each],
            "tag": of.tags,
            "finish_reason": of.finish_reasons,
            "rule": of.violates,
            "rules": [
                *(["none"] if not broken and not mended else []),
                *(["mended"] if mended else []),
                *(["left"] if broken - mended else []),
            ],
            "graded": [kinds[each.reviewer_kind] for each in about] or ["none"],
            "key": [] if of.key_id is None else [of.key_id, KEYS[of.key_id]],
            "prompt": self._name_prompts(of),
            "caller": ["stayed" if of.caller_left_ms is None else "left"],
            "stream": ["true" if of.stream else "false"],
            "attempts": [len(of.attempts)],
            "created": [of.created_at],
            "perplexity": [] if of.p_mean is None else [1 / of.p_mean],
        }
        if field in several:
            return several[field]
        names = {
            "session": "session_id",
            "error": "failure_kind",
            "duration": "duration_ms",
            "first_token": "first_token_ms",
            "tokens": "total_tokens",
            "cost": "cost_usd",
            "retries": "retry_count",
        }
        value = getattr(of, names.get(field, field))
        return [] if value is None else [value]

    def _name_prompts(self, of: Completion) -> list[str]:
        if of.id not in self.places:
            return []
        name, version = self.places[of.id]
        return [name, f"{name}@{version}"]


def _read_path(values: Any, path: str) -> list[Any]:
    for step in path.split("."):
        if not isinstance(values, dict) or step not in values:
            return []
        values = values[step]
    return values if isinstance(values, list) else [values]


def _compare(condition: Comparison, actual: Any) -> bool:
    value = condition.value
    sign = "=" if condition.operator == "!=" else condition.operator
    if value.span is not None:
        begin, end = value.span
        at = -1 if actual < begin else 0 if actual < end else 1
        return {"<": at < 0, "<=": at <= 0, "=": at == 0, ">=": at >= 0, ">": at > 0}[sign]
    if isinstance(actual, bool):
        return OPERATORS[sign](str(actual).lower(), value.text.lower())
    if isinstance(actual, int | float):
        return value.number is not None and OPERATORS[sign](actual, value.number)
    if isinstance(actual, dict):
        return False
    return OPERATORS[sign]("null" if actual is None else actual, value.text)


def create_completions() -> list[Completion]:
    """One of every kind, and some by chance that is the same each time."""
    chance = random.Random(7)

    def pick(*values: Any) -> Any:
        return chance.choice(values)

    return [
        Completion(
            id=f"c-{number}",
            organization_id="default" if number else "other",
            created_at=CREATED + number * HOUR,
            status=pick("finished", "finished", "failed"),
            source=pick("gateway", "client"),
            stream=pick(True, False),
            provider=pick(None, "openai", "azure"),
            model=pick("", "openai/gpt-5", "gpt-5"),
            response_model=pick(None, "gpt-5", "gpt-4"),
            session_id=pick(None, "s"),
            user=pick(None, "ann"),
            key_id=pick(None, "k-1", "k-2"),
            tags=pick([], ["support"], ["support", "eu"], ['o"dd']),
            metadata=pick({}, {"a.b": "x"}, {"a.b": "y", "k": "none"}),
            finish_reasons=pick([], ["stop"], ["stop", "length"]),
            violates=(broken := pick([], [], ["C3"], ["C3", "M1"])),
            fixes=[Fix(rule, "p") for rule in broken[: pick(0, 1, 2)]],
            failure_kind=pick(None, "hang_up"),
            prompt_tokens=pick(None, 0, 10, 300),
            total_tokens=pick(None, 10, 300, 5_000),
            cost_usd=pick(None, 0.0, 0.001, 1.5),
            p_mean=(mean := pick(None, 0.25, 0.5, 1.0)),
            p_least=mean and mean / 4,
            duration_ms=pick(None, 300.0, 2_000.0),
            first_token_ms=pick(None, 300.0),
            caller_left_ms=pick(None, 5.0),
            retry_count=pick(0, 1),
            attempts=[Attempt(target="t", duration_ms=1.0)] * pick(0, 1, 2),
            http_status=pick(None, 200, 504),
            request=pick(b'{"messages":[{"content":"a Refund"}]}', b'{"messages":[]}'),
            response=pick(None, b'{"choices":[{"message":{"content":"no refund, sorry"}}]}'),
        )
        for number in range(60)
    ]


def create_grades(all: list[Completion]) -> list[Feedback]:
    values: list[dict[str, Any]] = [
        {"relevance": 1, "safe": True, "tone": {"kind": "warm"}},
        {"relevance": 4.5, "flags": ["long", 3], "note": None},
        {"relevance": "5", "tone": {"kind": "cold", "level": 2}},
        {"relevance": [], "tone": "warm", "safe": False},
    ]
    kinds = itertools.cycle(["person", "model", "api", "person", "model"])
    return [
        Feedback(
            organization_id="default",
            task_id=["t-1", "t-2"][number % 2],
            task_version=1,
            reviewer="ann",
            reviewer_kind=next(kinds),  # type: ignore[arg-type]
            json_values=values[number // 2 % 4],
            completion_ids=sorted({all[1 + number * 2 % 59].id, all[1 + number * 5 % 59].id}),
        )
        for number in range(24)
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World()
    world.open(tmp_path_factory.mktemp("filters"))
    yield world
    world.close()


async def create_store(folder: Path, world: World) -> Store:
    store = await Store.open(folder)
    for each in world.all:
        await store.settle(each)
    tasks = {
        id: FeedbackTask(id=id, organization_id="default", name=name, json_schema={})
        for name, id in TASKS.items()
    }
    for task in tasks.values():
        await store.feedback_tasks.create(task)
    for grade in world.grades:
        await store.feedback.create(grade, task=tasks[grade.task_id])
    for id, name in KEYS.items():
        await store.keys.create(
            Key(
                id=id,
                organization_id="default",
                name=name,
                hash=id.encode(),
                redacted_value="",
                created_at=0,
                last_used_at=None,
            )
        )
    await create_prompts(store, world)
    return store


async def create_prompts(store: Store, world: World) -> None:
    for name, id in PROMPTS.items():
        prompt = NamedPrompt(id=id, organization_id="default", name=name)
        for word in ("a", "b"):
            version = PromptVersion(
                organization_id="default",
                prompt_id=id,
                version=0,
                template=[word],
                decided_by="person",
            )
            await store.prompts.create(prompt, version)
    calls = [
        SortedCall(each.created_at, each.id, PromptPlace(PROMPTS[name], version))
        for each in world.all
        if each.id in world.places
        for name, version in [world.places[each.id]]
    ]
    await store.prompts.sort(calls, organization_id="default", sorted_to=0)


VALUES: Mapping[str, list[str]] = {
    "model": ["gpt-5", "openai/gpt-5", "x", "none"],
    "provider": ["azure", "none"],
    "tag": ["support", "eu", "'o\\\"dd'", "none"],
    "session": ["s", "t", "none"],
    "user": ["ann", "none"],
    "key": ["ci", "k-2", "x", "none"],
    "finish_reason": ["stop", "length", "none"],
    "error": ["hang_up", "none"],
    "rule": ["C3", "M1", "none"],
    "prompt": ["support", "sums@1", "sums@2", "support@3", "x", "none"],
    "id": ["c-5", "c-0"],
    "created": ["2026-11-24", "2026-11-24T10:00", "'2026-11-25T01:00+02:00'"],
    "duration": ["300ms", "2s", "1.5s", "none"],
    "first_token": ["0.3s", "none"],
}
NUMBERS = ["0", "0.001", "0.0625", "0.25", "0.5", "1", "2", "10", "300", "504", "-1", "4"]


def list_comparisons() -> st.SearchStrategy[str]:
    """Comparisons of every field in the vocabulary."""
    kinds = []
    for field in VOCABULARY.fields:
        if field.choices:
            values = list(field.choices)
        elif field.kind == "number":
            values = [*NUMBERS, *(["none"] if field.has_none else [])]
        else:
            values = VALUES[field.name]
        signs = ["=", "!="] if field.kind == "text" else ["<", "<=", ">", ">=", "=", "!="]
        pairs = [
            f"{field.name} {sign} {value}"
            for sign in signs
            for value in values
            if value != "none" or sign in ("=", "!=")
        ]
        kinds.append(st.sampled_from(pairs))
    paths = ["relevance", "safe", "tone", "tone.kind", "tone.level", "flags", "note", "gone"]
    grades = st.builds(
        "'grade.{}.{}' {} {}".format,
        st.sampled_from(list(TASKS)),
        st.sampled_from(paths),
        st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
        st.sampled_from(["1", "3", "4.5", "'5'", "5", "true", "False", "warm", "long", "null"]),
    )
    metadata = st.builds(
        "metadata.{} {} {}".format,
        st.sampled_from(["a.b", "k", "gone"]),
        st.sampled_from(["=", "!="]),
        st.sampled_from(["x", "y", "none", "'none'"]),
    )
    return st.one_of(*kinds, grades, metadata)


WORDS = st.sampled_from(["'refund'", '"REFUND"', "'sorry'", "'nowhere'"])
FILTERS = st.recursive(
    list_comparisons() | WORDS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner),
    ),
    max_leaves=6,
)


@given(FILTERS)
def test_sql_means_what_python_means(world: World, text: str) -> None:
    """Whatever a filter says, SQL and the search of words select what plain Python selects."""
    found = world.find(text)
    assert set(found) == world.expect(text), text
    assert len(found) == len(set(found)) == world.count(text)


@given(FILTERS, st.sampled_from(get_args(Sort)), st.sampled_from(["asc", "desc"]))
def test_sorted(world: World, text: str, sort: Sort, order: str) -> None:
    """A list is sorted by any value, page by page. What is unknown comes last."""
    names = {"time": "created_at", "duration": "duration_ms", "cost": "cost_usd"}
    name = names.get(sort, {"tokens": "total_tokens"}.get(sort, sort))
    is_falling = order == "desc"
    wanted = [each for each in world.all if each.id in world.expect(text)]
    known = [each for each in wanted if getattr(each, name) is not None]
    known.sort(key=lambda each: (getattr(each, name), each.created_at), reverse=is_falling)
    unknown = [each for each in wanted if getattr(each, name) is None]
    unknown.sort(key=lambda each: each.created_at, reverse=is_falling)
    found = world.find(text, sort=sort, order=order)
    assert found == [each.id for each in (*known, *unknown)]


@pytest.mark.parametrize(
    "text",
    [
        "tag = support and p_least < 0.2 and 'refund'",
        "graded = people or grade.quality.relevance <= 2",
        "rules = left and not rules = mended",
        "'grade.tone.of voice.tone.kind' != warm",
        "metadata.a.b = x and duration > 1s",
        "key = ci",
        "cost = none and not 'refund'",
    ],
)
def test_examples_select_some(world: World, text: str) -> None:
    """These examples select some of the completions, and not all."""
    found = world.find(text)
    assert set(found) == world.expect(text)
    assert 0 < len(found) < len(world.all)


def test_an_unknown_task(world: World) -> None:
    """The error names the task that was probably meant."""
    with pytest.raises(InvalidFilter, match=r"Did you mean 'grade\.quality\.FIELD'") as raised:
        world.find("grade.qualty.relevance = 1")
    assert raised.value.word == "grade.qualty.relevance"


def test_every_field_has_a_meaning(world: World) -> None:
    """Every field of the vocabulary, and every alias, is translated."""
    for field in VOCABULARY.fields:
        for name in (field.name, *field.aliases):
            value = field.choices[0] if field.choices else VALUES.get(field.name, NUMBERS)[0]
            found = world.find(f"{name} = {value}")
            assert set(found) == world.expect(f"{field.name} = {value}")
