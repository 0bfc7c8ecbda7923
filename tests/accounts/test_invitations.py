"""How a reviewer is invited to one task, and how the link is closed."""

from __future__ import annotations

import pytest

from briggs.accounts.invitations import PATH, create_invitation, revoke_invitation
from briggs.accounts.keys import Keys
from briggs.types.completions import current_time_us
from briggs.types.errors import AuthenticationFailed, InvalidRequest, NotFound
from briggs.types.feedback import FeedbackTask
from briggs.types.keys import Key
from briggs.types.organizations import DEFAULT

TASK = FeedbackTask(organization_id=DEFAULT, name="tone", json_schema={})
OTHER = FeedbackTask(organization_id=DEFAULT, name="other", json_schema={})


async def test_an_invitation_opens_its_task_only(keys: Keys, admin: Key) -> None:
    """Its secret opens the page of one task. It is no API key, and not among the keys."""
    key, path = await create_invitation(keys, TASK, name="qa-2")
    secret = path.removeprefix(f"{PATH}/")
    assert (key.task_id, key.name, key.scopes) == (TASK.id, "qa-2", ["grade"])
    assert await keys.open_invitation(secret) == key
    with pytest.raises(AuthenticationFailed, match="open its link"):
        await keys.authenticate(secret)
    assert await keys.list(organization_id=DEFAULT) == [admin]
    assert await keys.list_invitations(TASK.id, organization_id=DEFAULT) == [key]
    assert await keys.list_invitations(OTHER.id, organization_id=DEFAULT) == []
    assert await keys.list_invitations(TASK.id, organization_id="acme") == []


async def test_a_link_that_is_closed_or_old(keys: Keys, admin: Key) -> None:
    """A revoked link, an expired one, an API key and nonsense are all refused alike."""
    key, path = await create_invitation(keys, TASK, name="gone")
    await revoke_invitation(keys, TASK, key.id, by=admin)
    _, old = await create_invitation(keys, TASK, name="old", expires_in_s=1e-6)
    _, plain = await keys.create("plain", organization_id=DEFAULT)
    for secret in (path.removeprefix(f"{PATH}/"), old.removeprefix(f"{PATH}/"), plain, ""):
        with pytest.raises(AuthenticationFailed, match="ask for a new link"):
            await keys.open_invitation(secret)


async def test_a_link_is_closed_through_its_own_task(keys: Keys, admin: Key) -> None:
    """Through another task, or by the id of an API key, nothing is revoked."""
    key, path = await create_invitation(keys, TASK, name="qa-2")
    for task, id in ((OTHER, key.id), (TASK, admin.id), (TASK, "nothing")):
        with pytest.raises(NotFound, match="has no invitation"):
            await revoke_invitation(keys, task, id, by=admin)
    assert await keys.open_invitation(path.removeprefix(f"{PATH}/")) == key


async def test_a_link_ends(keys: Keys) -> None:
    """A link works for 30 days, unless another time was given. An archived task has none."""
    now = current_time_us()
    key, _ = await create_invitation(keys, TASK, name="qa-2")
    assert key.expires_at and abs(key.expires_at - now - 30 * 86_400_000_000) < 60_000_000
    with pytest.raises(InvalidRequest, match="expires_in_s"):
        await create_invitation(keys, TASK, name="qa-2", expires_in_s=-1)
    archived = FeedbackTask(organization_id=DEFAULT, name="t", json_schema={}, archived_at=now)
    with pytest.raises(InvalidRequest, match="archived"):
        await create_invitation(keys, archived, name="qa-2")
