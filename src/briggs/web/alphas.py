"""How far the reviewers of a task agree, as one number beside its name."""

from __future__ import annotations

from typing import NamedTuple

from briggs.feedback.feedback import list_feedback
from briggs.feedback.results import read_results
from briggs.storage import Store
from briggs.types.feedback import FeedbackTask
from briggs.types.fresh import Fresh

FRESH_S = 30.0
MEASURED_MAX = 2_000
"""How much feedback a task may have to be measured for a list. Its own page measures any."""


class Alpha(NamedTuple):
    """Krippendorff's alpha of the field on which reviewers agree least."""

    value: float | None = None
    verdict: str = ""
    models_agree: float | None = None
    """How often models say what people say of the first field that both answered, from 0 to 1."""


class Alphas:
    """The alphas of the tasks on the home page."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._alphas: Fresh[FeedbackTask, Alpha] = Fresh(
            self._measure, unknown=Alpha(), fresh_s=FRESH_S
        )

    async def read(self, task: FeedbackTask) -> Alpha:
        """The alpha of a task, as far as it is known by now."""
        return await self._alphas.read(f"{task.id} {task.version}", task)

    async def _measure(self, task: FeedbackTask) -> Alpha:
        _, total = await list_feedback(
            self._store, organization_id=task.organization_id, task_id=task.id, limit=1
        )
        return await measure_alpha(self._store, task, total=total)


async def measure_alpha(store: Store, task: FeedbackTask, *, total: int) -> Alpha:
    """The alpha of a task that has so much feedback, and its word."""
    if not 0 < total <= MEASURED_MAX:
        return Alpha()
    fields = (await read_results(store, task)).fields
    same = next((field.models.same for field in fields if field.models), None)
    found = [
        (field.people.krippendorffs_alpha, field.people.verdict)
        for field in fields
        if field.people.krippendorffs_alpha is not None
    ]
    value, verdict = min(found, default=(None, ""))
    return Alpha(value, verdict, same)
