"""What is asked of the lake, and what it is told to delete."""

from __future__ import annotations

import msgspec

from briggs.types.completions import Completion, Status, create_id, current_time_us


class LakeQuery(msgspec.Struct, kw_only=True, frozen=True):
    """Selects completions in the lake. Members that are None or empty do not filter."""

    organization_id: str
    ids: list[str] | None = None
    model: str | None = None
    """The model that the caller named, or the one that the answer names."""
    provider: str | None = None
    status: Status | None = None
    session_id: str | None = None
    user: str | None = None
    tags: list[str] = []
    """The completion must have all of these."""
    created_from: int | None = None
    """Unix time in microseconds, inclusive."""
    created_to: int | None = None
    """Unix time in microseconds, exclusive."""
    has_bodies: bool = False
    """Only completions whose messages were not deleted."""

    def selects(self, completion: Completion) -> bool:
        """Whether a completion of this organization is selected."""
        wanted = {
            name: getattr(self, name) for name in ("provider", "status", "session_id", "user")
        }
        return (
            (self.ids is None or completion.id in self.ids)
            and self.model in (None, completion.model, completion.response_model)
            and all(value in (None, getattr(completion, name)) for name, value in wanted.items())
            and set(self.tags) <= {*completion.tags}
            and (self.created_from is None or completion.created_at >= self.created_from)
            and (self.created_to is None or completion.created_at < self.created_to)
            and not (self.has_bodies and completion.bodies_deleted_at is not None)
        )


class LakeDeletion(msgspec.Struct, kw_only=True, frozen=True):
    """What the lake must delete. It is on record until that is done."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    demanded_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds. What is called later is not meant."""
    query: LakeQuery
