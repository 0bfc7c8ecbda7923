"""Keeps what reviewers of a task said together, in sums from which its results are made.

Each completion that has feedback has a row for each version of its task, with what it adds to the
sums. A transaction that changes its feedback, or its model or tags, reads all of its feedback, and
changes the row and the sums by the difference. So at any time, the sums are those of the feedback.

Feedback from before there were sums is counted in small steps. Until then there are no results
from sums. To count a completion again changes nothing.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
)

from briggs.storage import feedback_marks, rows
from briggs.storage.access import Access
from briggs.storage.batches import split
from briggs.storage.database import database_of
from briggs.storage.functions import by_key
from briggs.storage.tables import (
    IS_RUNNING,
    completions,
    feedback,
    feedback_completions,
    feedback_sums,
    feedback_task_versions,
    feedback_tasks,
    feedback_together,
)
from briggs.storage.tables import feedback_marks as marks
from briggs.storage.types import AnyText
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.fields import Field
from briggs.types.together import ReviewerAnswer, Together, count_together, list_compared

COUNTED_AT_ONCE = 100
"""How many completions are counted in one go. A call may have to wait for it."""

FORMS_MAX = 1_000
"""How many versions of tasks the writer remembers the fields of."""

EVERY_S = 1.0
"""How often a step is taken while there is no idle moment."""
RETRY_S = 60.0

_Place = tuple[str, int]
"""A completion, and a version of the task."""


class SummedFeedback(NamedTuple):
    """The sums of one version of a task."""

    counts: Mapping[str, int]
    """See `types/together.py`."""
    versions: Mapping[int, int]
    """How much feedback each version of the task has."""
    differing: Sequence[str]
    """The completions on which reviewers differ, those with the most differing fields first, then
    the newest."""


class FeedbackSums:
    """`store.feedback_sums`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def read(
        self, task_id: str, *, organization_id: str, version: int, limit: int, offset: int = 0
    ) -> SummedFeedback | None:
        """The sums of a version of a task, with a page of the completions on which reviewers
        differ. None if there is earlier feedback that is not counted yet.
        """
        this = {
            "organization": organization_id,
            "task": task_id,
            "of": version,
            "most": limit,
            "skipped": offset,
        }
        await self._count_ended(task_id, organization_id=organization_id)
        return await self._access.read(lambda connection: _read(connection, this))

    async def read_mark(self, task_id: str, *, organization_id: str) -> str:
        """A name for the feedback of a task as it is now. Another one if anything has changed."""
        await self._count_ended(task_id, organization_id=organization_id)
        return await self._access.read(
            lambda connection: feedback_marks.read(
                connection, task_id, organization_id=organization_id
            )
        )

    async def _count_ended(self, task_id: str, *, organization_id: str) -> None:
        """Count again what was graded while it ran: its end may have told which model answered."""
        this = {"organization": organization_id, "task": task_id}
        ended = await self._access.read(
            lambda connection: connection.scalars(_SELECT_ENDED, this).all()
        )
        if ended:
            await self._access.act(
                lambda connection: note(
                    connection, ended, organization_id=organization_id, task_id=task_id
                )
            )


class SumsFill:
    """Counts earlier feedback, a step of a task at a time. Belongs to the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._at = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is feedback to count."""
        remembered = database_of(self._connection).remembered
        if _ANY not in remembered:
            remembered[_ANY] = self._connection.execute(_SELECT_UNCOUNTED).first() is not None
        return bool(remembered[_ANY])

    def go_on(self, *, idle: bool) -> bool:
        """Take a step if it is time. Returns whether it was. An error is tried again later."""
        if not self.waits or time.monotonic() < self._at:
            return False
        self._at = time.monotonic() + RETRY_S
        with database_of(self._connection).transaction(self._connection):
            count_some(self._connection)
        self._at = 0.0 if idle else time.monotonic() + EVERY_S
        return True


def count_some(connection: Connection) -> bool:
    """Count the next few completions of a task. Returns whether there was one."""
    row = connection.execute(_SELECT_UNCOUNTED).first()
    if row is None:
        database_of(connection).remembered.pop(_ANY, None)
        return False
    owner, task_id, counted_to = row
    this = {"organization": owner, "task": task_id}
    ids, place = _list_next(connection, this, after=counted_to or "")
    recount(connection, ids, organization_id=owner, task_id=task_id)
    database_of(connection).upsert(
        connection,
        marks,
        {"organization_id": owner, "task_id": task_id, "mark": "", "counted_to": place},
        replaced="counted_to",
    )
    return True


def _list_next(
    connection: Connection, this: Mapping[str, Any], *, after: str
) -> tuple[Sequence[str], str | None]:
    """The next few completions that have feedback, and the place to go on from."""
    place = {**this, "after": after, "most": COUNTED_AT_ONCE}
    ids = connection.scalars(_SELECT_NEXT, place).all()
    return ids, ids[-1] if len(ids) == COUNTED_AT_ONCE else None


def note(
    connection: Connection, completion_ids: Collection[str], *, organization_id: str, task_id: str
) -> None:
    """Note that the feedback of a task about some completions changes, or has changed in this
    transaction.
    """
    feedback_marks.note(connection, [task_id], organization_id=organization_id)
    recount(connection, completion_ids, organization_id=organization_id, task_id=task_id)


def note_about(connection: Connection, ids: Sequence[str], *, organization_id: str) -> None:
    """Note that completions have changed, or have come, which feedback may be about."""
    if not ids:
        return
    found: defaultdict[str, list[str]] = defaultdict(list)
    these = {"organization": organization_id, "completions": ids}
    for task_id, id in connection.execute(_SELECT_TASKS, these).all():
        found[task_id].append(id)
    for task_id, some in found.items():
        note(connection, some, organization_id=organization_id, task_id=task_id)


def recount(
    connection: Connection, completion_ids: Collection[str], *, organization_id: str, task_id: str
) -> None:
    """Bring what is counted of some completions to what their feedback says."""
    for ids in split(sorted({*completion_ids}), COUNTED_AT_ONCE):
        this = {"organization": organization_id, "task": task_id, "completions": ids}
        forms = database_of(connection).remembered.setdefault(_FORMS, {})
        found = _count(connection, this, forms=forms)
        before = {
            (row.completion_id, row.version): row for row in connection.execute(_SELECT_ROWS, this)
        }
        changes: defaultdict[int, Counter[str]] = defaultdict(Counter)
        written = []
        for place in sorted({*found, *before}):
            new, old = found.get(place), before.get(place)
            if old is not None:
                changes[place[1]].subtract(_decode(old.counts))
            if new is not None:
                changes[place[1]].update(new.together.counts)
                is_running = new.status == "started"
                counts = _encode(new.together.counts)
                written.append(
                    (organization_id, task_id, *place, new.together.differing, is_running, counts)
                )
        if before:
            connection.execute(_DELETE_ROWS, this)
        if written:
            database_of(connection).insert_missing(connection, feedback_together, written)
        _add(connection, changes, organization_id=organization_id, task_id=task_id)


class _Counted(NamedTuple):
    together: Together
    status: str | None
    """That of the completion. None if it is not there."""


_Forms = dict[tuple[str, str, int], list[Field]]
"""The fields that are compared, by organization, task and version."""


def _count(
    connection: Connection, this: Mapping[str, Any], *, forms: _Forms
) -> dict[_Place, _Counted]:
    """What completions add to the sums, by what their feedback says now."""
    answers: defaultdict[_Place, dict[str, ReviewerAnswer]] = defaultdict(dict)
    decided: set[_Place] = set()
    # The oldest come first, so that the newest of each reviewer stays.
    for row in connection.execute(_SELECT_FEEDBACK, this):
        place = row.completion_id, row.task_version
        if row.reviewer_kind == "lead":
            decided.add(place)
        else:
            answers[place][row.reviewer] = ReviewerAnswer(row.reviewer_kind, row.json_values)
    if not answers:
        return {}
    about = {row.id: row for row in connection.execute(_SELECT_COMPLETIONS, this)}
    labels = {id: rows.decode(row, Completion) for id, row in about.items()}
    return {
        place: _Counted(
            count_together(
                _find_fields(connection, this, place[1], forms),
                by_reviewer,
                completion=labels.get(place[0]),
                is_decided=place in decided,
            ),
            about[place[0]].status if place[0] in about else None,
        )
        for place, by_reviewer in answers.items()
    }


def _find_fields(
    connection: Connection, this: Mapping[str, Any], version: int, forms: _Forms
) -> list[Field]:
    """The fields that a version of a task compares. A version never changes."""
    key = this["organization"], this["task"], version
    if key not in forms:
        schema = connection.scalar(_SELECT_SCHEMA, {**this, "of": version})
        if len(forms) >= FORMS_MAX:
            forms.clear()
        forms[key] = list_compared(schema or {})
    return forms[key]


def _add(
    connection: Connection,
    changes: Mapping[int, Counter[str]],
    *,
    organization_id: str,
    task_id: str,
) -> None:
    """Change the sums of the versions of a task."""
    changed = {
        (organization_id, task_id, version, _hash(name)): (name, count)
        for version, counts in changes.items()
        for name, count in counts.items()
        if count
    }
    if not changed:
        return
    # Always in the same order, so that two nodes do not wait for each other.
    keys = sorted(changed)
    database = database_of(connection)
    more = [(changed[key][1], *key) for key in keys]
    if database.add(connection, feedback_sums, more, column="total") < len(keys):
        # What is there has its sum already, and stays as it is.
        database.insert_missing(connection, feedback_sums, [(*key, *changed[key]) for key in keys])
    smaller = [
        {"organization": key[0], "task": key[1], "of": key[2], "named": key[3]}
        for key in keys
        if changed[key][1] < 0
    ]
    if smaller:
        connection.execute(_DELETE_ZERO, smaller)


def _read(connection: Connection, this: Mapping[str, Any]) -> SummedFeedback | None:
    with database_of(connection).snapshot(connection):
        if not is_counted(connection, this["task"], organization_id=this["organization"]):
            return None
        given = {row[0]: row[1] for row in connection.execute(_COUNT_VERSIONS, this)}
        return SummedFeedback(
            {row[0]: row[1] for row in connection.execute(_SELECT_SUMS, this)},
            {each: given.get(each, 0) for each in connection.scalars(_SELECT_VERSIONS, this)},
            connection.scalars(_SELECT_DIFFERING, this).all() if this["most"] else [],
        )


def is_counted(connection: Connection, task_id: str, *, organization_id: str) -> bool:
    """Whether the sums of a task have all of its feedback."""
    this = {"organization": organization_id, "task": task_id}
    row = connection.execute(_SELECT_COUNTED, this).first()
    return row is not None and row[0] is None


def find_wrong(connection: Connection, task_id: str, *, organization_id: str) -> Iterator[str]:
    """What of the sums of a task is not as its feedback says. All reads must see the same state."""
    this = {"organization": organization_id, "task": task_id}
    sums: defaultdict[int, Counter[str]] = defaultdict(Counter)
    forms: _Forms = {}
    places = 0
    after: str | None = ""
    while after is not None:
        ids, after = _list_next(connection, this, after=after)
        some = {**this, "completions": ids}
        rows = {
            (row.completion_id, row.version): row for row in connection.execute(_SELECT_ROWS, some)
        }
        for place, each in _count(connection, some, forms=forms).items():
            counts, row = each.together.counts, rows.get(place)
            known = None if row is None else _try_decode(row.counts)
            if row is None:
                yield f"what reviewers said of completion {place[0]} is not counted"
            elif known is None:
                yield f"what is counted of completion {place[0]} cannot be read"
            elif row.running or each.status is None:
                # It ended later, or is being forgotten. Then it is counted again.
                counts = known
            elif known != counts:
                yield f"what reviewers said of completion {place[0]} is counted wrongly"
            sums[place[1]].update(counts)
            places += 1
    count = connection.scalar(_COUNT_ROWS, this)
    if count != places:
        yield f"{count} rows are counted, but {places} have feedback"
    kept: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(_SELECT_ALL_SUMS, this):
        kept[row.version][row.name] = row.total
    for version in sorted({*sums, *kept}):
        if dict(sums[version]) != kept[version]:
            yield f"the sums of version {version} are not those of its feedback"


def forget(connection: Connection, task_id: str, *, organization_id: str) -> None:
    """Delete the sums of a task, and count all of its feedback again."""
    this = {"organization": organization_id, "task": task_id}
    for statement in _DELETE_ALL:
        connection.execute(statement, this)
    row = {"organization_id": organization_id, "task_id": task_id, "mark": "", "counted_to": ""}
    database_of(connection).upsert(connection, marks, row, replaced="counted_to")
    database_of(connection).remembered.pop(_ANY, None)


def _hash(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _encode(counts: Mapping[str, int]) -> bytes:
    return zlib.compress(json.encode_plain(counts))


def _decode(content: bytes) -> Counter[str]:
    return Counter(json.decode(zlib.decompress(content)))


def _try_decode(content: bytes) -> Counter[str] | None:
    """As `_decode`. None if it is damaged."""
    with suppress(zlib.error, msgspec.MsgspecError, TypeError):
        return _decode(content)
    return None


_ANY, _FORMS = "uncounted feedback", "fields of tasks"

_ORGANIZATION = bindparam("organization", type_=AnyText)
_TASK = bindparam("task", type_=AnyText)
_IDS: Any = bindparam("completions", expanding=True)
_VERSION: Any = bindparam("of")
_TOGETHER, _SUMS, _ABOUT = feedback_together.c, feedback_sums.c, feedback_completions.c


def _is_of_task(columns: Any) -> tuple[Any, ...]:
    return (columns.organization_id == _ORGANIZATION, columns.task_id == _TASK)


_OF_THESE = (*_is_of_task(_TOGETHER), _TOGETHER.completion_id.in_(_IDS))
_SELECT_FEEDBACK = (
    select(
        _ABOUT.completion_id,
        feedback.c.task_version,
        feedback.c.reviewer,
        feedback.c.reviewer_kind,
        feedback.c.json_values,
    )
    .join_from(
        feedback_completions,
        feedback,
        and_(
            feedback.c.organization_id == _ABOUT.organization_id,
            feedback.c.id == _ABOUT.feedback_id,
        ),
    )
    .where(*_is_of_task(_ABOUT), _ABOUT.completion_id.in_(_IDS))
    .order_by(feedback.c.created_at, feedback.c.id)
)
_LABELS = ("id", "organization_id", "created_at", "status", "model", "response_model", "tags")
_SELECT_COMPLETIONS = by_key(
    select(*(completions.c[name] for name in _LABELS)).where(
        completions.c.organization_id == _ORGANIZATION, completions.c.id.in_(_IDS)
    ),
    completions,
)
_SELECT_SCHEMA = select(feedback_task_versions.c.json_schema).where(
    *_is_of_task(feedback_task_versions.c), feedback_task_versions.c.version == _VERSION
)
_SELECT_ROWS = select(feedback_together).where(*_OF_THESE)
_COUNT_ROWS = select(func.count()).where(*_is_of_task(_TOGETHER))
_DELETE_ROWS = delete(feedback_together).where(*_OF_THESE)
_DELETE_ZERO = delete(feedback_sums).where(
    *_is_of_task(_SUMS),
    _SUMS.version == _VERSION,
    _SUMS.hash == bindparam("named"),
    _SUMS.total == 0,
)
_DELETE_ALL = [
    delete(table).where(*_is_of_task(table.c)) for table in (feedback_together, feedback_sums)
]
_SELECT_TASKS = (
    select(_ABOUT.task_id, _ABOUT.completion_id)
    .where(_ABOUT.organization_id == _ORGANIZATION, _ABOUT.completion_id.in_(_IDS))
    .distinct()
)
_SELECT_NEXT = (
    select(_ABOUT.completion_id)
    .where(*_is_of_task(_ABOUT), _ABOUT.completion_id > bindparam("after", type_=AnyText))
    .distinct()
    .order_by(_ABOUT.completion_id)
    .limit(bindparam("most"))
)
_SELECT_UNCOUNTED = (
    select(feedback_tasks.c.organization_id, feedback_tasks.c.id, marks.c.counted_to)
    .outerjoin_from(
        feedback_tasks,
        marks,
        and_(
            marks.c.organization_id == feedback_tasks.c.organization_id,
            marks.c.task_id == feedback_tasks.c.id,
        ),
    )
    .where(or_(marks.c.task_id.is_(None), marks.c.counted_to.is_not(None)))
    .limit(1)
)
_SELECT_COUNTED = select(marks.c.counted_to).where(*_is_of_task(marks.c))
_COUNT_VERSIONS = (
    select(feedback.c.task_version, func.count())
    .where(*_is_of_task(feedback.c))
    .group_by(feedback.c.task_version)
)
_SELECT_VERSIONS = select(feedback_task_versions.c.version).where(
    *_is_of_task(feedback_task_versions.c)
)
_SELECT_ALL_SUMS = select(_SUMS.version, _SUMS.name, _SUMS.total).where(*_is_of_task(_SUMS))
_SELECT_SUMS = select(_SUMS.name, _SUMS.total).where(*_is_of_task(_SUMS), _SUMS.version == _VERSION)
_SELECT_DIFFERING = (
    select(_TOGETHER.completion_id)
    .where(
        *_is_of_task(_TOGETHER),
        _TOGETHER.version == _VERSION,
        _TOGETHER.differing > literal_column("0"),
    )
    .order_by(_TOGETHER.differing.desc(), _TOGETHER.completion_id.desc())
    .limit(bindparam("most"))
    .offset(bindparam("skipped"))
)
_SELECT_ENDED = (
    select(_TOGETHER.completion_id)
    .join_from(
        feedback_together,
        completions,
        and_(
            completions.c.organization_id == _TOGETHER.organization_id,
            completions.c.id == _TOGETHER.completion_id,
        ),
    )
    .where(*_is_of_task(_TOGETHER), IS_RUNNING, completions.c.status != "started")
    .distinct()
    .limit(COUNTED_AT_ONCE)
)
