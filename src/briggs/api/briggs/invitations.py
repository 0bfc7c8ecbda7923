"""Invitations to a task over HTTP: create a link, list the invitations, revoke one."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from briggs.accounts.invitations import create_invitation, revoke_invitation
from briggs.api.answers import Json, find_keys, read_body
from briggs.api.bodies import read_members
from briggs.api.briggs.feedback_tasks import find_task
from briggs.parts import find_address
from briggs.types.keys import Key
from briggs.types.times import iso


class InvitationPost(msgspec.Struct, kw_only=True):
    """Who is invited, and for how long."""

    name: str
    expires_in_s: float | None = None


async def create(request: Request) -> Json:
    """`POST /api/v1/feedback_task/{id}/invitations`: invite a reviewer. Only here is its link."""
    task = await find_task(request)
    post = read_members(await read_body(request), InvitationPost, nulls=False)
    key, path = await create_invitation(
        find_keys(request), task, name=post.name, expires_in_s=post.expires_in_s
    )
    return Json({**present(key), "path": path, "url": f"{find_address(request)}{path}"})


async def list_all(request: Request) -> Json:
    """`GET /api/v1/feedback_task/{id}/invitations`: the invitations, oldest first."""
    task = await find_task(request)
    found = await find_keys(request).list_invitations(task.id, organization_id=task.organization_id)
    return Json({"data": [present(key) for key in found]})


async def revoke(request: Request) -> Json:
    """`DELETE /api/v1/feedback_task/{id}/invitations/{invitation_id}`: close its link."""
    task = await find_task(request)
    id: str = request.path_params["invitation_id"]
    await revoke_invitation(find_keys(request), task, id, by=request.state.key)
    return Json({"id": id, "deleted": True})


def present(key: Key) -> dict[str, Any]:
    """An invitation without its link."""
    return {
        "id": key.id,
        "task_id": key.task_id,
        "name": key.name,
        "created_at": iso(key.created_at),
        "last_used_at": None if key.last_used_at is None else iso(key.last_used_at),
        "expires_at": None if key.expires_at is None else iso(key.expires_at),
    }
