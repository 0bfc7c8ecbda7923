"""Compare: two to four answers side by side, and which of them is best."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from briggs.accounts.scopes import require
from briggs.feedback.best import COMPARED_MAX, FIELD
from briggs.feedback.preferences import PreferencePost, create_preference, list_preferences
from briggs.feedback.reviewers import find_blinded
from briggs.parts import find_parts
from briggs.storage import FeedbackQuery, Query
from briggs.types.completions import Completion
from briggs.types.errors import NotFound
from briggs.types.feedback import Feedback
from briggs.web.addresses import Address, read_option
from briggs.web.comparison import LETTERS, compare_completions, draw_pair
from briggs.web.csrf import read_form
from briggs.web.rendering import render
from briggs.web.route import see_other

MODES = ("words", "probabilities", "both")
OFFERED = 12
"""How many of the newest completions are offered to compare with."""


async def show(request: Request) -> Response:
    """`GET /compare?ids=a,b`: the answers beside each other."""
    state, key = request.query_params, request.state.key
    completions = await _find(request, state.get("ids", ""))
    mode = read_option(state, "show", MODES)
    link = Address("/compare", state)
    ids = [each.id for each in completions]
    comparison = None
    if completions:
        comparison = await asyncio.to_thread(compare_completions, completions, mode=mode)
    preferences = await _list_preferences(request, ids) if len(ids) > 1 else []
    return await render(
        request,
        "compare/show.html",
        title="Compare",
        comparison=comparison,
        plot=draw_pair(comparison.pair) if comparison and comparison.pair else None,
        ids=ids,
        mode=mode,
        link=link,
        without={id: link(ids=",".join(each for each in ids if each != id)) for id in ids},
        swapped=link(ids=",".join([*ids[1:], *ids[:1]])),
        letters=dict(zip(ids, LETTERS, strict=False)),
        may_prefer="grade" in key.scopes,
        preferences=preferences,
        mine=next(
            (each.json_values.get(FIELD) for each in preferences if each.reviewer == key.name), None
        ),
        best_field=FIELD,
        offered=await _list_offered(request, ids) if len(ids) < COMPARED_MAX else [],
        compared_max=COMPARED_MAX,
    )


async def add(request: Request) -> Response:
    """`GET /compare/add?ids=a&id=b`: one more answer."""
    state = request.query_params
    ids = [*_split(state.get("ids", "")), *_split(state.get("id", ""))]
    return see_other(Address("/compare", {"show": state.get("show", "")})(ids=",".join(ids)))


async def prefer(request: Request) -> Response:
    """`POST /compare`: record which is best. An empty `best` says that none is better."""
    key = request.state.key
    require(key, "grade")
    form = await read_form(request)
    ids = _split(form.get("ids", ""))
    post = PreferencePost(
        completion_ids=ids,
        best=form.get("best") or None,
        comment=form.get("comment", "").strip() or None,
        reviewer_kind="person",
    )
    await create_preference(
        find_parts(request).store, post, organization_id=key.organization_id, reviewer=key.name
    )
    state = {"ids": ",".join(ids), "show": form.get("show", "")}
    return see_other(Address("/compare", state)("preference"))


async def _find(request: Request, given: str) -> list[Completion]:
    """The completions that the address names. Raises `NotFound`."""
    store, organization_id = find_parts(request).store, request.state.key.organization_id
    found: dict[str, Completion] = {}
    for id in _split(given)[:COMPARED_MAX]:
        completion = await store.completions.retrieve(id, organization_id=organization_id)
        if completion is None:
            raise NotFound(f"There is no completion '{id}'. It may have been deleted.", param="ids")
        found[completion.id] = completion
    return list(found.values())


def _split(ids: str) -> list[str]:
    return list(dict.fromkeys(each.strip() for each in ids.split(",") if each.strip()))


async def _list_preferences(request: Request, ids: Sequence[str]) -> list[Feedback]:
    """The preferences about exactly these completions that this key may see."""
    key = request.state.key
    query = FeedbackQuery(
        organization_id=key.organization_id,
        completion_id=ids[0],
        hidden_from=find_blinded(key),
    )
    about = sorted(ids)
    return [
        each
        async for each in list_preferences(find_parts(request).store, query=query)
        if each.completion_ids == about
    ]


async def _list_offered(request: Request, ids: Sequence[str]) -> list[Any]:
    """The newest completions that are not compared yet, without their bodies."""
    page = await find_parts(request).store.completions.list(
        Query(
            organization_id=request.state.key.organization_id,
            status="finished",
            limit=OFFERED + len(ids),
            payloads=False,
        )
    )
    return [each for each in page.completions if each.id not in ids][:OFFERED]
