"""What `[retention]` says: the terms of the record, and what became of a completion's messages."""

from __future__ import annotations

from collections.abc import Iterator

from briggs.settings import RetentionRuleSettings, RetentionSettings
from briggs.types.completions import Completion
from briggs.types.errors import Gone
from briggs.types.retention import Kept, Term, name_age


def list_terms(settings: RetentionSettings) -> tuple[Term, ...]:
    """The terms of a file, those with the shortest spans first."""
    return tuple(sorted(_list_terms(settings), key=lambda term: term.span_us))


def explain_absence(completion: Completion) -> str | None:
    """Why a completion has no messages any more; None if they were not deleted."""
    if completion.bodies_deleted_at is None:
        return None
    age = name_age(completion.bodies_deleted_at - completion.created_at)
    return f"Its messages were deleted after {age}, as [retention] says."


def require_bodies(completion: Completion) -> None:
    """Raises `Gone` if the messages of a completion were deleted."""
    if (reason := explain_absence(completion)) is not None:
        raise Gone(f"The completion '{completion.id}' is there. {reason}", param="id")


def _list_terms(settings: RetentionSettings) -> Iterator[Term]:
    general = RetentionRuleSettings(bodies=settings.bodies, metadata=settings.metadata)
    for rule in [general, *settings.rules]:
        spans: dict[Kept, str | None] = {"bodies": rule.bodies, "metadata": rule.metadata}
        for what, span in spans.items():
            if span is not None:
                yield Term(what=what, span=span, organization=rule.organization, tag=rule.tag)
