"""What surrounds every page: the places to go, and whether everything answered is recorded."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request

from briggs.parts import find_parts
from briggs.types.errors import BriggsError
from briggs.types.keys import Key, Scope
from briggs.web.counts import Counter, Counts


class Place(NamedTuple):
    """An entry of the navigation."""

    name: str
    path: str
    icon: str
    letter: str
    """`g` and this letter go there."""
    is_current: bool
    number: int | None
    is_minor: bool
    """Whether it is behind "More" on a phone."""


class State(NamedTuple):
    """What the foot of the navigation says."""

    organization: str
    failure: str | None
    """Why the record cannot be written now."""
    answers_unrecorded: bool
    """Whether calls are answered nevertheless."""
    unrecorded: int
    """Calls that were answered without a record since the start."""
    calls: int | None
    """Calls on record from the last 24 hours."""


_MINOR = ("/sessions", "/judges", "/evals", "/prompts", "/drift", "/settings")
_PLACES: tuple[tuple[str, str, str, str, tuple[Scope, ...]], ...] = (
    ("Home", "/", "home", "h", ("read",)),
    ("Completions", "/completions", "completions", "c", ("read",)),
    ("Sessions", "/sessions", "sessions", "s", ("read",)),
    ("Feedback", "/feedback", "feedback", "f", ("read", "grade")),
    ("Judges", "/judges", "compare", "j", ("read",)),
    ("Evals", "/evals", "flag", "v", ("read",)),
    ("Prompts", "/prompts", "edit", "m", ("read",)),
    ("Drift", "/drift", "clock", "d", ("read",)),
    ("Playground", "/playground", "playground", "p", ("answer",)),
    ("Settings", "/settings", "settings", "e", ("read",)),
)


class Surroundings(NamedTuple):
    """The navigation and its foot, as one key sees them."""

    places: list[Place]
    state: State | None
    """None for a visitor, who is told nothing of the record."""


async def read_surroundings(request: Request) -> Surroundings:
    """What surrounds a page for the key of this session."""
    key, path, parts = request.state.key, request.url.path, find_parts(request)
    if key is None:
        return Surroundings([], None)
    counter: Counter = request.app.state.counter
    counts = Counts() if key.task_id is not None else await counter.read(key)
    try:
        organization = await parts.store.organizations.find(key.organization_id)
    except BriggsError:
        # The page that failed for the same reason says so.
        organization = None
    return Surroundings(
        _list_places(key, path=path, counts=counts),
        State(
            organization=organization.slug if organization else key.organization_id,
            failure=parts.store.failure,
            answers_unrecorded=parts.running.settings.file.on_store_failure == "answer",
            unrecorded=parts.gateway.record.unrecorded,
            calls=counts.calls,
        ),
    )


def find_first_place(key: Key) -> str:
    """Where a key begins: the first place that it may open."""
    places = _list_places(key, path="", counts=Counts())
    return places[0].path if places else "/"


def _list_places(key: Key, *, path: str, counts: Counts) -> list[Place]:
    """The places that a key may open. An invitation opens its own page only."""
    if key.task_id is not None:
        return []
    numbers = {"/completions": counts.calls, "/feedback": counts.waiting or None}
    return [
        Place(
            name=name,
            path=place,
            icon=icon,
            letter=letter,
            is_current=path == place or path.startswith(f"{place}/"),
            number=numbers.get(place),
            is_minor=place in _MINOR,
        )
        for name, place, icon, letter, scopes in _PLACES
        if any(scope in key.scopes for scope in scopes)
    ]
