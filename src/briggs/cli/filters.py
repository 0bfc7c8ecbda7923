"""The filters of `briggs completions`: options in, the client's filters out."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

import click

from briggs.cli.options import Tags

if TYPE_CHECKING:
    from briggs.client import CompletionFilters

R = TypeVar("R")

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

Edge = Literal["from", "to"]


def filter_options(
    *, status: str, limit: int | None, order: str | None
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command the filters, with these defaults, and hand it `filters` and `limit`.

    Without an `order` there is no option for it.
    """
    options = _options(status=status, limit=limit) + ([_order_option(order)] if order else [])

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(command)
        def with_filters(*args: Any, **values: Any) -> R:
            given = {name: values.pop(name) for name in _NAMES if name in values}
            return command(*args, filters=read_filters(**given), **values)

        wrapped: Callable[..., R] = with_filters
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def read_filters(
    *,
    tags: tuple[str, ...],
    tag_list: list[str],
    model: str | None,
    status: Literal["finished", "failed", "started", "any"],
    provider: str | None,
    session_id: str | None,
    created_from: float | None,
    created_to: float | None,
    text: str | None,
    violates: tuple[str, ...],
    metadata: tuple[tuple[str, str], ...],
    order: Literal["asc", "desc"] = "desc",
) -> CompletionFilters:
    """The options as the client's filters; what was not given is absent."""
    filters: CompletionFilters = {"status": status, "order": order}
    if tags or tag_list:
        filters["tags"] = [*tags, *tag_list]
    if violates:
        filters["violates"] = violates
    if metadata:
        filters["metadata"] = dict(metadata)
    if model is not None:
        filters["model"] = model
    if provider is not None:
        filters["provider"] = provider
    if session_id is not None:
        filters["session_id"] = session_id
    if created_from is not None:
        filters["created_from"] = created_from
    if created_to is not None:
        filters["created_to"] = created_to
    if text is not None:
        filters["text"] = text
    return filters


def change(filters: CompletionFilters, **changes: Unpack[CompletionFilters]) -> CompletionFilters:
    """The same filters with some of them changed."""
    return {**filters, **changes}


def read_moment(value: str, *, edge: Edge, now: float) -> float:
    """A Unix time in seconds from `2h` (that long ago), a date, a date and time, or seconds.

    A date is the whole day: its first moment for `from`, its end for `to`. What names no
    time zone is local time. Raises `ValueError`.
    """
    value = value.strip()
    if span := _SPAN.fullmatch(value):
        return now - float(span[1]) * _SECONDS[span[2].lower()]
    if re.fullmatch(r"\d{9,}(\.\d+)?", value):
        return float(value)
    moment = datetime.fromisoformat(value)
    if _DATE.fullmatch(value) and edge == "to":
        moment += timedelta(days=1)
    return moment.timestamp()


class Moment(click.ParamType[float]):
    """A point in time as `read_moment` reads it."""

    name = "moment"

    def __init__(self, edge: Edge) -> None:
        self._edge: Edge = edge

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        try:
            return read_moment(str(value), edge=self._edge, now=time.time())
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 2h, 7d, 2026-11-23 or 2026-11-23T14:00",
                parameter,
                context,
            )


class Pair(click.ParamType[tuple[str, str]]):
    """`KEY=VALUE`."""

    name = "pair"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is no KEY=VALUE", parameter, context)
        return key, text


_NAMES = (
    "tags",
    "tag_list",
    "violates",
    "model",
    "status",
    "provider",
    "session_id",
    "created_from",
    "created_to",
    "text",
    "metadata",
    "order",
)


def _options(*, status: str, limit: int | None) -> list[Callable[..., Any]]:
    return [
        click.option(
            "--tag",
            "tags",
            multiple=True,
            metavar="TAG",
            help="Only with this tag; given twice, only with both.",
        ),
        click.option(
            "--tags",
            "tag_list",
            type=Tags(),
            default="",
            metavar="TAG,TAG",
            help="Only with all of these tags; --tag takes one that has a comma in it.",
        ),
        click.option(
            "--model", metavar="MODEL", help="Only for this model, as the caller named it."
        ),
        click.option(
            "--status",
            type=click.Choice(["finished", "failed", "started", "any"]),
            default=status,
            show_default=True,
            metavar="STATUS",
            help="Only these: finished, failed, started or any.",
        ),
        click.option("--provider", metavar="NAME", help="Only answered by this provider."),
        click.option(
            "--session", "session_id", metavar="ID", help="Only of this session (a conversation)."
        ),
        click.option(
            "--from",
            "created_from",
            type=Moment("from"),
            metavar="TIME",
            help="Only since then: 30m, 2h or 7d (ago), 2026-11-23, or 2026-11-23T14:00 in local "
            "time.",
        ),
        click.option(
            "--to",
            "created_to",
            type=Moment("to"),
            metavar="TIME",
            help="Only before then; a date includes its whole day.",
        ),
        click.option(
            "--text", metavar="TEXT", help="Only where the request or the answer holds this."
        ),
        click.option(
            "--metadata",
            type=Pair(),
            multiple=True,
            metavar="KEY=VALUE",
            help="Only with this metadata; given twice, only with both.",
        ),
        click.option(
            "--violates",
            multiple=True,
            metavar="RULE",
            help="Only where the answer breaks this rule, such as C3 (see briggs rules); given "
            "twice, only where it breaks both.",
        ),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            default=limit,
            show_default=limit is not None,
            metavar="COUNT",
            help="At most this many." if limit else "At most this many; all of them without it.",
        ),
    ]


def _order_option(order: str) -> Callable[..., Any]:
    return click.option(
        "--order",
        type=click.Choice(["asc", "desc"]),
        default=order,
        show_default=True,
        metavar="ORDER",
        help="asc is oldest first, desc newest first.",
    )
