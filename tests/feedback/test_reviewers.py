"""What the key of a reviewer may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from briggs.feedback.hidden import HIDDEN
from briggs.feedback.reviewers import find_blinded, sees_models, show_all
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.feedback import FeedbackTask
from briggs.types.keys import Key, Scope
from briggs.types.organizations import DEFAULT


def create_key(*scopes: Scope) -> Key:
    return Key(
        id="key",
        organization_id=DEFAULT,
        name="ann",
        hash=b"",
        redacted_value="",
        created_at=1,
        scopes=list(scopes),
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data")
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("scopes", "models", "blinded"),
    [
        (["grade"], False, True),
        (["grade", "read"], True, True),
        (["read"], True, False),
        (["answer"], False, False),
        (["admin", "grade"], True, False),
    ],
)
def test_what_scopes_show(scopes: list[Scope], models: bool, blinded: bool) -> None:
    """Keys that read see models. Graders who do not administer wait for the others' answers."""
    key = create_key(*scopes)
    assert sees_models(key) is models
    assert find_blinded(key) == ("ann" if blinded else None)


async def test_a_task_that_hides_the_model(store: Store) -> None:
    """A key that only grades sees no model of the task's completions. A key that reads does."""
    listed = [
        Completion(organization_id=DEFAULT, status="finished", model="m", tags=[tag])
        for tag in ("hidden", "open")
    ]
    for completion in listed:
        await store.start(completion)
        await store.settle(completion)
    await store.feedback_tasks.create(
        FeedbackTask(
            organization_id=DEFAULT,
            name="t",
            json_schema={},
            completion_tags_selector=["hidden"],
            hide_model=True,
        )
    )
    await store.feedback_tasks.fill(organization_id=DEFAULT)
    shown = await show_all(store, listed, key=create_key("grade"))
    assert [each.model for each in shown] == [HIDDEN, "m"]
    assert await show_all(store, listed, key=create_key("read")) == listed
    assert await show_all(store, [], key=create_key("grade")) == []
