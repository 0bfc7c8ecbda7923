"""The pages of datasets: their names, the versions of one, and its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from briggs.evals.datasets import find_dataset
from briggs.parts import find_parts
from briggs.types import json
from briggs.types.datasets import Dataset, Sample
from briggs.types.texts import message_text
from briggs.web.addresses import Address, join_path, read_place
from briggs.web.rendering import render

PAGE = 50
PAGES_MAX = 2_000
SAMPLES_SHOWN = 25
VERSIONS_SHOWN = 50
TEXT_MAX = 600
"""So many characters of a question or a reference are shown."""


class ShownSample(NamedTuple):
    """A sample in a list."""

    id: str
    question: str
    references: Sequence[str]
    completion: str
    """The page of the completion that it was made of, or nothing."""


async def list_page(request: Request) -> Response:
    """`GET /datasets`: the versions, newest first."""
    state = request.query_params
    number = read_place(state, "page", maximum=PAGES_MAX)
    found = await find_parts(request).store.datasets.list(
        organization_id=request.state.key.organization_id, limit=PAGE + 1, offset=number * PAGE
    )
    return await render(
        request,
        "datasets/list.html",
        title="Datasets",
        datasets=[(each, _link(each)) for each in found[:PAGE]],
        has_more=len(found) > PAGE,
        page=number,
        link=Address("/datasets", state),
    )


async def show(request: Request) -> Response:
    """`GET /datasets/{id}`: a version with its samples, and the other versions of its name."""
    store, key = find_parts(request).store.datasets, request.state.key
    dataset = await find_dataset(
        find_parts(request).store,
        request.path_params["id"],
        organization_id=key.organization_id,
    )
    pages = -(-dataset.samples // SAMPLES_SHOWN)
    number = min(read_place(request.query_params, "page", maximum=PAGES_MAX), max(pages - 1, 0))
    begin = number * SAMPLES_SHOWN
    found = await store.read_samples(dataset, range(begin, begin + SAMPLES_SHOWN))
    versions = await store.list(
        organization_id=key.organization_id, name=dataset.name, limit=VERSIONS_SHOWN, offset=0
    )
    return await render(
        request,
        "datasets/show.html",
        title=f"{dataset.name}@{dataset.version}",
        dataset=dataset,
        versions=[(each, _link(each)) for each in versions],
        samples=[present_sample(found[at]) for at in sorted(found)],
        begin=begin,
        page=number,
        has_more=number + 1 < pages,
        link=Address(_link(dataset), request.query_params),
    )


def present_sample(sample: Sample) -> ShownSample:
    """What a list shows of a sample: the last message, and what is right."""
    asked = message_text(sample.messages[-1]) if sample.messages else ""
    right = [each[:TEXT_MAX] for each in sample.references]
    right += [json.lay_out(each, indent=None)[:TEXT_MAX] for each in sample.tool_calls]
    made_of = sample.completion_id
    return ShownSample(
        id=sample.id,
        question=asked[:TEXT_MAX],
        references=right[:3],
        completion=join_path("completions", made_of) if made_of else "",
    )


def _link(dataset: Dataset) -> str:
    return join_path("datasets", f"{dataset.name}@{dataset.version}")
