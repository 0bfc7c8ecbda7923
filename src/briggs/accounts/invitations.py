"""Invitations: links that let one reviewer grade one task in a browser, and nothing else."""

from __future__ import annotations

from typing import Any

from briggs.accounts.keys import Keys, read_expiry, read_name
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.feedback import FeedbackTask
from briggs.types.keys import Key

PATH = "/invitations"
EXPIRES_IN_S = 30 * 86_400


async def create_invitation(
    keys: Keys, task: FeedbackTask, *, name: Any, expires_in_s: Any = None
) -> tuple[Key, str]:
    """Invite the reviewer `name` to a task. Returns the invitation, and the path of its link.

    The path holds a secret that is not stored. The link works for `expires_in_s`, or 30 days.
    Raises `InvalidRequest`.
    """
    if task.archived_at is not None:
        raise InvalidRequest(f"The task '{task.name}' is archived: nobody can be invited to it.")
    key, secret = await keys.create(
        read_name(name),
        organization_id=task.organization_id,
        scopes=["grade"],
        expires_at=read_expiry(EXPIRES_IN_S if expires_in_s is None else expires_in_s),
        task_id=task.id,
    )
    return key, f"{PATH}/{secret}"


async def revoke_invitation(keys: Keys, task: FeedbackTask, id: str, *, by: Key) -> None:
    """Close the link of an invitation. The reviewer's grades stay. Raises `NotFound`."""
    invitations = await keys.list_invitations(task.id, organization_id=task.organization_id)
    if id not in {each.id for each in invitations}:
        raise NotFound(f"The task '{task.name}' has no invitation '{id}'.", param="id")
    await keys.revoke(id, organization_id=task.organization_id, by=by)
