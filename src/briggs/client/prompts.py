"""The client's prompts: what system messages have in common, and how they fare."""

from __future__ import annotations

import msgspec

from briggs.client.connection import ServerConnection, encode_query
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


class Prompts:
    """`client.prompts`."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def list(self, *, filter: str | None = None, limit: int | None = None) -> PromptList:
        """The prompts of the newest calls that a filter selects: 1,000, or `limit`, up to 5,000."""
        query = encode_query(filter=filter, limit=limit)
        return await self._connection.request("GET", "/api/v1/prompts", PromptList, query=query)
