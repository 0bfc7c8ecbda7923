"""Finds what a person names: by id, by the end of an id, or by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from briggs.client import AsyncClient, Feedback, FeedbackTask


class Identified(Protocol):
    """What has an id."""

    @property
    def id(self) -> str:
        """Ours."""
        ...


Item = TypeVar("Item", bound=Identified)

LISTED = 1000
END_LENGTH_MIN = 4


async def find_task(client: AsyncClient, named: str) -> FeedbackTask:
    """The task of this id or name, or of the newest 1,000 the one whose id ends so.

    Raises `NotFound`, and `click.ClickException` where several are meant.
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
    """The feedback of this id, or of the newest 1,000 the one whose id ends so.

    Raises `NotFound`, and `click.ClickException` where several end so.
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
        raise click.ClickException(f"'{named}' may mean {len(found)}: {ids}")
    return found[0]
