"""Selects the completions that a query asks for, in its order, from the narrowest index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Subquery,
    Table,
    and_,
    bindparam,
    column,
    func,
    or_,
    select,
    tuple_,
)

from briggs.storage.filters import Translator, check_tasks, is_rare, list_prompt_conditions
from briggs.storage.functions import by_key, in_no_index, json_elements
from briggs.storage.records import SELECT, SELECT_HEADS
from briggs.storage.tables import (
    IS_STARTED,
    completion_metadata,
    completion_rules,
    completion_tags,
    completions,
    feedback_completions,
    is_of_session,
    prompt_completions,
)
from briggs.storage.types import AnyText
from briggs.types.completion_filters import is_comparison, list_required
from briggs.types.completions import Status
from briggs.types.errors import InvalidRequest
from briggs.types.filters import (
    AllOf,
    Comparison,
    Filter,
    Operator,
    Value,
    Words,
    list_conditions,
    list_words,
)

FOUND_BY_QUERY_MAX = 50
"""How many tags, pairs of metadata, rules and prompts one query may name. Each becomes a join, and
SQLite joins at most 64 tables."""


Sort = Literal["time", "duration", "cost", "tokens", "p_mean", "p_least"]


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
    prompts: list[str] = []
    """Named prompts, each as `NAME` or `NAME@VERSION`. The completion must have all of these."""
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
    filter: Filter | None = None
    """A further condition, in the grammar of `types/filters.py`."""
    after: str | None = None
    """The id of the completion that the page follows. It may have been deleted."""
    offset: int = 0
    """How many completions to skip first, for clients that do not use cursors."""
    limit: int = 20
    sort: Sort = "time"
    """`time` is `created_at`. Completions for which another value is unknown come last."""
    order: Literal["asc", "desc"] = "desc"
    """By the sorted value, then by `created_at`, then by `id`."""
    bytes_max: int | None = None
    """A page ends early, with `has_more`, when its bodies have this many bytes."""
    by_grades: bool = False
    """Whether so few completions are graded that those are looked at first."""
    payloads: bool = True
    """Whether to read the bodies. Otherwise `request` is empty and the others are None."""

    def __post_init__(self) -> None:
        named = len(self.tags) + len(self.metadata) + len(self.violates) + len(self.prompts)
        if named > FOUND_BY_QUERY_MAX:
            raise InvalidRequest(
                f"The query names more than {FOUND_BY_QUERY_MAX} tags, pairs of metadata, "
                "rules and prompts: name fewer."
            )

    @property
    def condition(self) -> Filter | None:
        """The filter and the text as one filter."""
        parts = [] if self.filter is None else [self.filter]
        if self.text:
            parts.append(Words(self.text))
        return AllOf(parts) if len(parts) > 1 else next(iter(parts), None)

    @property
    def asks_rules(self) -> bool:
        """Whether it depends on which rules were broken, which is found shortly after a call."""
        conditions = [] if self.filter is None else list_conditions(self.filter)
        return bool(self.violates) or any(
            isinstance(each, Comparison) and each.field in ("rule", "rules") for each in conditions
        )

    @property
    def has_words(self) -> bool:
        """Whether it searches the bodies, which SQL cannot."""
        return self.condition is not None and bool(list_words(self.condition))


def as_filter(query: Query) -> Filter | None:
    """What a query requires of the columns of a completion's own row, and its filter."""
    parts = [] if query.filter is None else [query.filter]
    texts = {field: getattr(query, name) for field, name in _TEXTS.items()}
    parts += [
        Comparison(field, "=", Value(text=text))
        for field, text in texts.items()
        if text is not None
    ]
    for field, name in (("duration", "duration_ms"), ("cost", "cost_usd")):
        for operator, end in _ENDS:
            if (number := getattr(query, f"{name}_{end}")) is not None:
                parts.append(Comparison(field, operator, Value(text="", number=number)))
    return AllOf(parts) if parts else None


class Place(NamedTuple):
    """A completion's place in the order of a query."""

    created_at: int
    id: Any
    """As it is stored."""
    value: Any = None
    """The sorted value, if it is not the time."""


def select_page(
    query: Query, *, after: Place | None, limit: int, is_led: bool = True
) -> Select[tuple[Any, ...]]:
    """The statement for a page. It reads from the narrowest index that the query allows. If it is
    not to be led by a tag and the like, it reads the index by time.

    If the query has words, these are all rows that may match.
    """
    query = narrow(query)
    sources = _list_sources(query)
    lead = sources[0] if sources and is_led else None
    created_at = completions.c.created_at if lead is None else lead.c.created_at
    id = completions.c.id if lead is None else lead.c.completion_id

    statement = SELECT if query.payloads or query.has_words else SELECT_HEADS
    if lead is not None:
        # Not by the time too: PostgreSQL would expect hardly any rows, and sort them all.
        same = lead.c.organization_id == completions.c.organization_id
        statement = statement.join(lead, and_(same, lead.c.completion_id == completions.c.id))
    for source in sources if lead is None else sources[1:]:
        found = select(source.c.completion_id).where(
            source.c.organization_id == completions.c.organization_id,
            source.c.completion_id == completions.c.id,
            source.c.created_at == completions.c.created_at,
        )
        # PostgreSQL would make it a join, for which it expects hardly any rows again.
        statement = statement.where(found.offset(0).exists())
    statement = statement.where(
        completions.c.organization_id == query.organization_id, *_conditions(query)
    )
    if query.created_from is not None:
        statement = statement.where(created_at >= query.created_from)
    if query.created_to is not None:
        statement = statement.where(created_at < query.created_to)
    if query.filter is not None:
        translator = Translator(organization_id=query.organization_id, by_grades=query.by_grades)
        statement = statement.where(translator.translate(query.filter))
    looks_at_grades = query.by_grades and lead is None
    place: ColumnElement[Any] = in_no_index(created_at) if looks_at_grades else created_at
    page = _order(statement, query, place, id, after=after).limit(limit)
    return by_key(page, completions) if looks_at_grades else page


def read_chosen(page: Select[tuple[Any, ...]], *, query: Query) -> Select[tuple[Any, ...]]:
    """The same page, whose rows are read once they are chosen. So an index is sorted, not rows."""
    ids = page.with_only_columns(completions.c.id).correlate(None)
    return read_ids(ids, query=query)


def count_led(query: Query, *, limit: int) -> Select[Any] | None:
    """Counts what a query has to read from the index of a tag, of metadata, a rule or a prompt,
    up to a limit. None if it reads the index by time.
    """
    return next(iter(count_sources(query, limit=limit)), None)


def count_sources(query: Query, *, limit: int) -> list[Select[Any]]:
    """Counts what has each of the tags, pairs of metadata, rules and prompts that a query requires,
    up to a limit. It is led by the first of them.
    """
    query = narrow(query)
    counts = []
    for source in _list_sources(query):
        led = select(source.c.completion_id)
        if query.created_from is not None:
            led = led.where(source.c.created_at >= query.created_from)
        if query.created_to is not None:
            led = led.where(source.c.created_at < query.created_to)
        counts.append(select(func.count()).select_from(led.limit(limit).subquery()))
    return counts


def names_few(query: Query) -> bool:
    """Whether a query is about what hardly any completion has, which has an index of its own."""
    required = [] if query.filter is None else list_required(query.filter)
    if query.session_id is not None or query.caller_left or query.by_grades:
        return True
    return any(
        is_comparison(each, "session", "=") or is_comparison(each, "id", "=") or is_rare(each)
        for each in required
    )


def asks_for_grades(query: Query) -> bool:
    """Whether it requires that a completion is graded in some way."""
    required = [] if query.filter is None else list_required(query.filter)
    return any(
        isinstance(each, Comparison)
        and not each.value.is_none
        and each.operator != "!="
        and (
            each.field.startswith("grade.")
            or (each.field == "graded" and each.value.text != "none")
        )
        for each in required
    )


COUNT_GRADED = select(func.count()).select_from(
    select(feedback_completions.c.completion_id)
    .where(feedback_completions.c.organization_id == bindparam("organization", type_=AnyText))
    .limit(bindparam("limit"))
    .subquery()
)
"""Counts what is graded, up to a limit."""


def _list_sources(query: Query) -> list[Subquery]:
    """The index tables that have what a query requires, the first of which leads."""
    sources = [_find(completion_tags, query, tag=tag) for tag in query.tags]
    sources += [
        _find(completion_metadata, query, key=key, value=value)
        for key, value in query.metadata.items()
    ]
    sources += [_find(completion_rules, query, rule=rule) for rule in query.violates]
    return sources + [_find_prompt(query, named) for named in query.prompts]


def read_ids(ids: Any, *, query: Query) -> Select[tuple[Any, ...]]:
    """The rows with these ids, or those that a statement selects, in the order of a query."""
    ours = completions.c.organization_id == query.organization_id
    rows = (SELECT if query.payloads else SELECT_HEADS).where(ours, completions.c.id.in_(ids))
    # SQLite would go through all in the order of time for three of them.
    return _order(
        by_key(rows, completions), query, completions.c.created_at, completions.c.id, after=None
    )


def check_query(connection: Connection, query: Query) -> None:
    """Raises `InvalidFilter` if its filter names what the organization does not have."""
    if query.filter is not None:
        check_tasks(connection, query.filter, organization_id=query.organization_id)


def find_place(row: Any, *, query: Query) -> Place:
    """The place of a row that has the columns of `SELECT_HEADS`, or those in `PLACE`."""
    column = SORTS.get(query.sort)
    return Place(row.created_at, row.id, None if column is None else row._mapping[column.name])


SORTS: Mapping[Sort, Column[Any]] = {
    "duration": completions.c.duration_ms,
    "cost": completions.c.cost_usd,
    "tokens": completions.c.total_tokens,
    "p_mean": completions.c.p_mean,
    "p_least": completions.c.p_least,
}
"""What may be sorted by, besides the time."""

PLACE = (completions.c.created_at, completions.c.id, *SORTS.values())


def _order(
    statement: Select[tuple[Any, ...]],
    query: Query,
    created_at: ColumnElement[Any],
    id: ColumnElement[Any],
    *,
    after: Place | None,
) -> Select[tuple[Any, ...]]:
    """Sort a statement, and begin after a place."""
    column = SORTS.get(query.sort)
    is_rising = query.order == "asc"
    if after is not None:
        place, last = tuple_(created_at, id), tuple_(after.created_at, after.id)
        later = place > last if is_rising else place < last
        if column is not None and after.value is None:
            later = and_(column.is_(None), later)
        elif column is not None:
            beyond = column > after.value if is_rising else column < after.value
            later = or_(beyond, and_(column == after.value, later), column.is_(None))
        statement = statement.where(later)
    keys = [created_at, id] if column is None else [column, created_at, id]
    in_order = keys if is_rising else [key.desc() for key in keys]
    return statement.order_by(*([] if column is None else [column.is_(None)]), *in_order)


def narrow(query: Query) -> Query:
    """Move what a filter requires of tags, metadata, rules, prompts and times to where indexes
    find it.
    """
    if query.filter is None:
        return query
    tags, metadata, rules = list(query.tags), dict(query.metadata), list(query.violates)
    prompts = list(query.prompts)
    begins, ends = [query.created_from], [query.created_to]
    rest: list[Filter] = []
    for each in list_required(query.filter):
        is_full = sum(map(len, (tags, metadata, rules, prompts))) >= FOUND_BY_QUERY_MAX
        if not isinstance(each, Comparison):
            rest.append(each)
        elif each.field == "created" and each.value.span is not None and each.operator != "!=":
            begin, end = each.value.span
            begins += {">": [end], ">=": [begin], "=": [begin]}.get(each.operator, [])
            ends += {"<": [begin], "<=": [end], "=": [end]}.get(each.operator, [])
        elif not is_full and is_comparison(each, "tag", "="):
            tags.append(each.value.text)
        elif not is_full and is_comparison(each, "rule", "="):
            rules.append(each.value.text)
        elif not is_full and is_comparison(each, "prompt", "="):
            prompts.append(each.value.text)
        elif not is_full and _is_pair(each) and each.field[len(_METADATA) :] not in metadata:
            metadata[each.field[len(_METADATA) :]] = each.value.text
        else:
            rest.append(each)
    return msgspec.structs.replace(
        query,
        tags=list(dict.fromkeys(tags)),
        metadata=metadata,
        violates=list(dict.fromkeys(rules)),
        prompts=list(dict.fromkeys(prompts)),
        created_from=max((each for each in begins if each is not None), default=None),
        created_to=min((each for each in ends if each is not None), default=None),
        filter=AllOf(rest) if rest else None,
    )


_TEXTS = {
    "model": "model",
    "provider": "provider",
    "status": "status",
    "source": "source",
    "user": "user",
    "finish_reason": "finish_reason",
    "error": "failure_kind",
}
_ENDS: Sequence[tuple[Operator, str]] = ((">=", "min"), ("<=", "max"))
_EQUAL = ("provider", "source", "user", "failure_kind")
_BOUNDED = ("duration_ms", "cost_usd")


def _conditions(query: Query) -> list[Any]:
    """The filters on columns of the completion's own row."""
    conditions: list[Any] = []
    if query.model is not None:
        columns = completions.c
        conditions.append(or_(columns.model == query.model, columns.response_model == query.model))
    if query.status == "started":
        conditions.append(IS_STARTED)
    elif query.status is not None:
        conditions.append(completions.c.status == query.status)
    conditions += [
        completions.c[name] == wanted
        for name in _EQUAL
        if (wanted := getattr(query, name)) is not None
    ]
    if query.session_id is not None:
        conditions += is_of_session(query.session_id)
    if query.without_tags:
        unwanted = completion_tags.alias()
        conditions.append(
            ~select(unwanted.c.tag)
            .where(
                unwanted.c.organization_id == query.organization_id,
                unwanted.c.tag.in_(query.without_tags),
                unwanted.c.created_at == completions.c.created_at,
                unwanted.c.completion_id == completions.c.id,
            )
            .exists()
        )
    if query.finish_reason is not None:
        reasons = json_elements(completions.c.finish_reasons).table_valued(column("value", AnyText))
        found = reasons.c.value == query.finish_reason
        conditions.append(select(reasons.c.value).where(found).exists())
    for name in _BOUNDED:
        if (least := getattr(query, f"{name}_min")) is not None:
            conditions.append(completions.c[name] >= least)
        if (most := getattr(query, f"{name}_max")) is not None:
            conditions.append(completions.c[name] <= most)
    if query.caller_left is not None:
        left = completions.c.caller_left_ms
        conditions.append(left.is_not(None) if query.caller_left else left.is_(None))
    return conditions


_METADATA = "metadata."


def _is_pair(condition: Comparison) -> bool:
    return condition.field.startswith(_METADATA) and is_comparison(condition, condition.field, "=")


def _find(table: Table, query: Query, **values: str) -> Subquery:
    """The completions that an index table has under these values, in the query's organization."""
    wanted = {"organization_id": query.organization_id, **values}
    conditions = [table.c[name] == value for name, value in wanted.items()]
    return select(table).where(*conditions).subquery()


def _find_prompt(query: Query, named: str) -> Subquery:
    """The completions that have a named prompt."""
    conditions = list_prompt_conditions(
        prompt_completions, named, organization_id=query.organization_id
    )
    return select(prompt_completions).where(*conditions).subquery()
