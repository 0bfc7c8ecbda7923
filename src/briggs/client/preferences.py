"""The client's preferences: which of several completions is best."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

from briggs.client.connection import ANSWER_BYTES_MAX, ServerConnection, omit_none
from briggs.client.feedback import Feedback
from briggs.types.feedback import ReviewerKind
from briggs.types.json import Object
from briggs.types.lines import LineReader

_PATH = "/api/v1/preferences"


class PreferencePair(Object):
    """A preferred answer and another one to the same messages, as TRL reads them."""

    prompt: list[Any]
    """The messages that both answer."""
    chosen: list[Any]
    """The message of the preferred answer."""
    rejected: list[Any]
    chosen_id: str
    rejected_id: str
    preference: Feedback


class Preferences:
    """`client.preferences`: feedback of the built-in task that asks which answer is best."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(
        self,
        completion_ids: Sequence[str],
        best: str | None,
        *,
        comment: str | None = None,
        reviewer: str | None = None,
        reviewer_kind: ReviewerKind | None = None,
    ) -> Feedback:
        """Say which of 2 to 4 completions is best; None if none is better.

        A reviewer's earlier preference about the same completions is changed.
        """
        body = omit_none(
            completion_ids=completion_ids,
            best=best,
            comment=comment,
            reviewer=reviewer,
            reviewer_kind=reviewer_kind,
        )
        return await self._connection.request("POST", _PATH, Feedback, body=body)

    async def export(self) -> AsyncIterator[PreferencePair]:
        """Pairs to train with, the oldest preference first."""
        async with self._connection.stream(
            "GET",
            f"{_PATH}/export",
            content_type="application/x-ndjson",
            # Only one line at a time is in memory, so the length does not matter.
            answer_bytes_max=math.inf,
        ) as reply:
            reader = LineReader(line_bytes_max=ANSWER_BYTES_MAX)
            async for piece in reply.body:
                for line in self._connection.split(reader, piece):
                    yield self._connection.read(line, PreferencePair)
