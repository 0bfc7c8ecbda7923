"""What the key of a reviewer may see: which model answered, and the answers of others."""

from __future__ import annotations

from collections.abc import Sequence

from briggs.feedback.hidden import hide_model
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.errors import Forbidden
from briggs.types.feedback import FeedbackTask, ReviewerKind
from briggs.types.keys import Key


def sees_models(key: Key) -> bool:
    """Whether the key may read the record. A key that can only grade may not."""
    return "read" in key.scopes or "admin" in key.scopes


def find_blinded(key: Key) -> str | None:
    """The reviewer who must not yet see the answers of others.

    In a blind task, graders see the other answers only after giving their own. Administrators
    and keys that only read see all answers.
    """
    return key.name if "grade" in key.scopes and "admin" not in key.scopes else None


def check_kind(kind: ReviewerKind | None, *, key: Key) -> None:
    """Raises `Forbidden` if this key may not give feedback of this kind."""
    if kind == "lead" and "admin" not in key.scopes:
        raise Forbidden(
            f"The key '{key.name}' may not decide for reviewers: 'lead' needs the scope 'admin'."
        )


async def show(store: Store, completion: Completion, *, key: Key) -> Completion:
    """One completion as this key may see it: without its model if a task hides it."""
    [shown] = await show_all(store, [completion], key=key)
    return shown


async def show_to_grade(
    store: Store, completion: Completion, *, task: FeedbackTask, key: Key
) -> Completion:
    """One completion as the reviewer of a task sees it, whatever the key may read elsewhere.

    A key that can only grade sees no model that another task hides.
    """
    if task.hide_model:
        return hide_model(completion, tags=task.completion_tags_selector)
    return await show(store, completion, key=key)


async def show_all(
    store: Store, completions: Sequence[Completion], *, key: Key
) -> Sequence[Completion]:
    """Several completions of one organization, as this key may see them."""
    if not completions or sees_models(key):
        return completions
    selectors = await store.feedback_tasks.list_hiding(
        [each.id for each in completions], organization_id=completions[0].organization_id
    )
    return [
        hide_model(each, tags=selectors[each.id]) if each.id in selectors else each
        for each in completions
    ]
