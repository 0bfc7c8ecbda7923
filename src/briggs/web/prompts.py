"""The pages of prompts: those that were found and named, and the versions of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from briggs.evals.named_prompts import (
    FigureDifference,
    PromptFigure,
    PromptPost,
    PromptVersionFigures,
    compare_versions,
    create_prompt,
    find_prompt,
    merge_versions,
)
from briggs.evals.prompts import find_prompts, write_template
from briggs.parts import find_parts
from briggs.types.errors import InvalidRequest
from briggs.types.filters import quote
from briggs.types.prompts import NamedPrompt, PromptVersion
from briggs.web import figures
from briggs.web.addresses import Address, join_path, join_query, read_place
from briggs.web.changes import Change
from briggs.web.csrf import read_form
from briggs.web.rendering import render
from briggs.web.route import see_other

LOOKED_AT = 300
"""So many of the newest calls are looked at for prompts without a name."""
GRADES_SHOWN = 8
"""The fields of a task whose grades a prompt shows."""
FOUND_MAX = 20
"""So many found prompts are shown."""
_TITLES = {
    "cost_usd": "Cost",
    "prompt_tokens": "Tokens in",
    "completion_tokens": "Tokens out",
    "duration_ms": "Time",
}


class ListedPrompt(NamedTuple):
    """A named prompt in the list."""

    prompt: NamedPrompt
    newest: PromptVersion
    text: str
    versions: int
    calls: int


class FigureRow(NamedTuple):
    """A figure of both versions, and what differs."""

    title: str
    before: str
    before_interval: str
    now: str
    now_interval: str
    verdict: str
    is_clear: bool


async def list_page(request: Request) -> Response:
    """`GET /prompts`: the named prompts, and those of the newest calls."""
    store, key = find_parts(request).store, request.state.key
    named = await store.prompts.list(organization_id=key.organization_id)
    versions: dict[str, list[PromptVersion]] = {}
    for each in await store.prompts.list_versions(organization_id=key.organization_id):
        versions.setdefault(each.prompt_id, []).append(each)
    found = await find_prompts(
        store, organization_id=key.organization_id, filter="prompt = none", limit=LOOKED_AT
    )
    known = {write_template(each.template)[0] for listed in versions.values() for each in listed}
    rows = [
        ListedPrompt(
            prompt=prompt,
            newest=versions[prompt.id][-1],
            text=write_template(versions[prompt.id][-1].template)[0],
            versions=len(versions[prompt.id]),
            calls=sum((await store.prompts.count_calls(prompt)).values()),
        )
        for prompt in named
        if prompt.id in versions
    ]
    return await render(
        request,
        "prompts/list.html",
        title="Prompts",
        named=rows,
        found=[each for each in found.prompts if each.template not in known][:FOUND_MAX],
        looked_at=found.looked_at,
        grades_shown=GRADES_SHOWN,
    )


async def create(request: Request) -> Response:
    """`POST /prompts`: name a prompt, or give a named one its next version."""
    form, parts = await read_form(request), find_parts(request)
    post = PromptPost(
        name=form.get("name", "").strip(),
        template=form.get("template") or None,
        completion_id=form.get("completion_id") or None,
    )
    prompt = await create_prompt(
        parts.store, post, organization_id=request.state.key.organization_id
    )
    parts.prompts.hurry()
    return see_other(join_path("prompts", prompt.name))


async def show(request: Request) -> Response:
    """`GET /prompts/{id}`: two versions of a prompt beside each other."""
    prompt = await _find(request)
    store, state = find_parts(request).store, request.query_params
    versions = await store.prompts.list_versions(
        organization_id=prompt.organization_id, prompt_id=prompt.id
    )
    numbers = [each.version for each in versions]
    before, now = choose_versions(numbers, state)
    compared = await compare_versions(store, prompt, versions=[*dict.fromkeys((before, now))])
    first, last = compared.versions[0], compared.versions[-1]
    counts = await store.prompts.count_calls(prompt)
    return await render(
        request,
        "prompts/show.html",
        title=prompt.name,
        prompt=prompt,
        versions=[(each, counts.get(each.version, 0)) for each in versions[::-1]],
        first=first,
        last=last,
        change=Change("text", first.template, last.template),
        rows=list_figures(first, last, compared.differences),
        link=Address(join_path("prompts", prompt.name), state),
        calls=lambda version: _find_calls(prompt, version),
    )


async def merge(request: Request) -> Response:
    """`POST /prompts/{id}/merge`: make one version of two."""
    prompt, form = await _find(request), await read_form(request)
    version, into = (read_place(form, name) for name in ("version", "into"))
    parts = find_parts(request)
    await merge_versions(parts.store, prompt, version=version, into=into)
    parts.prompts.hurry()
    return see_other(join_path("prompts", prompt.name))


async def delete(request: Request) -> Response:
    """`POST /prompts/{id}/delete`: forget a name with its versions."""
    await find_parts(request).store.prompts.delete(await _find(request))
    return see_other("/prompts")


def choose_versions(numbers: Sequence[int], state: Mapping[str, str]) -> tuple[int, int]:
    """The versions that the address names, or else the last two."""
    if not numbers:
        raise InvalidRequest("This prompt has no version.", param="id")
    wanted = (read_place(state, "before"), read_place(state, "now"))
    usual = (numbers[-2] if len(numbers) > 1 else numbers[-1], numbers[-1])
    before, now = (
        each if each in numbers else other for each, other in zip(wanted, usual, strict=True)
    )
    return before, now


def list_figures(
    first: PromptVersionFigures,
    last: PromptVersionFigures,
    differences: Sequence[FigureDifference],
) -> list[FigureRow]:
    """The figures of two versions, row by row, with what differs in words."""
    found = {each.figure: each for each in differences}
    rows = []
    for name in dict.fromkeys([*last.figures, *first.figures]):
        write = _WRITERS.get(name, _write_grade)
        before, now = first.figures.get(name), last.figures.get(name)
        difference = found.get(name) if first.version != last.version else None
        rows.append(
            FigureRow(
                title=_TITLES.get(name, name),
                before=_write(before, write),
                before_interval=_write_interval(before, write),
                now=_write(now, write),
                now_interval=_write_interval(now, write),
                verdict=_describe(difference, write),
                is_clear=difference is not None and difference.is_clear,
            )
        )
    return rows


def _describe(found: FigureDifference | None, write: Callable[[float], str]) -> str:
    if found is None:
        return ""
    if found.interval is None:
        return "too few calls to say"
    if not found.is_clear:
        return "no difference found"
    ends = sorted((abs(found.interval.low), abs(found.interval.high)))
    word = "more" if found.difference > 0 else "less"
    return f"{write(abs(found.difference))} {word} ({write(ends[0])} to {write(ends[1])})"


def _write(figure: PromptFigure | None, write: Callable[[float], str]) -> str:
    return figures.DASH if figure is None else write(figure.mean)


def _write_interval(figure: PromptFigure | None, write: Callable[[float], str]) -> str:
    if figure is None or figure.interval is None:
        return ""
    return f"{write(figure.interval.low)} to {write(figure.interval.high)}"


def _write_grade(value: float) -> str:
    return f"{value:.2f}"


_WRITERS: Mapping[str, Callable[[float], str]] = {
    "cost_usd": figures.dollars,
    "prompt_tokens": figures.number,
    "completion_tokens": figures.number,
    "duration_ms": figures.seconds,
}


def _find_calls(prompt: NamedPrompt, version: int) -> str:
    query = f"prompt = {quote(f'{prompt.name}@{version}')}"
    return f"/completions?{join_query({'range': 'all', 'query': query})}"


async def _find(request: Request) -> NamedPrompt:
    return await find_prompt(
        find_parts(request).store,
        request.path_params["id"],
        organization_id=request.state.key.organization_id,
    )
