"""What is done with several completions at once: those that are selected, or all that match.

Each step takes a bounded number of them. A script asks for one step after the other; for a form
without scripts they follow each other for some seconds, and a page then says how far that is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from briggs.accounts.scopes import require
from briggs.feedback.best import COMPARED_MAX
from briggs.parts import find_parts
from briggs.record.labels import read_tags, split_tags
from briggs.storage import Query
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.keys import Scope
from briggs.web import listing
from briggs.web.addresses import join_query, read_place
from briggs.web.csrf import Form, read_body, read_form
from briggs.web.rendering import render
from briggs.web.route import see_other

LIST = "/completions"
CHANGED_MAX = 1_000
"""How many may be named at once. There is no limit to how many match."""

STEP = 100
WITHIN_S = 5.0
"""How long the steps for one form without scripts may take."""

_SCOPES: Mapping[str, Scope] = {"tag": "answer", "task": "answer", "delete": "admin"}
_DONE = {"tag": "tagged", "task": "sent to the task", "delete": "deleted"}


class Step(NamedTuple):
    """Some of what was chosen."""

    completions: Sequence[Completion]
    after: str
    """The last of them, if more follow. Otherwise empty."""


async def act(request: Request) -> Response:
    """`POST /completions/selected`: tag, send to a task, compare, export or delete.

    Answers a script with what one step did: how many, where the next step begins, and the tags
    that they had before, so that it can be undone.
    """
    form, key = await read_form(request), request.state.key
    name = form.get("act", "")
    if name in ("compare", "csv", "jsonl"):
        return see_other(_lead(form, to=name))
    if name not in _SCOPES:
        raise InvalidRequest("Choose what to do with the selected completions.", param="act")
    require(key, _SCOPES[name])
    is_script = "hx-request" in request.headers
    if not form.getlist("id") and not form.get("all"):
        raise InvalidRequest("Select at least one completion.", param="id")
    if name == "delete" and not is_script and not form.get("sure"):
        return await _ask(request, form)
    added = [] if name == "delete" else await _list_added(request, form, name)
    end = time.monotonic() + (0 if is_script else WITHIN_S)
    count, before, after = 0, dict[str, list[str]](), form.get("after", "")
    while True:
        step = await _choose(request, form, after=after)
        if name == "delete":
            await _delete(request, step.completions)
        else:
            before |= await _add_tags(request, step.completions, added)
        count, after = count + len(step.completions), step.after
        if not after or time.monotonic() > end:
            break
    if is_script:
        told = {"count": count, "after": after, "before": before}
        return Response(json.encode(told), media_type="application/json")
    if not form.get("all"):
        return see_other(_back(form))
    return await _show(
        request, form, count=count + read_place(form, "done"), after=after, done=_DONE[name]
    )


async def restore_tags(request: Request) -> Response:
    """`POST /completions/tags/restore`: put back the tags that some completions had."""
    require(request.state.key, "answer")
    try:
        before = msgspec.json.decode(await read_body(request), type=dict[str, list[str]])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidRequest("The tags cannot be read.") from error
    check_count(len(before))
    owner = request.state.key.organization_id
    for id, tags in before.items():
        await find_parts(request).store.completions.relabel(
            id, organization_id=owner, tags=read_tags(tags)
        )
    return Response(status_code=204)


def check_count(count: int) -> None:
    """Raises `InvalidRequest` if so many completions are named at once."""
    if count > CHANGED_MAX:
        raise InvalidRequest(f"Choose at most {CHANGED_MAX:,} completions at once.", param="id")


async def _choose(request: Request, form: Form, *, after: str) -> Step:
    """The next of what was chosen, without their bodies."""
    store = find_parts(request).store
    if form.get("all"):
        query = _read_query(request, form)
        page = await store.completions.list(
            msgspec.structs.replace(query, after=after or None, limit=STEP, payloads=False)
        )
        return Step(page.completions, page.completions[-1].id if page.has_more else "")
    ids = form.getlist("id")
    check_count(len(ids))
    found = await store.completions.retrieve_labels(ids, organization_id=_owner(request))
    return Step(list(found.values()), "")


def _read_query(request: Request, form: Form) -> Query:
    """All that the list matched when it was shown. What came later is not meant."""
    wish = listing.read_wish({"query": form.get("query", "")})
    if wish.mistake is not None:
        raise wish.mistake
    return listing.create_query(
        wish,
        organization_id=_owner(request),
        begin=read_moment(form, "begin"),
        end=read_moment(form, "end"),
    )


def read_moment(state: Mapping[str, str], name: str) -> int | None:
    """A time of an address or a form, in Unix microseconds. Raises `InvalidRequest`."""
    text = state.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise InvalidRequest(f"{name}: write Unix microseconds.", param=name)
    return int(text)


def _lead(form: Form, *, to: str) -> str:
    """The address that shows or exports what was chosen."""
    ids = form.getlist("id")
    check_count(len(ids))
    if to == "compare":
        if form.get("all") or not 2 <= len(ids) <= COMPARED_MAX:
            raise InvalidRequest(f"Select 2 to {COMPARED_MAX} completions to compare them.")
        return f"/compare?{join_query({'ids': ','.join(ids)})}"
    if form.get("all"):
        names = ("query", "begin", "end")
        chosen = [(name, form[name]) for name in names if form.get(name)]
    else:
        chosen = [("id", id) for id in ids]
    return f"{LIST}/export?{join_query([('format', to), ('range', listing.ANY_TIME), *chosen])}"


async def _list_added(request: Request, form: Form, name: str) -> list[str]:
    """The tags to add: those written, or those that the task selects."""
    if name == "tag":
        added = split_tags(form.get("tag", ""))
        if not added:
            raise InvalidRequest("Write a tag.", param="tag")
        return added
    task = await find_parts(request).store.feedback_tasks.retrieve(
        form.get("task", ""), organization_id=_owner(request)
    )
    if task is None or not task.completion_tags_selector:
        raise NotFound("There is no such feedback task that selects by tags.")
    return task.completion_tags_selector


async def _add_tags(
    request: Request, completions: Sequence[Completion], added: Sequence[str]
) -> dict[str, list[str]]:
    """Add tags. Returns the tags that the changed completions had."""
    before = {}
    for each in completions:
        tags = list(dict.fromkeys([*each.tags, *added]))
        if tags != each.tags:
            await find_parts(request).store.completions.relabel(
                each.id, organization_id=_owner(request), tags=read_tags(tags)
            )
            before[each.id] = each.tags
    return before


async def _delete(request: Request, completions: Sequence[Completion]) -> None:
    for each in completions:
        await find_parts(request).store.completions.delete(each.id, organization_id=_owner(request))


async def _ask(request: Request, form: Form) -> Response:
    """Without a script nothing can be undone, so this asks first."""
    if not form.get("all"):
        return await _show(request, form, count=len(form.getlist("id")))
    counted = await find_parts(request).store.completions.count(_read_query(request, form))
    return await _show(request, form, count=counted.count, is_exact=counted.is_exact)


async def _show(
    request: Request,
    form: Form,
    *,
    count: int,
    is_exact: bool = True,
    after: str = "",
    done: str = "",
) -> Response:
    """How far it is, or whether it is wanted. `done` is what has been done."""
    kept = ("act", "all", "query", "begin", "end", "tag", "task", "back")
    fields = [(name, form[name]) for name in kept if form.get(name)]
    fields += [("id", id) for id in form.getlist("id") if not form.get("all")]
    fields += [("after", after), ("done", str(count))] if done else []
    return await render(
        request,
        "completions/selected.html",
        title="Completions",
        count=count,
        is_exact=is_exact,
        done=done,
        is_whole=bool(done) and not after,
        fields=[*fields, ("sure", "yes")],
        back=_back(form),
    )


def _back(form: Form) -> str:
    """Back to the list, and nowhere else."""
    path = form.get("back", "")
    return path if path == LIST or path.startswith(f"{LIST}?") else LIST


def _owner(request: Request) -> str:
    owner: str = request.state.key.organization_id
    return owner
