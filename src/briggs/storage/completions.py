"""Stores completions: writes, reads, lists, changes and deletes them."""

from __future__ import annotations

import contextlib
import json as stdlib_json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Literal, get_origin

import msgspec
from sqlalchemy import (
    Connection,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)

from briggs.storage import feedback_matches, rollups, signed_calls, sqlite
from briggs.storage.bodies import RAW, ZSTD, Bodies
from briggs.storage.owners import list_dead, name_owner
from briggs.storage.rows import decode as decode_row
from briggs.storage.search import contains
from briggs.storage.sqlite import original, storable
from briggs.storage.tables import (
    completion_metadata,
    completion_rules,
    completion_tags,
    completions,
    deleted_completions,
    sessions,
)
from briggs.types import json
from briggs.types.completions import ID_PREFIX, Completion, Status
from briggs.types.errors import InvalidRequest, NotFound

SCAN_ROWS = 100
IDS_MAX = 500
"""How many ids one statement may contain."""
FOUND_BY_QUERY_MAX = 50
"""How many tags, pairs of metadata and rules one query may name. Each becomes a join, and SQLite
joins at most 64 tables."""


class Query(msgspec.Struct, kw_only=True, frozen=True):
    """Selects the completions to list. Members that are None or empty do not filter."""

    organization_id: str
    model: str | None = None
    """The model that the caller named, or the one that the answer names."""
    provider: str | None = None
    status: Status | None = None
    session_id: str | None = None
    tags: list[str] = []
    """The completion must have all of these."""
    without_tags: list[str] = []
    """The completion must have none of these."""
    violates: list[str] = []
    """The ids of rules. The answer must break all of them."""
    caller_left: bool | None = None
    """Whether the caller left before the end of the answer."""
    metadata: dict[str, str] = {}
    """The completion must have all of these pairs."""
    created_from: int | None = None
    """Unix time in microseconds, inclusive."""
    created_to: int | None = None
    """Unix time in microseconds, exclusive."""
    source: Literal["gateway", "client"] | None = None
    user: str | None = None
    finish_reason: str | None = None
    """The finish reason of at least one choice."""
    failure_kind: str | None = None
    duration_ms_min: float | None = None
    duration_ms_max: float | None = None
    cost_usd_min: float | None = None
    cost_usd_max: float | None = None
    """Bounds are inclusive. A completion whose value is unknown never matches a bound."""
    text: str | None = None
    """A text that the request's or the response's messages contain, ignoring case."""
    after: str | None = None
    """The id of the completion that the page follows. It may have been deleted."""
    offset: int = 0
    """How many completions to skip first, for clients that do not use cursors."""
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"
    """By `created_at`, then by `id`."""
    payloads: bool = True
    """Whether to read the bodies. Otherwise `request` is empty and the others are None."""

    def __post_init__(self) -> None:
        if len(self.tags) + len(self.metadata) + len(self.violates) > FOUND_BY_QUERY_MAX:
            raise InvalidRequest(
                f"The query names more than {FOUND_BY_QUERY_MAX} tags, pairs of metadata and "
                "rules: name fewer."
            )


class Page(msgspec.Struct, kw_only=True, frozen=True):
    """A page of a list."""

    completions: list[Completion]
    has_more: bool


def encode(completion: Completion, *, started: bool, bodies: Bodies | None) -> list[Any]:
    """The row of a completion, for `INSERT_SQL`. Compresses its bodies if `bodies` is given.

    A `started` call that Briggs answers gets this process as its owner.
    """
    row: list[Any] = [*msgspec.structs.astuple(completion), RAW if bodies is None else ZSTD, None]
    if bodies is not None:
        for place in _BODY_PLACES:
            if row[place] is not None:
                row[place] = bodies.compress(row[place])
    if started:
        row[_STATUS] = "started"
    if row[_STATUS] == "started" and completion.source == "gateway":
        row[-1] = name_owner(os.getpid())
    for place in _JSON_PLACES:
        row[place] = _encode_json(row[place]) if row[place] else None
    return row


def insert(connection: Connection, rows: Sequence[list[Any]]) -> int:
    """Write rows. Returns how many were written, which excludes those settled before."""
    driver = sqlite.driver(connection)
    written = begin = 0
    for size, sql in _INSERT_SQL.items():
        while begin + size <= len(rows):
            values = chain.from_iterable(rows[begin : begin + size])
            written += driver.execute(sql, list(values)).rowcount
            begin += size
    return written


def forget_values(connection: Connection) -> None:
    """Free the rows that were written last. SQLite keeps a statement's values until it gets new
    ones, so this binds nulls. A row without an id is refused, so nothing is written.
    """
    driver = sqlite.driver(connection)
    for size, sql in _INSERT_SQL.items():
        with contextlib.suppress(sqlite3.IntegrityError):
            driver.execute(sql, [None] * (size * len(_COLUMNS)))


FOUND_BY_MAX = 1000
"""How many tags, and pairs of metadata, a completion is indexed by. It stores all of them."""


def create_tags_and_metadata(connection: Connection, *, of: Sequence[Completion]) -> None:
    """Create the index rows for tags, metadata and rules, the named sessions, and the places in
    the queues of tasks that select these completions.
    """
    tags = [
        (each.organization_id, tag, each.created_at, each.id)
        for each in of
        for tag in each.tags[:FOUND_BY_MAX]
    ]
    pairs = [
        (each.organization_id, key, value, each.created_at, each.id)
        for each in of
        for key, value in islice(each.metadata.items(), FOUND_BY_MAX)
    ]
    rules = [
        (each.organization_id, rule, each.created_at, each.id)
        for each in of
        for rule in each.violates
    ]
    named = [
        (each.organization_id, each.session_id, each.created_at)
        for each in of
        if each.session_id is not None
    ]
    for sql, rows in (
        (_INSERT_TAGS_SQL, tags),
        (_INSERT_METADATA_SQL, pairs),
        (_INSERT_RULES_SQL, rules),
        (_INSERT_SESSIONS_SQL, named),
    ):
        if rows:
            storables = [[storable(value) for value in row] for row in rows]
            sqlite.driver(connection).executemany(sql, storables)
    feedback_matches.enlist(connection, of=of)


def retrieve(
    connection: Connection, *, id: str, organization_id: str, bodies: Bodies
) -> Completion | None:
    """Find a completion by our id, or else the newest one with this upstream id."""
    row = _find_row(connection, _SELECT, id=id, organization_id=organization_id)
    return None if row is None else decode(row, bodies=bodies)


def retrieve_many(
    connection: Connection, *, ids: Sequence[str], organization_id: str, bodies: Bodies
) -> dict[str, Completion]:
    """Find completions by our ids. Returns the ones that exist, by id."""
    rows = _read_many(connection, _SELECT, ids=ids, organization_id=organization_id)
    return {each.id: each for each in (decode(row, bodies=bodies) for row in rows)}


def retrieve_labels(
    connection: Connection, *, ids: Sequence[str], organization_id: str
) -> dict[str, Completion]:
    """As `retrieve_many`, with times, models and tags only, which is several times as fast."""
    found = _read_many(connection, _SELECT_LABELS, ids=ids, organization_id=organization_id)
    return {each.id: each for each in (decode_row(row, Completion) for row in found)}


def list_page(connection: Connection, *, query: Query, bodies: Bodies) -> Page:
    """Read one page. With `text`, completions are read until the page is full."""
    after = _place(connection, query=query) if query.after else None
    if query.text:
        matching = search(connection, query=query, after=after, bodies=bodies)
        found = list(islice(matching, query.limit + 1))
    else:
        statement = select_page(query, after=after, limit=query.limit + 1).offset(query.offset)
        found = [decode(row, bodies=bodies) for row in connection.execute(statement)]
    return Page(completions=found[: query.limit], has_more=len(found) > query.limit)


def search(
    connection: Connection, *, query: Query, after: tuple[int, str] | None, bodies: Bodies
) -> Iterator[Completion]:
    """Find completions that contain the query's text, a few rows at a time to keep reads short."""
    while True:
        statement = select_page(query, after=after, limit=SCAN_ROWS)
        rows = connection.execute(statement).all()
        for row in rows:
            completion = decode(row, bodies=bodies)
            if contains(completion, query.text or ""):
                yield completion if query.payloads else _without_bodies(completion)
        if len(rows) < SCAN_ROWS:
            return
        after = (rows[-1].created_at, rows[-1].id)


def relabel(
    connection: Connection,
    *,
    id: str,
    organization_id: str,
    bodies: Bodies,
    tags: list[str] | None = None,
    metadata: dict[str, str] | None = None,
) -> bool:
    """Replace the tags, the metadata or both. Returns False if there is no such completion."""
    found = retrieve_many(connection, ids=[id], organization_id=organization_id, bodies=bodies).get(
        id
    )
    if found is None:
        return False
    _delete_tags_and_metadata(connection, completion=found)
    found.tags = found.tags if tags is None else tags
    found.metadata = found.metadata if metadata is None else metadata
    connection.execute(
        update(completions)
        .where(completions.c.id == storable(id))
        .values(tags=_encode_json(found.tags), metadata=_encode_json(found.metadata))
    )
    create_tags_and_metadata(connection, of=[found])
    return True


def record_violates(connection: Connection, *, found: Mapping[str, Sequence[str]]) -> None:
    """Store which rules each completion breaks, for those that still exist."""
    if not found:
        return
    columns = completions.c
    connection.execute(
        update(completions)
        .where(columns.id == bindparam("of"))
        .values(violates=bindparam("rules")),
        [{"of": id, "rules": _encode_json(rules)} for id, rules in found.items()],
    )
    rule = bindparam("rule", type_=Text)
    place = select(columns.organization_id, rule, columns.created_at, columns.id)
    connection.execute(
        completion_rules.insert().from_select(
            list(completion_rules.columns), place.where(columns.id == bindparam("of"))
        ),
        [{"of": id, "rule": rule} for id, rules in found.items() for rule in rules],
    )


def merge(
    connection: Connection,
    *,
    id: str,
    organization_id: str,
    change: Callable[[Completion | None], Completion],
    bodies: Bodies,
) -> Completion:
    """Replace a completion, or its absence, by what `change` returns, and return that.

    Raises `NotFound` if the id belongs to another organization.
    """
    row = connection.execute(_SELECT.where(completions.c.id == storable(id))).first()
    before = None if row is None else decode(row, bodies=bodies)
    # `change` may edit what it is given.
    removed = [] if before is None else [msgspec.structs.replace(before)]
    if before is not None:
        if before.organization_id != organization_id:
            raise NotFound(f"There is no completion '{id}'.", param="id")
        _delete_tags_and_metadata(connection, completion=before)
    after = change(before)
    if before is not None:
        connection.execute(completions.delete().where(completions.c.id == storable(id)))
    values = [storable(value) for value in encode(after, started=False, bodies=bodies)]
    insert(connection, [values])
    create_tags_and_metadata(connection, of=[after])
    rollups.record(connection, added=[after], removed=removed)
    return after


def list_tags(connection: Connection, *, organization_id: str, text: str, limit: int) -> list[str]:
    """The tags that contain a text, ignoring case. If a tag equals the text, only that tag.

    The index has a row per tag and completion, so the search jumps from tag to tag.
    """
    organization = storable(organization_id)
    exact = {"organization": organization, "tag": storable(text)}
    if connection.scalar(_THIS_TAG, exact) is not None:
        return [text]
    found: list[str] = []
    tag = connection.scalar(_FIRST_TAG, {"organization": organization})
    while tag is not None and len(found) < limit:
        name: str = original(tag, type=str)
        if text.lower() in name.lower():
            found.append(name)
        tag = connection.scalar(_NEXT_TAG, {"organization": organization, "tag": tag})
    return found


def delete(connection: Connection, *, id: str, organization_id: str) -> Completion | None:
    """Delete a completion, keeping only its place in the order. Returns it without its bodies."""
    found = _retrieve_head(connection, id=id, organization_id=organization_id)
    if found is None:
        return None
    _delete_tags_and_metadata(connection, completion=found)
    rollups.record(connection, removed=[found])
    signed_calls.delete(connection, completion_id=id)
    for table in (completions, deleted_completions):
        connection.execute(table.delete().where(table.c.id == storable(id)))
    connection.execute(
        deleted_completions.insert().values(
            id=storable(id),
            organization_id=storable(organization_id),
            created_at=found.created_at,
        )
    )
    return found


def fail_started(connection: Connection, *, ids: Iterable[str], kind: str, reason: str) -> int:
    """Mark these completions as failed, if they are `started`. Returns how many were."""
    return sum(
        _fail(connection, completions.c.id == storable(id), kind=kind, reason=reason) for id in ids
    )


def fail_left(connection: Connection, *, kind: str, reason: str) -> int:
    """Mark the completions as failed that dead processes left `started`. Returns how many."""
    owner = completions.c.owner
    owners = connection.scalars(select(owner).where(_STARTED, _ANSWERED_HERE).distinct()).all()
    with sqlite.transaction(connection):
        return sum(
            _fail(connection, owner.is_not_distinct_from(each), kind=kind, reason=reason)
            for each in list_dead(owners)
        )


def select_page(
    query: Query, *, after: tuple[int, str] | None, limit: int
) -> Select[tuple[Any, ...]]:
    """The statement for a page. It reads from the narrowest index that the query allows."""
    sources = [_find(completion_tags, query, tag=tag) for tag in query.tags]
    sources += [
        _find(completion_metadata, query, key=key, value=value)
        for key, value in query.metadata.items()
    ]
    sources += [_find(completion_rules, query, rule=rule) for rule in query.violates]
    lead = sources[0] if sources else None
    created_at = completions.c.created_at if lead is None else lead.c.created_at
    id = completions.c.id if lead is None else lead.c.completion_id

    statement = _SELECT if query.payloads or query.text else _SELECT_HEADS
    for source in sources:
        statement = statement.join(
            source,
            and_(
                source.c.completion_id == completions.c.id,
                source.c.created_at == completions.c.created_at,
            ),
        )
    statement = statement.where(
        completions.c.organization_id == storable(query.organization_id), *_conditions(query)
    )
    if query.created_from is not None:
        statement = statement.where(created_at >= query.created_from)
    if query.created_to is not None:
        statement = statement.where(created_at < query.created_to)
    if query.order == "asc":
        if after is not None:
            statement = statement.where(tuple_(created_at, id) > tuple_(*after))
        return statement.order_by(created_at, id).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(created_at, id) < tuple_(*after))
    return statement.order_by(created_at.desc(), id.desc()).limit(limit)


def decode(row: Any, *, bodies: Bodies) -> Completion:
    """The completion in a row, with its bodies if they were selected."""
    completion = _decode_head(row)
    if len(row) > len(_HEAD):
        expand = bodies.expand if row.encoding == ZSTD else bytes
        completion.request = expand(row.request)
        completion.response = None if row.response is None else expand(row.response)
        completion.received = None if row.received is None else expand(row.received)
    return completion


_BODIES = ("request", "response", "received")
_MEMBERS = Completion.__struct_fields__
_BODY_PLACES = [_MEMBERS.index(name) for name in _BODIES]
_STATUS = _MEMBERS.index("status")
_JSON = {
    field.name: field.type
    for field in msgspec.structs.fields(Completion)
    if get_origin(field.type) in (list, dict)
}
_BOOLEANS = ("stream", "start_reported")
_JSON_PLACES = [_MEMBERS.index(name) for name in _JSON]
_HEAD = [
    (column.name, column.type.python_type)
    for column in completions.columns
    if column.name in _MEMBERS and column.name not in _BODIES
]

# These members do not change while a call runs, and may have been updated in the meantime.
_KEPT = (
    *("id", "organization_id", "created_at", "kind", "source"),
    *("session_id", "tags", "metadata", "call_site", "start_reported"),
)
_COLUMNS = [*_MEMBERS, "encoding", "owner"]
# The driver releases the interpreter lock for every statement and then has to wait for it, so a
# batch uses few statements, each with at most this many rows.
_INSERT_SQL = {
    rows: sqlite.insert_sql(completions, columns=_COLUMNS, kept=_KEPT, rows=rows)
    for rows in (32, 16, 8, 4, 2, 1)
}
_INSERT_TAGS_SQL = sqlite.insert_missing_sql(completion_tags)
_INSERT_METADATA_SQL = sqlite.insert_missing_sql(completion_metadata)
_INSERT_RULES_SQL = sqlite.insert_missing_sql(completion_rules)
_INSERT_SESSIONS_SQL = sqlite.insert_missing_sql(sessions)

_FIRST_TAG = select(func.min(completion_tags.c.tag)).where(
    completion_tags.c.organization_id == bindparam("organization")
)
_THIS_TAG = _FIRST_TAG.where(completion_tags.c.tag == bindparam("tag"))
_NEXT_TAG = _FIRST_TAG.where(completion_tags.c.tag > bindparam("tag"))

_SELECT_HEADS = select(*(completions.c[name] for name, _ in _HEAD))
_SELECT = select(
    *(completions.c[name] for name, _ in _HEAD),
    completions.c.encoding,
    *(completions.c[name] for name in _BODIES),
)

_SELECT_PLACE = select(completions.c.created_at, completions.c.id)
_LABELS = ("id", "organization_id", "created_at", "model", "response_model", "tags")
_SELECT_LABELS = select(*(completions.c[name] for name in _LABELS))

# SQLite uses a partial index only if the condition has exactly the index's words.
_COMPRESSED_WITH_RESPONSE_ID = text("encoding = 1 AND response_id IS NOT NULL")
_UNCOMPRESSED = text("encoding = 0 AND status <> 'started'")
_STARTED = text("status = 'started'")
# Only its client knows whether a reported call still runs.
_ANSWERED_HERE = completions.c.source == "gateway"
_FAIL_STARTED = (
    update(completions).where(_STARTED, _ANSWERED_HERE).values(status="failed", owner=None)
)
_SELECT_STARTED = _SELECT_HEADS.where(_STARTED, _ANSWERED_HERE)


_EQUAL = ("provider", "session_id", "source", "user", "failure_kind")
_BOUNDED = ("duration_ms", "cost_usd")


def _conditions(query: Query) -> list[Any]:
    """The filters on columns of the completion's own row."""
    conditions: list[Any] = []
    if query.model is not None:
        model = storable(query.model)
        conditions.append(or_(completions.c.model == model, completions.c.response_model == model))
    if query.status == "started":
        conditions.append(_STARTED)
    elif query.status is not None:
        conditions.append(completions.c.status == query.status)
    conditions += [
        completions.c[name] == storable(wanted)
        for name in _EQUAL
        if (wanted := getattr(query, name)) is not None
    ]
    if query.without_tags:
        unwanted = completion_tags.alias()
        conditions.append(
            ~select(unwanted.c.tag)
            .where(
                unwanted.c.organization_id == storable(query.organization_id),
                unwanted.c.tag.in_([storable(tag) for tag in query.without_tags]),
                unwanted.c.created_at == completions.c.created_at,
                unwanted.c.completion_id == completions.c.id,
            )
            .exists()
        )
    if query.finish_reason is not None:
        reasons = func.json_each(completions.c.finish_reasons).table_valued("value")
        wanted = storable(query.finish_reason)
        conditions.append(select(reasons.c.value).where(reasons.c.value == wanted).exists())
    for name in _BOUNDED:
        if (least := getattr(query, f"{name}_min")) is not None:
            conditions.append(completions.c[name] >= least)
        if (most := getattr(query, f"{name}_max")) is not None:
            conditions.append(completions.c[name] <= most)
    if query.caller_left is not None:
        left = completions.c.caller_left_ms
        conditions.append(left.is_not(None) if query.caller_left else left.is_(None))
    return conditions


def _find(table: Table, query: Query, **values: str) -> Subquery:
    """The completions that an index table has under these values, in the query's organization."""
    wanted = {"organization_id": query.organization_id, **values}
    conditions = [table.c[name] == storable(value) for name, value in wanted.items()]
    return select(table).where(*conditions).subquery()


def _read_many(
    connection: Connection, statement: Select[Any], *, ids: Sequence[str], organization_id: str
) -> Iterator[Any]:
    statement = statement.where(completions.c.organization_id == storable(organization_id))
    for begin in range(0, len(ids), IDS_MAX):
        some = [storable(id) for id in ids[begin : begin + IDS_MAX]]
        yield from connection.execute(statement.where(completions.c.id.in_(some)))


def _place(connection: Connection, *, query: Query) -> tuple[int, str]:
    """The cursor's place in the order. Its completion may have been deleted."""
    assert query.after is not None, "only called with a cursor"
    row = _find_row(
        connection, _SELECT_PLACE, id=query.after, organization_id=query.organization_id
    )
    if row is None:
        deleted = deleted_completions.c
        row = connection.execute(
            select(deleted.created_at, deleted.id).where(
                deleted.id.in_(_list_own_ids(query.after)),
                deleted.organization_id == storable(query.organization_id),
            )
        ).first()
    if row is None:
        raise InvalidRequest(
            f"after: there was never a completion {query.after!r}. Send the id of a completion, "
            "or the id in its answer.",
            param="after",
        )
    return row.created_at, row.id


def _find_row(
    connection: Connection, statement: Select[Any], *, id: str, organization_id: str
) -> Any:
    """The row with our id, or else the newest with this upstream id; None if there is neither."""
    ours = statement.where(completions.c.organization_id == storable(organization_id))
    row = connection.execute(ours.where(completions.c.id.in_(_list_own_ids(id)))).first()
    if row is not None:
        return row
    theirs = ours.where(completions.c.response_id == storable(id))
    rows = [
        row
        for condition in (_COMPRESSED_WITH_RESPONSE_ID, _UNCOMPRESSED)
        for row in connection.execute(
            theirs.where(condition).order_by(completions.c.created_at.desc()).limit(1)
        )
    ]
    return max(rows, key=lambda row: (row.created_at, row.id), default=None)


def _list_own_ids(id: str) -> list[Any]:
    """The ids that may be meant: an answer without an id was given ours, with a prefix."""
    return [storable(id), storable(id.removeprefix(ID_PREFIX))]


def _fail(connection: Connection, condition: Any, *, kind: str, reason: str) -> int:
    failed = [_decode_head(row) for row in connection.execute(_SELECT_STARTED.where(condition))]
    if failed:
        statement = _FAIL_STARTED.values(failure_kind=kind, failure_reason=reason)
        connection.execute(statement.where(condition))
    for each in failed:
        each.status, each.failure_kind = "failed", kind
    rollups.record(connection, added=failed)
    return len(failed)


def _without_bodies(completion: Completion) -> Completion:
    completion.request, completion.response, completion.received = b"", None, None
    return completion


def _decode_head(row: Any) -> Completion:
    values = {
        name: original(value, type=type) for (name, type), value in zip(_HEAD, row, strict=False)
    }
    for name in _BOOLEANS:
        values[name] = bool(values[name])
    for name, type in _JSON.items():
        text = values.pop(name)
        if text is not None:
            values[name] = msgspec.convert(stdlib_json.loads(text), type)
    return Completion(**values)


def _retrieve_head(connection: Connection, *, id: str, organization_id: str) -> Completion | None:
    row = connection.execute(
        _SELECT_HEADS.where(
            completions.c.id == storable(id),
            completions.c.organization_id == storable(organization_id),
        )
    ).first()
    return None if row is None else _decode_head(row)


def _delete_tags_and_metadata(connection: Connection, *, completion: Completion) -> None:
    """Delete the index rows by their whole keys, so that no other index is needed."""
    feedback_matches.withdraw(connection, completion=completion)
    for tag in completion.tags:
        connection.execute(
            completion_tags.delete().where(
                *_placed(completion_tags, completion), completion_tags.c.tag == storable(tag)
            )
        )
    for rule in completion.violates:
        connection.execute(
            completion_rules.delete().where(
                *_placed(completion_rules, completion), completion_rules.c.rule == storable(rule)
            )
        )
    for key, value in completion.metadata.items():
        connection.execute(
            completion_metadata.delete().where(
                *_placed(completion_metadata, completion),
                completion_metadata.c.key == storable(key),
                completion_metadata.c.value == storable(value),
            )
        )


def _placed(table: Any, completion: Completion) -> tuple[Any, ...]:
    return (
        table.c.organization_id == storable(completion.organization_id),
        table.c.created_at == completion.created_at,
        table.c.completion_id == storable(completion.id),
    )


def _encode_json(value: Sequence[Any] | dict[str, str]) -> str | None:
    """Encode as JSON text; None for an empty value."""
    return json.encode_plain(value).decode() if value else None
