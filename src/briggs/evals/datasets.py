"""Makes datasets: of samples that are given, and of what is on record."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from briggs.record.bodies import read_answered, read_asked
from briggs.storage import FeedbackQuery, Query, Store
from briggs.types import json
from briggs.types.any_json import list_objects, members, text
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Completion
from briggs.types.datasets import (
    DATASET_BYTES_MAX,
    MESSAGES_MAX,
    NAME_LENGTH_MAX,
    SAMPLE_BYTES_MAX,
    SAMPLES_MAX,
    Dataset,
    ReferenceSource,
    Sample,
)
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.feedback import Feedback
from briggs.types.filters import AllOf, Filter
from briggs.wires.samples import read_calls, read_sample

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_LENGTH_MAX - 1}}}")
_PAGE = 50
_PAGE_BYTES = 16 * 1024 * 1024
_LEFT_OUT = ("model", "messages", "stream", "stream_options", "n", "metadata", "store", "user")
"""Members of a request that a sample does not repeat."""


SENT = "samples that a program sent"
"""The source of a dataset whose maker named none."""


class DatasetPost(msgspec.Struct, kw_only=True):
    """A new version of a dataset: of `samples`, or of the completions that a filter selects."""

    name: str
    samples: list[dict[str, Any]] | None = None
    """In any of the shapes of `wires/samples.py`."""
    filter: str | None = None
    references: ReferenceSource = "none"
    task_id: str | None = None
    """With `corrected`: only corrections of this task."""
    limit: int = 1_000
    """The most completions, the newest first."""
    source: str | None = None
    """Where the samples come from, in words."""


async def create_dataset(store: Store, post: DatasetPost, *, organization_id: str) -> Dataset:
    """Create the next version of a name. The same samples again are the version that is there.

    Raises `InvalidRequest`.
    """
    check_name(post.name)
    if (post.samples is None) == (post.filter is None):
        raise InvalidRequest(
            "Give either 'samples' or 'filter', which may be empty for all completions.",
            param="samples",
        )
    if post.samples is not None:
        samples = await asyncio.to_thread(_read_samples, post.samples)
        source = (post.source or SENT)[:NAME_LENGTH_MAX]
    else:
        samples = await _select(store, post, organization_id=organization_id)
        source = _describe(post)
    return await _store(store, post.name, samples, source, organization_id=organization_id)


async def find_dataset(store: Store, named: str, *, organization_id: str) -> Dataset:
    """A version by its id, its name (the newest) or `NAME@VERSION`. Raises `NotFound`."""
    found = await store.datasets.find(named, organization_id=organization_id)
    if found is None:
        raise NotFound(
            f"There is no dataset '{named[:200]}': create it with `briggs datasets create`, or see "
            "which there are with `briggs datasets list`.",
            param="dataset",
        )
    return found


def check_name(name: str) -> None:
    """Raises `InvalidRequest` for a name that a dataset or a run cannot have."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"'name' must have 1 to {NAME_LENGTH_MAX} letters, digits, dots, hyphens and "
            "underscores.",
            param="name",
        )


async def _store(
    store: Store, name: str, samples: Sequence[Sample], source: str, *, organization_id: str
) -> Dataset:
    encoded, hashed = await asyncio.to_thread(_measure, samples)
    if encoded > DATASET_BYTES_MAX:
        raise InvalidRequest(
            f"The samples have {encoded:,} bytes, and the limit is {DATASET_BYTES_MAX:,}: use "
            "fewer or shorter ones.",
            param="samples",
        )
    dataset = Dataset(
        organization_id=organization_id,
        name=name,
        source=source,
        samples=len(samples),
        bytes=encoded,
        hash=hashed,
    )
    return await store.datasets.create(dataset, samples)


def _measure(samples: Sequence[Sample]) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for sample in samples:
        line = json.encode(sample) + b"\n"
        size += len(line)
        digest.update(line)
    return size, digest.hexdigest()


def _read_samples(rows: Sequence[dict[str, Any]]) -> list[Sample]:
    if not 0 < len(rows) <= SAMPLES_MAX:
        raise InvalidRequest(
            f"A dataset has 1 to {SAMPLES_MAX:,} samples, not {len(rows):,}.", param="samples"
        )
    samples = [read_sample(row, number=number) for number, row in enumerate(rows, 1)]
    seen: dict[str, int] = {}
    for number, sample in enumerate(samples, 1):
        if (first := seen.setdefault(sample.id, number)) != number:
            raise InvalidRequest(
                f"Samples {first} and {number} have the same id '{sample.id}'. Give each its own, "
                "or none.",
                param="samples",
            )
    return samples


async def _select(store: Store, post: DatasetPost, *, organization_id: str) -> list[Sample]:
    """The samples of completions that the filter selects, newest first."""
    if not 1 <= post.limit <= SAMPLES_MAX:
        raise InvalidRequest(f"'limit' is a number from 1 to {SAMPLES_MAX:,}.", param="limit")
    query: Query | None = Query(
        organization_id=organization_id,
        status="finished",
        filter=_join(post),
        limit=_PAGE,
        bytes_max=_PAGE_BYTES,
    )
    samples: list[Sample] = []
    size = 0
    while query is not None and len(samples) < post.limit:
        page = await store.completions.list(query)
        found = page.completions
        corrected = await _list_corrected(store, found, post, organization_id=organization_id)
        made = await asyncio.to_thread(_make_samples, found, corrected, post.references)
        samples += made[: post.limit - len(samples)]
        size += sum(len(each.request) for each in found)
        if size > DATASET_BYTES_MAX:
            raise InvalidRequest(
                f"The first {len(samples):,} completions are as large as a dataset may be: lower "
                "'limit', or narrow the filter.",
                param="limit",
            )
        query = msgspec.structs.replace(query, after=found[-1].id) if page.has_more else None
    if not samples:
        raise InvalidRequest(
            "No completion can become a sample: widen the filter, or use other references.",
            param="filter",
        )
    return samples


def _join(post: DatasetPost) -> Filter | None:
    given = parse_completion_filter(post.filter or "")
    narrowed = parse_completion_filter(
        "kind = chat and graded != none" if post.references == "corrected" else "kind = chat"
    )
    assert narrowed is not None, "it is not empty"
    return narrowed if given is None else AllOf([given, narrowed])


async def _list_corrected(
    store: Store, found: Sequence[Completion], post: DatasetPost, *, organization_id: str
) -> Mapping[str, Any]:
    """What reviewers wrote instead, by the completion's id. A lead's counts before others'."""
    if post.references != "corrected":
        return {}
    query = FeedbackQuery(organization_id=organization_id, task_id=post.task_id)
    given = await store.feedback.list_about([each.id for each in found], query=query)
    return {id: right for id, each in given.items() if (right := _pick(each)) is not None}


def _pick(given: Sequence[Feedback]) -> Any:
    corrected = [each for each in given if each.corrected_output not in (None, "")]
    leads = [each for each in corrected if each.reviewer_kind == "lead"]
    return (leads or corrected)[-1].corrected_output if corrected else None


def _make_samples(
    found: Sequence[Completion], corrected: Mapping[str, Any], references: ReferenceSource
) -> list[Sample]:
    made = [_make_sample(each, corrected.get(each.id), references) for each in found]
    return [sample for sample in made if sample is not None]


def _make_sample(
    completion: Completion, corrected: Any, references: ReferenceSource
) -> Sample | None:
    """None for a completion that cannot be asked again, or has no such reference."""
    asked = read_asked(completion)
    messages = list_objects(asked.get("messages"))
    if not 0 < len(messages) <= MESSAGES_MAX or not all(text(m.get("role")) for m in messages):
        return None
    right = corrected if references == "corrected" else _find_answer(completion)
    texts, calls = ([], []) if references == "none" else _write_reference(right)
    if references != "none" and not texts and not calls:
        return None
    sample = Sample(
        id=completion.id,
        messages=messages,
        references=texts,
        tool_calls=calls,
        parameters={name: value for name, value in asked.items() if name not in _LEFT_OUT},
        metadata={"model": completion.model},
        completion_id=completion.id,
    )
    return sample if len(json.encode(sample)) <= SAMPLE_BYTES_MAX else None


def _find_answer(completion: Completion) -> Any:
    choices = list_objects(read_answered(completion).get("choices"))
    return members(choices[0].get("message")) if choices else None


def _write_reference(right: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """A message, a text or other JSON as what is right."""
    if isinstance(right, dict) and {"content", "tool_calls"} & right.keys():
        content = right.get("content")
        return [content] if isinstance(content, str) and content else [], read_calls(right)
    if right is None or isinstance(right, str):
        return [right] if right else [], []
    return [json.encode(right).decode("utf-8", "replace")], []


def _describe(post: DatasetPost) -> str:
    said = {"none": "completions", "answer": "answers", "corrected": "corrections"}
    filter = f" where {post.filter}" if (post.filter or "").strip() else ""
    return f"{said[post.references]}{filter}"[:NAME_LENGTH_MAX]
