"""The list of completions as its address asks for it, and its rows, facets and bars."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

import msgspec
from markupsafe import Markup

from briggs.storage import Bin, Query, Sort, Summary, Survey
from briggs.types import json
from briggs.types.completion_filters import VOCABULARY, list_required, parse_completion_filter
from briggs.types.completions import TEXTLESS, Completion, current_time_us
from briggs.types.errors import InvalidFilter, InvalidRequest
from briggs.types.filters import (
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    list_conditions,
    list_words,
    parse_filter,
    quote,
    write_filter,
)
from briggs.types.spreadsheet import write_row
from briggs.types.texts import content_text, printable
from briggs.types.tokens import read_answers
from briggs.web.ranges import DAY_US, PRESETS, read_range
from briggs.wires.recorded.preview import read_preview
from briggs.wires.recorded.request import list_messages

ROWS = 50
BINS = 96
ANY_TIME = "all"
LABELS = 6
"""How many parts the labels cut the bars into."""
SHOWN_CHARACTERS = 72
"""How many characters of a text are shown. One that is as wide as two counts as two."""
WRITTEN_SHARE = 1.1
"""How much longer than what is shown its HTML may be, because of what is escaped."""
MARKS_MAX = 12
"""How many searched words are marked in a text."""
NAMES_CHARACTERS = 36
"""How many characters of the names of a model and its provider a row has room for."""
TAGS_MAX = 3
TAG_CHARACTERS = 24
TAGS_WIDTH = 130
"""How wide the column of marks and tags is, in pixels."""
MARKED_BEFORE = 30
"""How much of a text is shown before a searched word that comes later."""

FACET_VALUES = 5
FACET_VALUES_MAX = 100

SORTS: Mapping[Sort, str] = {
    "time": "When",
    "duration": "Time",
    "cost": "Cost",
    "tokens": "Tokens",
    "p_mean": "Mean p",
    "p_least": "Least p",
}
COLUMNS: Mapping[str, str] = {
    "certainty": "Certainty",
    "duration": "Time",
    "tokens": "Tokens",
    "cost": "Cost",
    "tags": "Tags",
}
"""The columns that may be left out, by their names in the address."""
LEASTS = ("0.5", "0.2", "0.1", "0.01")


class Span(NamedTuple):
    """The time that a list is about."""

    name: str
    """A preset, `all`, or empty for a custom range."""
    begin: int | None
    end: int | None


SPAN_NAMES = {
    "1h": "in the last hour",
    "24h": "in 24 hours",
    "7d": "in 7 days",
    "30d": "in 30 days",
}


class Wish(NamedTuple):
    """What an address asks for."""

    text: str
    """The query as it was written."""
    filter: Filter | None
    mistake: InvalidFilter | None
    sort: Sort
    is_falling: bool
    columns: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        return [] if self.filter is None else list_words(self.filter)

    @property
    def names_time(self) -> bool:
        """Whether the query itself says when."""
        conditions = [] if self.filter is None else list_conditions(self.filter)
        return any(isinstance(each, Comparison) and each.field == "created" for each in conditions)


class Row(NamedTuple):
    """A completion in the list."""

    completion: Completion
    model: Markup
    provider: Markup
    asked: Markup
    answered: Markup
    is_call: bool
    levels: Sequence[int]
    certainty: str
    """Why there is no strip."""
    marks: Sequence[tuple[str, str]]
    """Short remarks with their kinds of pill."""
    tags: Sequence[Markup]
    """Those that fit beside the remarks."""


class Choice(NamedTuple):
    """A value of a facet."""

    name: str
    calls: int
    is_chosen: bool
    label: str
    """What the page calls it."""
    query: str
    """The query with it chosen, or no longer."""


class Facet(NamedTuple):
    """A field with the values that completions have in it."""

    title: str
    field: str
    choices: Sequence[Choice]


def read_wish(state: Mapping[str, str]) -> Wish:
    """Read an address. A query that cannot be read gives its mistake, and the one before it."""
    text = state.get("query", "").strip()
    mistake = None
    try:
        filter = parse_completion_filter(text)
    except InvalidFilter as error:
        mistake = error
        filter = _read_before(state.get("before", ""))
    sort = state.get("sort", "") or "-time"
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise InvalidRequest(f"sort: choose one of {', '.join(SORTS)}.", param="sort")
    columns = tuple(name for name in state.get("columns", "").split(",") if name in COLUMNS)
    return Wish(
        text,
        filter,
        mistake,
        name,  # type: ignore[arg-type]
        sort.startswith("-"),
        columns or tuple(COLUMNS),
    )


def read_span(state: Mapping[str, str], *, zone: tzinfo) -> Span:
    """The time that an address asks for. A query that says when has any, unless it asks."""
    wish = read_wish(state)
    is_custom = "from" in state or "to" in state
    name = state.get("range", ANY_TIME if wish.names_time and not is_custom else "")
    if name == ANY_TIME:
        return Span(ANY_TIME, None, None)
    now = current_time_us()
    given = {key: value for key, value in state.items() if key != "range" or name}
    range = read_range(given, now=now, zone=zone)
    if range.name:
        return Span(range.name, now - PRESETS[range.name], range.end)
    return Span("", range.begin, range.end)


def correct(wish: Wish) -> str | None:
    """The query with the wrong word replaced by what was probably meant."""
    mistake = wish.mistake
    if mistake is None or not mistake.meant or not mistake.word or mistake.position is None:
        return None
    begin = wish.text.find(mistake.word, max(0, mistake.position - 2))
    if begin < 0:
        return None
    return wish.text[:begin] + mistake.meant + wish.text[begin + len(mistake.word) :]


def describe(mistake: InvalidFilter) -> str:
    """What is wrong with a query, as a sentence."""
    text = mistake.message.removeprefix("filter: ")[:300]
    return text[:1].upper() + text[1:]


def _read_before(text: str) -> Filter | None:
    """The query that the list was filtered by before."""
    try:
        return parse_completion_filter(text)
    except InvalidFilter:
        return None


def create_query(
    wish: Wish,
    *,
    organization_id: str,
    begin: int | None,
    end: int | None,
    after: str | None = None,
    limit: int = ROWS,
) -> Query:
    """The query of a wish in a range of time."""
    return Query(
        organization_id=organization_id,
        filter=wish.filter,
        created_from=begin,
        created_to=end,
        sort=wish.sort,
        order="desc" if wish.is_falling else "asc",
        after=after,
        limit=limit,
    )


def list_rows(summaries: Iterable[Summary], *, words: Sequence[str]) -> list[Row]:
    """The rows of a page."""
    return [_view(each, words) for each in summaries]


def _view(summary: Summary, words: Sequence[str]) -> Row:
    completion, preview = summary.completion, summary.preview
    asked = answered = ""
    calls: Sequence[str] = ()
    levels: list[int] = []
    count = 0
    if preview is not None:
        asked, answered, calls = preview.asked, preview.answered, preview.calls
        levels, count = [int(level) for level in preview.levels], preview.calls_count
    if words and not _contains(words, _cut(asked), _cut(answered)):
        asked, answered = _find_said(completion, words, asked, answered)
    is_call = not answered and bool(calls)
    said = answered or " ".join(calls)
    if completion.status == "failed":
        said = " · ".join(filter(None, (completion.failure_kind, completion.failure_reason)))
    elif completion.status == "started":
        said = "…"
    elif completion.kind in TEXTLESS:
        said = f"[{completion.kind}]"
    model = _abridge(completion.response_model or completion.model, NAMES_CHARACTERS)
    provider = _abridge(completion.provider or "", NAMES_CHARACTERS - len(model))
    marks = _list_marks(completion, calls=count, tries=summary.tries)
    return Row(
        completion,
        _write(model),
        _write(provider),
        mark(asked, words),
        mark(said, words),
        is_call,
        levels,
        _explain(completion),
        marks,
        _list_tags(completion.tags, beside=[text for text, _ in marks]),
    )


def _explain(completion: Completion) -> str:
    if completion.status == "started":
        return "streams…" if completion.stream else "waits…"
    if completion.status == "failed":
        return "no answer"
    return "—" if completion.kind in TEXTLESS else "no logprobs"


def _list_marks(completion: Completion, *, calls: int, tries: int) -> list[tuple[str, str]]:
    marks = []
    if completion.bodies_deleted_at is not None:
        marks.append(("messages deleted", ""))
    if completion.redacted:
        marks.append((f"{sum(completion.redacted.values())} redacted", ""))
    if calls:
        marks.append((f"{calls} call{'s' if calls > 1 else ''}", ""))
    if tries > 1:
        kind = "bad" if completion.status == "failed" else "warn"
        marks.append((f"try {completion.retry_count + 1} of {tries}", kind))
    elif completion.retry_count:
        marks.append((f"retry {completion.retry_count}", "bad"))
    marks += [
        (reason, "warn")
        for reason in dict.fromkeys(completion.finish_reasons)
        if reason in ("length", "content_filter")
    ]
    mended = {fix.rule for fix in completion.fixes}
    marks += [(rule, "mended") for rule in sorted(mended)[:2]]
    marks += [(rule, "warn") for rule in completion.violates if rule not in mended][:2]
    if completion.caller_left_ms is not None:
        marks.append(("caller left", "warn"))
    return marks[:4]


def _list_tags(tags: Sequence[str], *, beside: Sequence[str]) -> list[Markup]:
    """The tags that can be seen: those that fit into one line if their letters are narrow."""
    shown: list[Markup] = []
    width = sum(map(_measure_pill, beside))
    for tag in tags[:TAGS_MAX]:
        width += _measure_pill(tag[:TAG_CHARACTERS])
        if width > TAGS_WIDTH and (beside or shown):
            break
        shown.append(_write(_cut(tag, TAG_CHARACTERS)))
    return shown


def _measure_pill(text: str) -> float:
    """How wide a pill is at least, in pixels, with the gap to the next."""
    return 15 + 2.4 * len(text)


def mark(text: str, words: Sequence[str]) -> Markup:
    """The beginning of a text, with what was searched for marked."""
    shown = _abridge(text, SHOWN_CHARACTERS)
    if not any(words):
        return _write(shown)
    pattern = "|".join(re.escape(printable(word)) for word in words if word)
    pieces = re.split(f"({pattern})", shown, maxsplit=MARKS_MAX, flags=re.IGNORECASE)
    return Markup("").join(
        Markup("<mark>{}</mark>").format(_write(piece)) if place % 2 else _write(piece)
        for place, piece in enumerate(pieces)
    )


def _abridge(text: str, room: int) -> str:
    """The beginning of a text, with an ellipsis if that is not all. Without room, nothing."""
    if room <= 0:
        return ""
    cut = _cut(text, room)
    return printable(cut) + ("…" if len(text) > len(cut) else "")


def _write(text: str) -> Markup:
    """A text as it stands between tags. There, only these two begin anything."""
    return Markup(text.replace("&", "&amp;").replace("<", "&lt;"))  # noqa: S704


_ESCAPED = {"&": len("&amp;"), "<": len("&lt;")}


def _cut(text: str, room: int = SHOWN_CHARACTERS) -> str:
    """The beginning of a text, as much of it as there is room for, as shown and as written."""
    text, left = text[:room], room * WRITTEN_SHARE
    if text.isascii() and not _ESCAPED.keys() & {*text}:
        return text
    for place, character in enumerate(text):
        room -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        left -= _ESCAPED.get(character, 1)
        if room < 0 or left < 0:
            return text[:place]
    return text


def _contains(words: Sequence[str], *texts: str) -> bool:
    whole = "\0".join(texts).casefold()
    return any(word.casefold() in whole for word in words)


def _find_said(
    completion: Completion, words: Sequence[str], asked: str, answered: str
) -> tuple[str, str]:
    """The two lines of a row, one of which begins shortly before a searched word."""
    answers = read_answers(completion.response) if completion.response else []
    for each in answers:
        if found := _cut_before(content_text(each.message.get("content")), words):
            return asked, found
    for message in _list_messages(completion.request):
        if found := _cut_before(content_text(message.get("content")), words):
            return found, answered
    return asked, answered


def _list_messages(request: bytes) -> list[dict[str, Any]]:
    try:
        messages = list_messages(msgspec.json.decode(request))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
    return [each for each in reversed(messages) if isinstance(each, dict)]


def _cut_before(text: str, words: Sequence[str]) -> str:
    folded = text.casefold()
    places = [place for word in words if (place := folded.find(word.casefold())) >= 0]
    if not places:
        return ""
    begin = max(0, min(places) - MARKED_BEFORE)
    cut = re.sub(r"\s+", " ", text[begin : begin + 2 * SHOWN_CHARACTERS])
    return f"…{cut}" if begin else cut


# ---- Facets: editors of the query.


def list_facets(wish: Wish, survey: Survey) -> list[Facet]:
    """The facets, with how many have each value."""
    titles = {
        "status": "Status",
        "model": "Model",
        "tag": "Tag",
        "rules": "Rules broken",
        "graded": "Feedback",
    }
    fixed = {
        "status": ("finished", "failed", "started"),
        "rules": ("none", "mended", "left"),
        "graded": ("none", "people", "model"),
    }
    return [
        Facet(title, field, _list_choices(wish, survey, field, fixed.get(field, ())))
        for field, title in titles.items()
    ]


_LABELS = {
    ("rules", "left"): "not mended",
    ("graded", "none"): "none yet",
    ("graded", "people"): "by people",
    ("graded", "model"): "by a model",
}


def _list_choices(wish: Wish, survey: Survey, field: str, fixed: Sequence[str]) -> list[Choice]:
    chosen = list_chosen(wish.filter, field)
    counts = survey.facets[field]
    names = list(fixed) or [name for name, _ in counts.most_common(FACET_VALUES_MAX)]
    names = [*names, *(name for name in chosen if name not in names)]
    return [
        Choice(
            name,
            counts[name],
            name in chosen,
            _LABELS.get((field, name), name),
            toggle(wish.filter, field, name),
        )
        for name in names
    ]


def list_chosen(filter: Filter | None, field: str) -> list[str]:
    """The values that a query requires of a field, one of which must be there."""
    for each in [] if filter is None else list_required(filter):
        if (values := _read_group(each, field)) is not None:
            return values
    return []


def toggle(filter: Filter | None, field: str, value: str) -> str:
    """The query with another value of a field, or without it if it was there."""
    values = list_chosen(filter, field)
    values = [each for each in values if each != value] if value in values else [*values, value]
    rest = [
        each
        for each in ([] if filter is None else list_required(filter))
        if _read_group(each, field) is None
    ]
    if values:
        text = " or ".join(f"{field} = {_write_value(field, each)}" for each in values)
        rest.append(parse_filter(text, of=VOCABULARY))
    return write_all(rest)


def replace_bound(filter: Filter | None, field: str, text: str) -> str:
    """The query with another condition on a field, or with none if the text is empty."""
    rest = [
        each
        for each in ([] if filter is None else list_required(filter))
        if not (isinstance(each, Comparison) and each.field == field)
    ]
    if text:
        rest.append(parse_filter(text, of=VOCABULARY))
    return write_all(rest)


def write_all(conditions: Sequence[Filter]) -> str:
    """The query that requires all of these."""
    if not conditions:
        return ""
    whole = conditions[0] if len(conditions) == 1 else AllOf(list(conditions))
    return write_filter(whole, of=VOCABULARY)


def _write_value(field: str, value: str) -> str:
    known = next(each for each in VOCABULARY.fields if each.name == field)
    return value if value in known.choices else quote(value)


def _read_group(filter: Filter, field: str) -> list[str] | None:
    """The values of `field = a`, or of `field = a or field = b`. None for another condition."""
    parts = filter.inner if isinstance(filter, AnyOf) else [filter]
    values = [
        each.value.text
        for each in parts
        if isinstance(each, Comparison) and (each.field, each.operator) == (field, "=")
    ]
    return values if len(values) == len(parts) else None


# ---- The histogram.


def list_labels(begin: int | None, end: int | None, *, zone: tzinfo) -> list[str]:
    """Times at equal distances, in the viewer's zone."""
    if begin is None or end is None:
        return []
    step = (end - begin) / LABELS
    moments = [
        datetime.fromtimestamp((begin + place * step) / 1e6, zone) for place in range(LABELS + 1)
    ]
    return [
        f"{each:%H:%M}" if end - begin <= 2 * DAY_US else f"{each.day} {each:%b}"
        for each in moments
    ]


def draw_bars(bins: Sequence[Bin], *, height: int = 30) -> Markup:
    """The calls of each part of the range, as one picture that is stretched to its width."""
    top = max((each.count for each in bins), default=0) or 1
    all_bars = failed_bars = ""
    for place, each in enumerate(bins):
        if each.count:
            size = max(1.0, each.count / top * height)
            all_bars += f"M{place + 0.08:.2f} {height}v-{size:.1f}h.84v{size:.1f}z"
        if each.failed:
            size = max(2.0, each.failed / top * height)
            failed_bars += f"M{place + 0.08:.2f} {height}v-{size:.1f}h.84v{size:.1f}z"
    calls = sum(each.count for each in bins)
    failed = sum(each.failed for each in bins)
    return Markup(
        '<svg class="bars" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        'aria-label="{calls:,} calls over this time, {failed:,} failed"><path class="all" '
        'd="{all}"/><path class="failed" d="{bad}"/></svg>'
    ).format(
        width=len(bins), height=height, calls=calls, failed=failed, all=all_bars, bad=failed_bars
    )


# ---- Exports.

_FIGURES = (
    *("id", "created_at", "status", "provider", "model", "response_model", "session_id", "user"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens", "cost_usd"),
    *("duration_ms", "first_token_ms", "p_mean", "p_least", "retry_count", "http_status"),
    *("failure_kind", "failure_reason"),
)
EXPORTED = (*_FIGURES, "tags", "finish_reasons", "violates", "metadata", "asked", "answered")
"""The columns of an exported table."""


def write_cells(completion: Completion) -> str:
    """A completion as a row of CSV. No cell is a formula to a spreadsheet."""
    preview = read_preview(completion.request, completion.response)
    values: list[Any] = [getattr(completion, name) for name in _FIGURES]
    values[1] = datetime.fromtimestamp(completion.created_at / 1e6, UTC).isoformat()
    values += [", ".join(completion.tags), ", ".join(completion.finish_reasons)]
    values += [", ".join(completion.violates)]
    values += [json.encode_plain(completion.metadata).decode() if completion.metadata else ""]
    values += [preview.asked, preview.answered or " ".join(preview.calls)]
    return write_row(values)
