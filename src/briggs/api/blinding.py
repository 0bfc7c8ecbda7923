"""Hides the model of a completion from keys of reviewers, if a task asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from briggs.api.answers import find_store
from briggs.feedback.hidden import show_to_reviewer
from briggs.types.completions import Completion
from briggs.types.keys import Key


def sees_models(request: Request) -> bool:
    """Whether the key may read the record. A key that can only grade may not."""
    key: Key = request.state.key
    return "read" in key.scopes or "admin" in key.scopes


async def show(request: Request, completion: Completion) -> Completion:
    """One completion as this key may see it: without its model if a task hides it."""
    [shown] = await show_all(request, [completion])
    return shown


async def show_all(request: Request, completions: Sequence[Completion]) -> Sequence[Completion]:
    """Several completions of one organization, as this key may see them."""
    if sees_models(request):
        return completions
    return await show_to_reviewer(find_store(request), completions)
