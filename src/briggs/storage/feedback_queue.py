"""The queue of a task: which reviewer gets, holds or has skipped which completion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    union_all,
)

from briggs.storage import feedback_counts, feedback_fill, rows
from briggs.storage.access import Access
from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.feedback_ahead import look_ahead
from briggs.storage.feedback_fill import SIEVED
from briggs.storage.feedback_matches import COUNTS, PLACES, find_place
from briggs.storage.feedback_ungraded import list_ungraded
from briggs.storage.redactor import redact_value
from briggs.storage.tables import (
    IS_OPEN,
    completion_tags,
    feedback_completions,
    feedback_leases,
    feedback_queue,
    feedback_skips,
    feedback_tasks,
    judgements,
)
from briggs.storage.types import AnyText
from briggs.types.completions import OWN_TAGS, current_time_us
from briggs.types.errors import Conflict
from briggs.types.feedback import FeedbackTask, Lease, Order, Progress, Skip, Wish

CANDIDATES = 32
POSITIONS_MAX = 10_000
SIEVED_WITHIN_S = 0.2
"""How long the queue of a task whose tags have changed is searched for what it still selects."""


class FeedbackQueue:
    """`store.feedback_queue`. Leases are given out in the writer's thread."""

    def __init__(self, access: Access, *, bodies: Bodies) -> None:
        self._access = access
        self._bodies = bodies
        self._positions: dict[tuple[str, str, Wish], Any] = {}
        """Where in the order each reviewer's last completion was found."""

    async def find(self, task: FeedbackTask, *, reviewer: str, wish: Wish) -> Mapping[str, Any]:
        """A few completions that are free for a reviewer, in order, with their places in it.

        A reviewer continues from the place of the last completion, and gets those that were passed
        over at the end.
        """
        wish = settle(wish, task)
        position = self._positions.get((task.id, reviewer, wish))
        find = partial(_find, task=task, reviewer=reviewer, wish=wish, position=position)
        return await self._access.read(find)

    async def look_ahead(self, task: FeedbackTask, *, reviewer: str, wish: Wish) -> Sequence[str]:
        """While the queue is being filled: what the reviewer should get first, and is not in it.

        In no order. Empty once the queue is filled.
        """
        settled = settle(wish, task)
        return await self._access.read(
            lambda connection: look_ahead(connection, task=task, reviewer=reviewer, wish=settled)
        )

    async def put_ahead(self, task: FeedbackTask, ids: Sequence[str]) -> None:
        """Put completions into the queue before it is filled so far."""
        await self._access.act(
            lambda connection: feedback_fill.put(connection, task, ids, bodies=self._bodies)
        )

    async def claim(
        self,
        task: FeedbackTask,
        *,
        reviewer: str,
        wish: Wish,
        among: Mapping[str, Any],
        expires_at: int,
    ) -> Lease | None:
        """Lease the first of the found completions that is still free. None if none is.

        The writer's thread checks that, so no completion is leased to too many reviewers.
        """
        lease = Lease(completion_id="", reviewer=reviewer, expires_at=expires_at)
        wish = settle(wish, task)
        claim = partial(
            _claim, task=task, lease=lease, among=among, notes_chance=wish.order == "informative"
        )
        claimed = await self._access.act(claim)
        if claimed is not None:
            search = (task.id, reviewer, wish)
            self._positions.pop(search, None)
            self._positions[search] = among[claimed.completion_id]
            if len(self._positions) > POSITIONS_MAX:
                del self._positions[next(iter(self._positions))]
        return claimed

    async def renew(
        self, task: FeedbackTask, *, completion_id: str, reviewer: str, expires_at: int
    ) -> Lease | None:
        """Extend a lease. Returns None if the reviewer never had it.

        Raises `Conflict` if it expired and others took the completion.
        """
        lease = Lease(completion_id=completion_id, reviewer=reviewer, expires_at=expires_at)
        return await self._access.act(lambda connection: _renew(connection, task, lease))

    async def release(self, task: FeedbackTask, *, completion_id: str, reviewer: str) -> bool:
        """End a lease. Returns False if the reviewer did not have it."""
        return await self._access.act(
            lambda connection: drop_lease(
                connection, task=task, completion_id=completion_id, reviewer=reviewer
            )
        )

    async def skip(
        self, task: FeedbackTask, *, completion_id: str, reviewer: str, reason: str
    ) -> bool:
        """Never offer a completion to this reviewer again. False if it is not in the queue."""
        return await self._access.act(
            lambda connection: _skip(
                connection,
                task,
                completion_id=completion_id,
                reviewer=reviewer,
                reason=redact_value(self._access.redactor, reason),
            )
        )

    async def unskip(
        self, task: FeedbackTask, *, completion_id: str, reviewer: str, expires_at: int
    ) -> Lease | None:
        """Lease a skipped completion to its reviewer again. None if it was not skipped.

        Raises `Conflict` if others took it. It then stays skipped.
        """
        lease = Lease(completion_id=completion_id, reviewer=reviewer, expires_at=expires_at)
        return await self._access.act(lambda connection: _unskip(connection, task, lease))

    async def list_leases(self, task: FeedbackTask, *, reviewer: str) -> Sequence[Lease]:
        """What a reviewer took and did not finish, the one that ends last first.

        Leases that have ended are among them.
        """
        leases = feedback_leases.c
        statement = (
            select(leases.completion_id, leases.reviewer, leases.expires_at, leases.chance)
            .where(
                leases.organization_id == task.organization_id,
                leases.task_id == task.id,
                leases.reviewer == reviewer,
            )
            .order_by(leases.expires_at.desc())
        )
        return await self._access.read(
            lambda connection: [Lease(**row._mapping) for row in connection.execute(statement)]
        )

    async def list_skipped(
        self, task: FeedbackTask, *, reviewer: str, limit: int
    ) -> Sequence[Skip]:
        """What a reviewer has skipped, the latest first."""
        skips = feedback_skips.c
        statement = (
            select(skips.completion_id, skips.created_at, skips.reason)
            .where(
                skips.organization_id == task.organization_id,
                skips.task_id == task.id,
                skips.reviewer == reviewer,
            )
            .order_by(skips.created_at.desc())
            .limit(limit)
        )
        return await self._access.read(
            lambda connection: [Skip(**row._mapping) for row in connection.execute(statement)]
        )

    async def measure(self, task: FeedbackTask, *, reviewer: str | None = None) -> Progress:
        """The progress of a task. With a reviewer, also how much is left for that reviewer."""
        return await self._access.read(lambda connection: _measure(connection, task, reviewer))

    async def list_without_turn(
        self, task: FeedbackTask, *, judge_id: str, version: int, limit: int
    ) -> Sequence[str]:
        """The ids of what a version of a judge has judged, and that waits without a turn."""
        said = judgements.c
        statement = (
            select(_QUEUE.completion_id)
            .join_from(
                feedback_queue,
                judgements,
                and_(
                    said.organization_id == _QUEUE.organization_id,
                    said.completion_id == _QUEUE.completion_id,
                ),
            )
            .where(
                _QUEUE.organization_id == task.organization_id,
                _QUEUE.task_id == task.id,
                IS_OPEN,
                _QUEUE.turn.is_(None),
                said.judge_id == judge_id,
                said.version == version,
                said.status == "finished",
            )
            .limit(limit)
        )
        return await self._access.read(lambda connection: list(connection.scalars(statement)))

    async def set_turns(
        self, task: FeedbackTask, turns: Sequence[tuple[str, float, float]]
    ) -> None:
        """Give completions their chances and turns: `(id, chance, turn)` each."""
        rows = [
            {
                "organization": task.organization_id,
                "task": task.id,
                "completion": id,
                "new_chance": chance,
                "new_turn": turn,
            }
            for id, chance, turn in turns
        ]
        await self._access.act(lambda connection: connection.execute(_SET_TURN, rows))

    async def list_ungraded(
        self, *, organization_id: str, limit: int, offset: int
    ) -> Sequence[str]:
        """The ids of completions in any queue that have no feedback yet, newest first."""
        return await self._access.read(
            lambda connection: list_ungraded(
                connection, organization_id=organization_id, limit=limit, offset=offset
            )
        )


def settle(wish: Wish, task: FeedbackTask) -> Wish:
    """A wish with an order: that of the task, unless it names one."""
    return wish if wish.order is not None else replace(wish, order=task.order)


def find_chance(
    connection: Connection, *, task: FeedbackTask, completion_id: str, reviewer: str
) -> float | None:
    """The chance of what a reviewer has taken. None if it was not taken by its turn."""
    key = _lease_of(task, completion_id, reviewer)
    chance: float | None = connection.scalar(_SELECT_CHANCE, key)
    return chance


def drop_lease(
    connection: Connection, *, task: FeedbackTask, completion_id: str, reviewer: str
) -> bool:
    """End a lease. Returns False if the reviewer did not have it."""
    key = _lease_of(task, completion_id, reviewer)
    return bool(connection.execute(_DELETE_LEASE, key).rowcount)


def drop_skip(
    connection: Connection, *, task: FeedbackTask, completion_id: str, reviewer: str
) -> bool:
    """Take a skip back. Returns False if the reviewer did not skip the completion."""
    key = _lease_of(task, completion_id, reviewer)
    return bool(connection.execute(_DELETE_SKIP, key).rowcount)


def check_late(
    connection: Connection, *, task: FeedbackTask, completion_id: str, reviewer: str
) -> None:
    """Raises `Conflict` if a reviewer's lease expired and others took the completion.

    A reviewer who never took it from the queue is not late: only the queue limits reviewers.
    """
    now = current_time_us()
    parameters = {**_lease_of(task, completion_id, reviewer), "now": now}
    expires_at = connection.scalar(_SELECT_LEASE, parameters)
    if expires_at is None or expires_at > now:
        return
    taken = connection.execute(_SELECT_TAKEN, parameters).scalar()
    if taken is not None and taken >= task.reviewers_wanted:
        raise Conflict(
            f"The lease on completion '{completion_id}' has expired and others took it: "
            "take the next completion, and renew a lease before it expires.",
            param="completion_ids",
        )


def _find(
    connection: Connection, *, task: FeedbackTask, reviewer: str, wish: Wish, position: Any
) -> dict[str, Any]:
    """A few completions that are free for the reviewer, in order, with their places in it."""
    begin = find_place(wish.seed)
    end = begin + round(wish.sample * PLACES)
    parameters = {
        **_name(task, reviewer),
        "model": wish.model,
        "created_from": wish.created_from,
        "created_to": wish.created_to,
        "begin": begin,
        "end": end,
        "turned_end": end - PLACES,
        "position": begin if position is None and wish.order == "random" else position,
    }
    assert wish.order is not None, "a wish is settled first"
    asked = (
        wish.model is not None,
        wish.created_from is not None,
        wish.created_to is not None,
        wish.sample < 1,
    )
    statements = _select_in_order(wish.order, parameters["position"] is not None, *asked)
    if connection.scalar(_FILLED_TO, parameters) == SIEVED:
        return _find_selected(connection, task, statements, parameters)
    for statement in statements:
        rows = connection.execute(statement, parameters).all()
        if rows:
            return {row[0]: row[1] for row in rows}
    return {}


def _find_selected(
    connection: Connection,
    task: FeedbackTask,
    statements: Sequence[Select[Any]],
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """As `_find`, passing over what a changed task does not select any more, for a moment."""
    try:
        with database_of(connection).time_limit(connection, SIEVED_WITHIN_S):
            for statement in statements:
                rows = connection.execute(statement.where(*_is_selected(task)), parameters).all()
                if rows:
                    return {row[0]: row[1] for row in rows}
    except TimeoutError:
        pass
    return {}


def _is_selected(task: FeedbackTask) -> list[ColumnElement[bool]]:
    """Whether what is in the queue has the tags of the task."""

    def has(tag: str) -> ColumnElement[bool]:
        return exists().where(
            completion_tags.c.organization_id == task.organization_id,
            completion_tags.c.tag == tag,
            completion_tags.c.created_at == _QUEUE.created_at,
            completion_tags.c.completion_id == _QUEUE.completion_id,
        )

    tags = task.completion_tags_selector
    conditions = [has(tag) for tag in dict.fromkeys(tags)]
    return [*conditions, *(~has(tag) for tag in sorted(OWN_TAGS.difference(tags)))]


def _claim(
    connection: Connection,
    *,
    task: FeedbackTask,
    lease: Lease,
    among: Iterable[str],
    notes_chance: bool = False,
) -> Lease | None:
    """Lease the first completion that is still free."""
    parameters = _name(task, lease.reviewer)
    for id in among:
        free = connection.execute(_SELECT_FREE, {**parameters, "completion": id}).first()
        if free is not None:
            lease.completion_id = id
            lease.chance = free.chance if notes_chance else None
            _write_lease(connection, task, lease)
            return lease
    return None


def _renew(connection: Connection, task: FeedbackTask, lease: Lease) -> Lease | None:
    key = _lease_of(task, lease.completion_id, lease.reviewer)
    if connection.scalar(_SELECT_LEASE, key) is None:
        return None
    check_late(connection, task=task, completion_id=lease.completion_id, reviewer=lease.reviewer)
    _write_lease(connection, task, lease)
    return lease


def _write_lease(connection: Connection, task: FeedbackTask, lease: Lease) -> None:
    row = rows.encode(lease, table=feedback_leases)
    database_of(connection).upsert(
        connection, feedback_leases, {**_owner_of(task), **row}, replaced="expires_at"
    )


def _skip(
    connection: Connection, task: FeedbackTask, *, completion_id: str, reviewer: str, reason: str
) -> bool:
    queue = feedback_queue.c
    awaits = select(queue.task_id).where(
        queue.organization_id == task.organization_id,
        queue.task_id == task.id,
        queue.completion_id == completion_id,
    )
    if connection.execute(awaits).first() is None:
        return False
    row = {
        **_owner_of(task),
        "completion_id": completion_id,
        "reviewer": reviewer,
        "created_at": current_time_us(),
        "reason": reason,
    }
    database_of(connection).upsert(connection, feedback_skips, row, replaced="reason")
    drop_lease(connection, task=task, completion_id=completion_id, reviewer=reviewer)
    return True


def _unskip(connection: Connection, task: FeedbackTask, lease: Lease) -> Lease | None:
    id = lease.completion_id
    if not drop_skip(connection, task=task, completion_id=id, reviewer=lease.reviewer):
        return None
    if _claim(connection, task=task, lease=lease, among=[id]) is None:
        raise Conflict(
            "Others took this completion meanwhile, so it stays skipped: grade the next one.",
            param="completion_id",
        )
    return lease


def _measure(connection: Connection, task: FeedbackTask, reviewer: str | None) -> Progress:
    """The counts of a queue. An archived task has an empty one, also while it is being emptied."""
    if task.archived_at is not None:
        none = UNSET if reviewer is None else 0
        return Progress(
            matching=0, graded=0, left=0, in_progress=0, skipped=0, left_for_reviewer=none
        )
    matching, left = feedback_counts.read(
        connection, organization_id=task.organization_id, task_id=task.id
    )
    named = {**_name(task, reviewer or ""), "reviewer": reviewer}
    return Progress(
        matching=matching,
        graded=matching - left,
        left=left,
        in_progress=connection.scalar(_COUNT_LENT, named) or 0,
        skipped=connection.scalar(_COUNT_SKIPPED, named) or 0,
        left_for_reviewer=UNSET
        if reviewer is None
        else max(0, left - len(set(connection.scalars(_DONE_BY_REVIEWER, named)))),
        is_filled=connection.scalar(_FILLED_TO, named) is None,
    )


def _list_left(table: Table, *conditions: ColumnElement[bool]) -> Select[Any]:
    """The completions left in the queue that a table has rows about."""
    others = and_(
        table.c.organization_id == _QUEUE.organization_id,
        table.c.task_id == _QUEUE.task_id,
        table.c.completion_id == _QUEUE.completion_id,
    )
    return (
        select(_QUEUE.completion_id)
        .select_from(table.join(feedback_queue, others))
        .where(
            table.c.organization_id == bindparam("organization"),
            table.c.task_id == bindparam("task"),
            IS_OPEN,
            *conditions,
        )
    )


def _count_left(table: Table, *conditions: ColumnElement[bool]) -> Select[int]:
    return _list_left(table, *conditions).with_only_columns(
        func.count(_QUEUE.completion_id.distinct())
    )


def _name(task: FeedbackTask, reviewer: str) -> dict[str, Any]:
    """The parameters that `_IS_FREE` needs."""
    return {
        "organization": task.organization_id,
        "task": task.id,
        "wanted": task.reviewers_wanted,
        "reviewer": reviewer,
        "now": current_time_us(),
    }


def _is_of(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a table has a row about the completion in the queue."""
    return exists().where(
        table.c.organization_id == _QUEUE.organization_id,
        table.c.task_id == _QUEUE.task_id,
        table.c.completion_id == _QUEUE.completion_id,
        *conditions,
    )


_QUEUE = feedback_queue.c
_REVIEWER, _NOW = bindparam("reviewer", type_=AnyText), bindparam("now", type_=BigInteger)
_IN_HAND = (
    select(func.count())
    .select_from(feedback_leases)
    .where(
        feedback_leases.c.organization_id == _QUEUE.organization_id,
        feedback_leases.c.task_id == _QUEUE.task_id,
        feedback_leases.c.completion_id == _QUEUE.completion_id,
        feedback_leases.c.expires_at > _NOW,
    )
    .scalar_subquery()
)
_OF_TASK = (
    _QUEUE.organization_id == bindparam("organization"),
    _QUEUE.task_id == bindparam("task"),
)
# The conditions for giving a completion to a reviewer. They are built once, because building them
# takes ten times as long as executing them.
_IS_FREE = (
    *_OF_TASK,
    IS_OPEN,
    ~_is_of(feedback_completions, feedback_completions.c.reviewer == _REVIEWER, COUNTS),
    ~_is_of(feedback_skips, feedback_skips.c.reviewer == _REVIEWER),
    ~_is_of(
        feedback_leases,
        feedback_leases.c.reviewer == _REVIEWER,
        feedback_leases.c.expires_at > _NOW,
    ),
    _QUEUE.reviews + _IN_HAND < bindparam("wanted"),
)
_COUNT_LENT = _count_left(feedback_leases, feedback_leases.c.expires_at > _NOW)
_COUNT_SKIPPED = _count_left(feedback_skips)
_DONE_BY_REVIEWER = union_all(
    _list_left(feedback_completions, feedback_completions.c.reviewer == _REVIEWER, COUNTS),
    _list_left(feedback_skips, feedback_skips.c.reviewer == _REVIEWER),
)
_FILLED_TO = select(feedback_tasks.c.fill_created_at).where(
    feedback_tasks.c.organization_id == bindparam("organization"),
    feedback_tasks.c.id == bindparam("task"),
)
_SELECT_FREE = select(_QUEUE.completion_id, _QUEUE.chance).where(
    _QUEUE.completion_id == bindparam("completion"), *_IS_FREE
)
_SELECT_TAKEN = select(_QUEUE.reviews + _IN_HAND).where(
    *_OF_TASK, _QUEUE.completion_id == bindparam("completion")
)


@cache
def _select_in_order(
    order: Order,
    resumes: bool,
    of_model: bool,
    has_beginning: bool,
    has_end: bool,
    is_sample: bool,
) -> list[Select[Any]]:
    """The statements that read the queue in an order, to be tried one after another."""
    key = _KEYS[order]
    position: Any = bindparam("position")
    statement = select(_QUEUE.completion_id, key).where(*_IS_FREE).limit(CANDIDATES)
    if of_model:
        model: Any = bindparam("model")
        statement = statement.where(or_(_QUEUE.model == model, _QUEUE.response_model == model))
    if has_beginning:
        statement = statement.where(_QUEUE.created_at >= bindparam("created_from"))
    if has_end:
        statement = statement.where(_QUEUE.created_at < bindparam("created_to"))
    if is_sample:
        within = and_(_QUEUE.place >= bindparam("begin"), _QUEUE.place < bindparam("end"))
        statement = statement.where(or_(within, _QUEUE.place < bindparam("turned_end")))
    if order == "newest":
        statement = statement.order_by(key.desc(), _QUEUE.completion_id.desc())
        return [statement.where(key <= position), statement] if resumes else [statement]
    if order in ("low_logprob", "informative"):
        known = statement.where(key.is_not(None)).order_by(key, _QUEUE.completion_id)
        unknown = statement.where(key.is_(None)).order_by(_QUEUE.completion_id)
        return [*([known.where(key >= position)] if resumes else []), known, unknown]
    statement = statement.order_by(key, _QUEUE.completion_id)
    if order == "random":
        # Once around the circle.
        return [statement.where(key >= position), statement.where(key < position)]
    return [statement.where(key >= position), statement] if resumes else [statement]


_KEYS: Mapping[Order, ColumnElement[Any]] = {
    "oldest": _QUEUE.created_at,
    "newest": _QUEUE.created_at,
    "low_logprob": _QUEUE.mean_logprob,
    "random": _QUEUE.place,
    "informative": _QUEUE.turn,
}


def _owner_of(task: FeedbackTask) -> dict[str, str]:
    """The columns that say whose row it is."""
    return {"organization_id": task.organization_id, "task_id": task.id}


def _lease_of(task: FeedbackTask, completion_id: str, reviewer: str) -> dict[str, Any]:
    """The parameters that `_LEASE` needs."""
    return {
        "organization": task.organization_id,
        "task": task.id,
        "completion": completion_id,
        "reviewer": reviewer,
    }


_LEASE = (
    feedback_leases.c.organization_id == bindparam("organization"),
    feedback_leases.c.task_id == bindparam("task"),
    feedback_leases.c.completion_id == bindparam("completion"),
    feedback_leases.c.reviewer == bindparam("reviewer"),
)
_DELETE_SKIP = feedback_skips.delete().where(
    feedback_skips.c.organization_id == bindparam("organization"),
    feedback_skips.c.task_id == bindparam("task"),
    feedback_skips.c.completion_id == bindparam("completion"),
    feedback_skips.c.reviewer == bindparam("reviewer"),
)
_SELECT_CHANCE = select(feedback_leases.c.chance).where(*_LEASE)
_SET_TURN = (
    feedback_queue.update()
    .where(*_OF_TASK, _QUEUE.completion_id == bindparam("completion"))
    .values(chance=bindparam("new_chance"), turn=bindparam("new_turn"))
)
_SELECT_LEASE = select(feedback_leases.c.expires_at).where(*_LEASE)
_DELETE_LEASE = feedback_leases.delete().where(*_LEASE)
