"""Filters: `tag = support and p_least < 0.2 and "refund"`, one grammar for every face.

    filter     = and { "or" and }
    and        = not { ["and"] not }
    not        = "not" not | "(" filter ")" | words | comparison
    words      = a text in single or double quotes: a search for it
    comparison = field ("<=" | ">=" | "<" | ">" | "=" | "!=") value
    value      = a word, a number, or a text in single or double quotes

"and" may be left out before and after words. A `Vocabulary` says which fields there are. Who
holds the data decides what they mean: the storage translates a filter to SQL, and feedback is
matched one by one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

import msgspec

from briggs.types.errors import InvalidFilter

DEPTH_MAX = 50
LENGTH_MAX = 10_000
"""Characters. Each field is compared with all names that there are, to find what was meant."""

Operator = Literal["<=", ">=", "<", ">", "=", "!="]
FilterKind = Literal["any", "text", "number", "duration", "time"]
"""What a field's values are. `any` is a value of a task's field, which may be anything."""


class FilterField(msgspec.Struct, frozen=True, kw_only=True):
    """A field that filters may name."""

    name: str
    kind: FilterKind = "any"
    choices: tuple[str, ...] = ()
    """The values that there are. Empty if there may be any."""
    aliases: tuple[str, ...] = ()
    has_none: bool = False
    """Whether the word `none` means that the value is missing."""
    about: str = ""
    """One line about it, for people."""


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that a filter may name."""

    fields: Sequence[FilterField] = ()
    families: Mapping[str, FilterField] = {}
    """Fields with a name of their own after a prefix, such as `metadata.`"""
    is_open: bool = False
    """Whether any other name is a field too."""
    conditions_max: int = LENGTH_MAX
    example: str = 'relevance <= 5 and model = "gpt-5"'

    @property
    def names(self) -> list[str]:
        """All names but the aliases."""
        return [each.name for each in self.fields]


class Value(msgspec.Struct, frozen=True):
    """A value to compare with, ready for a field of any type."""

    text: str
    number: float | None = None
    """None if it is not a number. Milliseconds of a duration."""
    span: tuple[int, int] | None = None
    """A time: from, and to before, in Unix microseconds. A date is its whole day in UTC."""
    is_none: bool = False
    """Whether it stands for a missing value."""


class Comparison(msgspec.Struct, frozen=True):
    """Compares a field with a value. A missing field satisfies `!=` and no other comparison."""

    field: str
    operator: Operator
    value: Value


class Words(msgspec.Struct, frozen=True):
    """Searches for a text, ignoring case."""

    text: str


class Not(msgspec.Struct, frozen=True):
    """The opposite."""

    inner: Filter


class AllOf(msgspec.Struct, frozen=True):
    """All of several conditions."""

    inner: list[Filter]


class AnyOf(msgspec.Struct, frozen=True):
    """At least one of several conditions."""

    inner: list[Filter]


Filter: TypeAlias = Comparison | Words | Not | AllOf | AnyOf


def parse_filter(text: str, *, of: Vocabulary) -> Filter:
    """Read a filter. Raises `InvalidFilter`, which says where the mistake is and what is meant."""
    if len(text) > LENGTH_MAX:
        raise InvalidFilter(
            f"filter: it has {len(text):,} characters, and the limit is {LENGTH_MAX:,}."
        )
    return _Parser(text, of).parse()


def list_conditions(filter: Filter) -> Iterator[Comparison | Words]:
    """The conditions in a filter, from left to right."""
    if isinstance(filter, Comparison | Words):
        yield filter
    elif isinstance(filter, Not):
        yield from list_conditions(filter.inner)
    else:
        for each in filter.inner:
            yield from list_conditions(each)


def list_words(filter: Filter) -> list[str]:
    """The texts that a filter searches for."""
    return [each.text for each in list_conditions(filter) if isinstance(each, Words)]


def compare_spans(operator: Operator, moment: int, span: tuple[int, int]) -> bool:
    """Compare a time in microseconds with a span. A date stands for its whole day."""
    begin, end = span
    return {
        "<": moment < begin,
        "<=": moment < end,
        ">": moment >= end,
        ">=": moment >= begin,
        "=": begin <= moment < end,
        "!=": not begin <= moment < end,
    }[operator]


def quote(text: str) -> str:
    """A text as a value in a filter, in quotes if it needs them."""
    is_plain = _PLAIN.fullmatch(text) and not _NUMBER.fullmatch(text)
    if is_plain and text.lower() not in ("and", "or", "not", "none"):
        return text
    return _enclose(text)


def _enclose(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_filter(filter: Filter, *, of: Vocabulary) -> str:
    """A filter as text, which reads as the same filter."""
    if isinstance(filter, Words):
        return _enclose(filter.text)
    if isinstance(filter, Comparison):
        value = filter.value
        named = [each for each in of.fields if each.name == filter.field]
        choices = [choice for each in named for choice in each.choices]
        is_word = value.is_none or value.number is not None or value.text in choices
        written = value.text if is_word else quote(value.text)
        return f"{quote(filter.field)} {filter.operator} {written}"
    if isinstance(filter, Not):
        return f"not {_write_part(filter.inner, of)}"
    join = " and " if isinstance(filter, AllOf) else " or "
    return join.join(_write_part(each, of) for each in filter.inner)


def _write_part(filter: Filter, of: Vocabulary) -> str:
    text = write_filter(filter, of=of)
    return f"({text})" if isinstance(filter, AllOf | AnyOf) else text


class FilterToken(msgspec.Struct, frozen=True):
    """A piece of a filter's text."""

    kind: Literal["operator", "bracket", "text", "word", "end"]
    text: str
    position: int
    """Counts from 1."""


def read_tokens(text: str, *, example: str = Vocabulary().example) -> Iterator[FilterToken]:
    """The pieces of a filter's text, and its end. Raises `InvalidFilter`."""
    position = 0
    end = len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            what = "the quotes to end" if text[start] in "\"'" else "a word"
            raise _refuse(FilterToken("word", text[start : start + 20], start + 1), what, example)
        kind = str(found.lastgroup)
        if kind in ("double", "single"):
            said = re.sub(r"\\(.)", r"\1", found[kind], flags=re.DOTALL)
            yield FilterToken("text", said, found.start(kind))
        else:
            yield FilterToken(kind, found[kind], found.start(kind) + 1)  # type: ignore[arg-type]
        position = found.end()
    yield FilterToken("end", "the end", len(text) + 1)


_TOKEN = re.compile(
    r"""\s*(?:(?P<operator><=|>=|!=|<|>|=)|(?P<bracket>[()])
    |"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'
    |(?P<word>[^\s()<>=!"']+))""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"""[^\s()<>=!"'\\]+""")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ms|s|min|m|h)", re.IGNORECASE)
_MILLISECONDS = {"ms": 1, "s": 1_000, "min": 60_000, "m": 60_000, "h": 3_600_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Parser:
    """Reads one filter from left to right."""

    def __init__(self, text: str, of: Vocabulary) -> None:
        self._of = of
        self._fields = {name: each for each in of.fields for name in (each.name, *each.aliases)}
        self._tokens = list(read_tokens(text, example=of.example))
        self._next = 0
        self._depth = 0
        self._conditions = 0

    def parse(self) -> Filter:
        found = self._parse_any()
        if self._peek().kind != "end":
            raise self._refuse(self._peek(), "'and' or 'or'")
        return found

    def _peek(self) -> FilterToken:
        return self._tokens[self._next]

    def _take(self) -> FilterToken:
        token = self._peek()
        self._next += 1
        return token

    def _is_word(self, word: str) -> bool:
        return self._peek().kind == "word" and self._peek().text.lower() == word

    def _is_bracket(self, bracket: str) -> bool:
        return self._peek().kind == "bracket" and self._peek().text == bracket

    def _parse_any(self) -> Filter:
        found = [self._parse_all()]
        while self._is_word("or"):
            self._take()
            found.append(self._parse_all())
        return found[0] if len(found) == 1 else AnyOf(found)

    def _parse_all(self) -> Filter:
        found = [self._parse_one()]
        while self._is_word("and") or self._joins_words(found[-1]):
            if self._is_word("and"):
                self._take()
            found.append(self._parse_one())
        return found[0] if len(found) == 1 else AllOf(found)

    def _joins_words(self, last: Filter) -> bool:
        """Whether "and" is left out here, before or after words."""
        token = self._peek()
        if token.kind == "text":
            return True
        begins = self._is_bracket("(") or (token.kind == "word" and not self._is_word("or"))
        return begins and isinstance(last, Words)

    def _parse_one(self) -> Filter:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._refuse(self._peek(), f"no more than {DEPTH_MAX} levels")
        try:
            if self._is_word("not"):
                self._take()
                return Not(self._parse_one())
            if self._is_bracket("("):
                self._take()
                found = self._parse_any()
                if not self._is_bracket(")"):
                    raise self._refuse(self._peek(), "')'")
                self._take()
                return found
            return self._parse_condition()
        finally:
            self._depth -= 1

    def _parse_condition(self) -> Filter:
        if self._peek().kind not in ("word", "text"):
            raise self._refuse(self._peek(), "a field")
        self._conditions += 1
        if self._conditions > self._of.conditions_max:
            raise self._refuse(self._peek(), f"no more than {self._of.conditions_max} conditions")
        name = self._take()
        if name.kind == "text" and self._peek().kind != "operator":
            return Words(name.text)
        known, field = self._find_field(name)
        if self._peek().kind != "operator":
            raise self._refuse(self._peek(), "one of <= >= < > = !=")
        operator = self._take()
        if self._peek().kind not in ("word", "text"):
            raise self._refuse(self._peek(), "a value")
        value = self._read_value(self._take(), field)
        if operator.text not in ("=", "!=") and (field.kind == "text" or value.is_none):
            raise self._refuse(operator, "= or !=")
        return Comparison(known, operator.text, value)  # type: ignore[arg-type]

    def _find_field(self, token: FilterToken) -> tuple[str, FilterField]:
        """The field of this name; upper and lower case do not matter if only one fits."""
        name = token.text
        if name in self._fields:
            return self._fields[name].name, self._fields[name]
        for prefix, field in self._of.families.items():
            if name.startswith(prefix) and len(name) > len(prefix):
                return name, field
        alike = [each for each in self._fields if each.lower() == name.lower()]
        if len(alike) == 1:
            return self._fields[alike[0]].name, self._fields[alike[0]]
        if self._of.is_open and name:
            return name, FilterField(name=name)
        known = [*self._of.names, *(f"{prefix}NAME" for prefix in self._of.families)]
        near = difflib.get_close_matches(name[:100], [*known, *self._fields], n=1)
        meant = f" Did you mean '{near[0]}'?" if near else ""
        if token.kind == "word" and self._peek().kind != "operator":
            meant += f' To search for this word, write "{name}".'
        raise InvalidFilter(
            f"filter: there is no field '{name}' (position {token.position}).{meant} "
            f"There are {', '.join(known)}.",
            word=name,
            position=token.position,
            meant=near[0] if near else None,
        )

    def _read_value(self, token: FilterToken, field: FilterField) -> Value:
        text, is_word = token.text, token.kind == "word"
        if is_word and field.has_none and text.lower() == "none":
            return Value(text, is_none=True)
        if field.choices and text not in field.choices:
            raise self._refuse_choice(token, field.choices)
        span = _read_span(text) if field.kind == "time" else None
        if field.kind == "duration":
            number = _read_duration(text)
        else:
            number = float(text) if is_word and _NUMBER.fullmatch(text) else None
        if field.kind in _WANTED and (number if span is None else span) is None:
            raise self._refuse(token, _WANTED[field.kind])
        return Value(text, number, span)

    def _refuse(self, token: FilterToken, wanted: str) -> InvalidFilter:
        return _refuse(token, wanted, self._of.example)

    def _refuse_choice(self, token: FilterToken, choices: Sequence[str]) -> InvalidFilter:
        near = difflib.get_close_matches(token.text[:100], choices, n=1)
        error = self._refuse(token, f"one of {', '.join(choices)}")
        error.meant = near[0] if near else None
        return error


_WANTED: Mapping[FilterKind, str] = {
    "number": "a number",
    "duration": "a time with its unit, such as 2s or 300ms,",
    "time": "a time such as 2026-11-23 or 2026-11-23T14:00",
}


def _read_span(text: str) -> tuple[int, int] | None:
    try:
        moment = datetime.fromisoformat(text)
        begin = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        first = (begin - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None
    return first, first + (86_400_000_000 if _DATE.fullmatch(text) else 1)


def _read_duration(text: str) -> float | None:
    found = _DURATION.fullmatch(text)
    return float(found[1]) * _MILLISECONDS[found[2].lower()] if found else None


def _refuse(token: FilterToken, wanted: str, example: str) -> InvalidFilter:
    return InvalidFilter(
        f"filter: {wanted} should be at position {token.position}, where '{token.text}' is. "
        f"A filter reads like: {example}.",
        word=token.text,
        position=token.position,
    )
