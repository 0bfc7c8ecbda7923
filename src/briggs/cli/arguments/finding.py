"""Finds a task or feedback by its id, the end of its id, or its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from briggs.client import AsyncClient, Feedback, FeedbackTask


class Identified(Protocol):
    """Anything with an id."""

    @property
    def id(self) -> str:
        """Our own id."""
        ...


Item = TypeVar("Item", bound=Identified)

LISTED = 1000
END_LENGTH_MIN = 4


async def find_task(client: AsyncClient, named: str) -> FeedbackTask:
    """The task with this id or name, or the one of the newest 1,000 whose id ends with it.

    Raises `NotFound`, and `click.ClickException` if several match.
    """
    from briggs.client import NotFound

    try:
        return await client.feedback_tasks.retrieve(named)
    except NotFound:
        listed = await client.feedback_tasks.list(limit=LISTED)
        called = [task for task in listed if task.name.lower() == named.lower()]
        if found := called or _list_ends(listed, named):
            return _pick_only(found, named)
        raise


async def find_feedback(client: AsyncClient, named: str) -> Feedback:
    """The feedback with this id, or the one of the newest 1,000 whose id ends with it.

    Raises `NotFound`, and `click.ClickException` if several match.
    """
    from briggs.client import NotFound, Refused

    try:
        return await client.feedback.retrieve(named)
    except NotFound:
        try:
            listed = (await client.feedback.list(limit=LISTED)).data
        except Refused as error:
            # A key that can only grade cannot list feedback, and has to name the whole id.
            if error.status != 403:
                raise
            raise click.ClickException(
                f"There is no feedback '{named}'. This key cannot list feedback: give the whole ID."
            ) from error
        if found := _list_ends(listed, named):
            return _pick_only(found, named)
        raise


def _list_ends(items: Sequence[Item], end: str) -> list[Item]:
    if len(end) < END_LENGTH_MIN:
        return []
    return [item for item in items if item.id.endswith(end.lower())]


def _pick_only(found: Sequence[Item], named: str) -> Item:
    if len(found) > 1:
        ids = ", ".join(item.id for item in found)
        raise click.ClickException(f"'{named}' matches {len(found)}: {ids}. Give more of the id.")
    return found[0]
