"""The palette, "go to or do": finds pages, lists, views, tasks and ids by a few words."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from briggs.parts import find_parts
from briggs.storage import Store
from briggs.types import json
from briggs.types.feedback import FeedbackTask
from briggs.types.keys import Key
from briggs.types.views import View
from briggs.web.addresses import join_path, join_query

OFFERS_MAX = 12
TASKS_MAX = 200
TEXT_LENGTH_MAX = 200

_ID = re.compile(r"[\w-]{8,100}")


class Offer(msgspec.Struct, kw_only=True, frozen=True):
    """Something that the palette can open."""

    name: str
    more: str = ""
    """Where it belongs."""
    path: str
    place: str
    """The path of the place whose icon it has."""


_LISTS = (
    ("Least certain first", "/completions?sort=p_least"),
    ("Slowest first", "/completions?sort=-duration"),
    ("Most expensive first", "/completions?sort=-cost"),
    ("Failed", "/completions?query=status+%3D+failed"),
)
_SETTINGS = (
    ("Providers", "/settings#providers"),
    ("Keys", "/settings#keys"),
    ("Organizations", "/settings#organizations"),
    ("Storage", "/settings#storage"),
    ("Prices", "/settings/prices"),
    ("Rules", "/settings/rules"),
)


async def search(request: Request) -> Response:
    """`GET /palette?text=`: what these words may mean, the likeliest first, as JSON."""
    text = request.query_params.get("text", "").strip()[:TEXT_LENGTH_MAX]
    store, key = find_parts(request).store, request.state.key
    tasks = await store.feedback_tasks.list(organization_id=key.organization_id, limit=TASKS_MAX)
    views = await store.views.list(organization_id=key.organization_id)
    found = await _find_id(store, text, key=key) if _ID.fullmatch(text) else []
    offers = [*found, *list_offers(text, tasks, views, key=key)]
    return Response(json.encode(offers), media_type="application/json")


def list_offers(
    text: str, tasks: Iterable[FeedbackTask], views: Iterable[View], *, key: Key
) -> list[Offer]:
    """What the key may open that has all these words, and a search for them."""
    words = text.lower().split()
    offers = [
        offer
        for offer in _list_all(tasks, views, key=key)
        if all(word in f"{offer.name} {offer.more}".lower() for word in words)
    ][:OFFERS_MAX]
    if text and "read" in key.scopes:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        query = join_query({"query": f'"{escaped}"'})
        offers.append(
            Offer(
                name=f"“{text}” in the text of completions",
                path=f"/completions?{query}",
                place="/completions",
            )
        )
    return offers


def _list_all(tasks: Iterable[FeedbackTask], views: Iterable[View], *, key: Key) -> Iterable[Offer]:
    if "read" in key.scopes:
        for name, path in _LISTS:
            yield Offer(name=name, more="completions", path=path, place="/completions")
        for view in views:
            query = f"{view.state}&{join_query({'view': view.name})}"
            yield Offer(
                name=view.name,
                more="saved view",
                path=f"/completions?{query}",
                place="/completions",
            )
    for task in tasks:
        path = join_path("feedback", task.id)
        if "grade" in key.scopes and task.kind != "preference":
            yield Offer(
                name="Grade next", more=f"in {task.name}", path=f"{path}/grade", place="/feedback"
            )
        if "read" in key.scopes:
            yield Offer(name=task.name, more="results", path=path, place="/feedback")
    if "admin" in key.scopes:
        yield Offer(name="New task", more="feedback", path="/feedback/new", place="/feedback")
    if "read" in key.scopes:
        for name, path in _SETTINGS:
            yield Offer(name=name, more="settings", path=path, place="/settings")


async def _find_id(store: Store, id: str, *, key: Key) -> list[Offer]:
    """The completion or the session with this id."""
    if "read" not in key.scopes:
        return []
    found = []
    owner = key.organization_id
    if completion := await store.completions.retrieve(id, organization_id=owner):
        path = join_path("completions", completion.id)
        found.append(Offer(name=id, more="completion", path=path, place="/completions"))
    if await store.sessions.retrieve(id, organization_id=owner):
        found.append(
            Offer(name=id, more="session", path=join_path("sessions", id), place="/sessions")
        )
    return found
