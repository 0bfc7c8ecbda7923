"""What surrounds every page: the places to go, and whether everything answered is recorded."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request

from briggs.parts import find_parts
from briggs.types.keys import Scope


class Place(NamedTuple):
    """An entry of the navigation."""

    name: str
    path: str
    icon: str
    letter: str
    """`g` and this letter go there."""
    is_current: bool


class State(NamedTuple):
    """What the foot of the navigation says."""

    organization: str
    failure: str | None
    """Why the record cannot be written now."""
    unrecorded: int
    """Calls that were answered without a record since the start."""


_PLACES: tuple[tuple[str, str, str, str, tuple[Scope, ...]], ...] = (
    ("Home", "/", "home", "h", ("read",)),
    ("Completions", "/completions", "completions", "c", ("read",)),
    ("Sessions", "/sessions", "sessions", "s", ("read",)),
    ("Feedback", "/feedback", "feedback", "f", ("read", "grade")),
    ("Playground", "/playground", "playground", "p", ("answer",)),
    ("Settings", "/settings", "settings", "e", ("read",)),
)


def list_places(request: Request) -> list[Place]:
    """The places that the key of this session may open."""
    key, path = request.state.key, request.url.path
    if key is None or key.task_id is not None:
        return []
    return [
        Place(name, place, icon, letter, path == place or path.startswith(f"{place}/"))
        for name, place, icon, letter, scopes in _PLACES
        if any(scope in key.scopes for scope in scopes)
    ]


async def read_state(request: Request) -> State | None:
    """The state of the record. None for a visitor, who is told nothing of it."""
    key, parts = request.state.key, find_parts(request)
    if key is None:
        return None
    organization = await parts.store.organizations.find(key.organization_id)
    return State(
        organization=organization.slug if organization else key.organization_id,
        failure=parts.store.failure,
        unrecorded=parts.gateway.record.unrecorded,
    )
