"""The client's prompts: those found in traffic, and named ones with their versions."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from briggs.client.connection import ServerConnection, encode_query, omit_none
from briggs.client.eval_runs import Interval
from briggs.types.json import Object


class GradeMean(Object):
    """The mean of a field of a task. Yes counts as 1."""

    mean: float
    interval: Interval | None
    count: int


class Prompt(Object):
    """A prompt that was found in traffic, and the calls that use it."""

    id: str
    template: str
    """Its text, with {1}, {2} ... for what changes."""
    variables: int
    texts: int
    """How many different texts it stands for."""
    calls: int
    first_at: str
    """ISO 8601."""
    last_at: str
    models: dict[str, int] = msgspec.field(default_factory=dict)
    cost_usd: float | None = None
    """The mean of the calls with a known price."""
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    grades: dict[str, dict[str, GradeMean]] = msgspec.field(default_factory=dict)
    """By the name of a task and its field."""
    completion_ids: list[str] = msgspec.field(default_factory=list)
    """The newest calls."""


class PromptList(Object):
    """The prompts of some calls, those with the most calls first."""

    data: list[Prompt]
    looked_at: int
    without: int
    """Calls without a system message."""
    left_out: int
    """Calls of further prompts, beyond the most that are told apart."""


class PromptVersion(Object):
    """One wording of a named prompt."""

    version: int
    created_at: str
    """ISO 8601."""
    template: str
    decided_by: str
    """`person` or `distance`."""
    of_version: int | None = None
    """The nearest version when it was made by its distance."""
    distance: float | None = None
    """From that version, from 0 to 1."""
    calls: int = 0
    """At most 100,000 are counted."""


class NamedPrompt(Object):
    """A prompt with a name, and its versions."""

    id: str
    name: str
    created_at: str
    versions: list[PromptVersion] = msgspec.field(default_factory=list)


class PromptFigure(Object):
    """The mean of a figure of some calls."""

    mean: float
    interval: Interval | None
    count: int


class PromptVersionFigures(PromptVersion):
    """A version, and how its calls fare."""

    looked_at: int = 0
    """Of how many calls, the newest ones, the figures are."""
    first_at: str | None = None
    last_at: str | None = None
    models: dict[str, int] = msgspec.field(default_factory=dict)
    figures: dict[str, PromptFigure] = msgspec.field(default_factory=dict)
    """By name: `cost_usd`, `completion_tokens`, ..., and `TASK.FIELD` for grades."""


class FigureDifference(Object):
    """How a figure of a version differs from that of another one."""

    figure: str
    before: int
    """A version."""
    now: int
    difference: float
    interval: Interval | None
    is_clear: bool
    """Whether the interval is on one side of 0."""


class PromptComparison(Object):
    """Versions of a prompt beside each other."""

    prompt: NamedPrompt
    versions: list[PromptVersionFigures]
    differences: list[FigureDifference]
    """Of each version from the first one."""


class PromptDeleted(Object):
    """Confirms that a name was deleted."""

    id: str
    deleted: bool


class _NamedPrompts(Object):
    data: list[NamedPrompt]


_NAMED = "/api/v1/named_prompts"


class Prompts:
    """`client.prompts`."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def list(self, *, filter: str | None = None, limit: int | None = None) -> PromptList:
        """The prompts of the newest calls that a filter selects: 1,000, or `limit`, up to 5,000."""
        query = encode_query(filter=filter, limit=limit)
        return await self._connection.request("GET", "/api/v1/prompts", PromptList, query=query)

    async def name(
        self, name: str, *, template: str | None = None, completion_id: str | None = None
    ) -> NamedPrompt:
        """Name a prompt, or give a named one its next version: by its text, or that of a call.

        In a template, {1}, {2} and so on stand for what changes. Raises `Conflict` if a version
        has this text already.
        """
        body = omit_none(name=name, template=template, completion_id=completion_id)
        return await self._connection.request("POST", _NAMED, NamedPrompt, body=body)

    async def list_named(self) -> Sequence[NamedPrompt]:
        """The named prompts with their versions, by name."""
        return (await self._connection.request("GET", _NAMED, _NamedPrompts)).data

    async def retrieve(self, name: str) -> NamedPrompt:
        """A named prompt with its versions. Raises `NotFound`."""
        return await self._connection.request("GET", _path(name), NamedPrompt)

    async def compare(self, name: str, versions: Sequence[int] = ()) -> PromptComparison:
        """How the calls of some versions fare, by default of all. Raises `NotFound`."""
        query = encode_query(versions=",".join(map(str, versions)) or None)
        return await self._connection.request(
            "GET", f"{_path(name)}/comparison", PromptComparison, query=query
        )

    async def merge(self, name: str, version: int, *, into: int) -> NamedPrompt:
        """Make one version of two: what differs in their texts becomes a variable."""
        body = {"version": version, "into": into}
        return await self._connection.request(
            "POST", f"{_path(name)}/merge", NamedPrompt, body=body
        )

    async def delete(self, name: str) -> PromptDeleted:
        """Forget a name with its versions. The calls stay on record. Raises `NotFound`."""
        return await self._connection.request("DELETE", _path(name), PromptDeleted)


def _path(name: str) -> str:
    return f"{_NAMED}/{quote(name, safe='')}"
