"""The filter options of `briggs completions` and `briggs stats`."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast

import click

from briggs.cli.arguments.options import TagList
from briggs.cli.terminal.text import shorten

if TYPE_CHECKING:
    from briggs.client import CompletionFilters

R = TypeVar("R")

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

Edge = Literal["from", "to"]


def filter_options(
    *, status: str, order: str | None = None, text: bool = True
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add the filter options to a command, and pass them to it as `filters`.

    `status` and `order` are defaults. If `order` is None, there is no `--order`; if `text` is
    false, there is no `--text`.
    """
    options = _options(status=status)
    options += [_TEXT_OPTION] if text else []
    options += [_SORT_OPTION, _order_option(order)] if order else []

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
    metadata: tuple[tuple[str, str], ...],
    **given: Any,
) -> CompletionFilters:
    """Turn options into the client's filters. Options that were not given are absent."""
    filters = {name: value for name, value in given.items() if value not in (None, ())}
    if tags or tag_list:
        filters["tags"] = [*tags, *tag_list]
    if metadata:
        filters["metadata"] = dict(metadata)
    for name in ("duration_ms", "cost_usd"):
        least, most = filters.get(f"{name}_min"), filters.get(f"{name}_max")
        if least is not None and most is not None and least > most:
            option = name.replace("_", "-")
            raise click.UsageError(
                f"--{option}-min is greater than --{option}-max, so nothing can match"
            )
    return cast("CompletionFilters", filters)


def change(filters: CompletionFilters, **changes: Unpack[CompletionFilters]) -> CompletionFilters:
    """A copy of the filters with some of them changed."""
    return {**filters, **changes}


def read_moment(value: str, *, edge: Edge, now: float) -> float:
    """Read a time as Unix time in seconds.

    `value` is `2h` (that long ago), a date, a date and time, or Unix seconds. A date means its
    start for `from`, and its end for `to`. Without a time zone, it is local time. Raises
    `ValueError`.
    """
    value = value.strip()
    if span := _SPAN.fullmatch(value):
        return max(now - float(span[1]) * _SECONDS[span[2].lower()], 0.0)
    if re.fullmatch(r"\d{9,10}(\.\d+)?", value):
        return float(value)
    moment = datetime.fromisoformat(value)
    if _DATE.fullmatch(value) and edge == "to":
        moment += timedelta(days=1)
    return moment.timestamp()


class Moment(click.ParamType[float]):
    """A point in time. See `read_moment`."""

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
                f"{shorten(str(value))} is not a time: write 2h, 7d, 2026-11-23 or "
                "2026-11-23T14:00",
                parameter,
                context,
            )


class Amount(click.ParamType[float]):
    """A number that is 0 or more."""

    name = "amount"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        try:
            amount = float(value)
        except ValueError:
            amount = -1.0
        if not 0 <= amount < 1e12:
            self.fail(f"{shorten(str(value))} is not a number of 0 or more", parameter, context)
        return amount


class KeyValue(click.ParamType[tuple[str, str]]):
    """`KEY=VALUE`."""

    name = "pair"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{shorten(str(value))} is not KEY=VALUE", parameter, context)
        return key, text


_NAMES = (
    *(
        "tags",
        "tag_list",
        "without_tags",
        "violates",
        "model",
        "status",
        "provider",
        "source",
        "session_id",
    ),
    *("caller_left", "user", "finish_reason", "failure_kind"),
    *("duration_ms_min", "duration_ms_max"),
    *("cost_usd_min", "cost_usd_max", "created_from", "created_to", "text", "metadata", "filter"),
    *("sort", "order"),
)


def _options(*, status: str) -> list[Callable[..., Any]]:
    return [
        click.option(
            "--filter",
            metavar="FILTER",
            help="Only where this is true, such as 'tag = support and p_least < 0.2 and "
            '"refund"\'. docs/completions.md lists the fields.',
        ),
        click.option(
            "--tag",
            "tags",
            multiple=True,
            metavar="TAG",
            help="Only with this tag. Repeat it to require several.",
        ),
        click.option(
            "--tags",
            "tag_list",
            type=TagList(),
            default="",
            metavar="TAG,TAG",
            help="Only with all of these tags. For a tag with a comma in it, use --tag.",
        ),
        click.option(
            "--without-tag",
            "without_tags",
            multiple=True,
            metavar="TAG",
            help="Only without this tag. Repeat it to exclude several.",
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
            help="Only with this status: finished, failed, started or any.",
        ),
        click.option("--provider", metavar="NAME", help="Only answered by this provider."),
        click.option(
            "--session", "session_id", metavar="ID", help="Only in this session (a conversation)."
        ),
        click.option(
            "--source",
            type=click.Choice(["gateway", "client"]),
            metavar="SOURCE",
            help="Only answered by Briggs (gateway), or only logged by a program (client).",
        ),
        click.option(
            "--caller-left/--caller-stayed",
            default=None,
            help="Only if the caller left before the end of the answer, or stayed.",
        ),
        click.option("--user", metavar="USER", help="Only for this end user."),
        click.option(
            "--finish-reason", metavar="REASON", help="Only with this finish reason: length, ..."
        ),
        click.option(
            "--failure-kind",
            metavar="KIND",
            help="Only with this kind of failure: timeout, hang_up, ...",
        ),
        _amount_option("--duration-ms-min", "MS", "Only if it took at least this long."),
        _amount_option("--duration-ms-max", "MS", "Only if it took at most this long."),
        _amount_option("--cost-usd-min", "USD", "Only if it cost at least this much."),
        _amount_option("--cost-usd-max", "USD", "Only if it cost at most this much."),
        click.option(
            "--from",
            "--since",
            "created_from",
            type=Moment("from"),
            metavar="TIME",
            help="Only from this time on: 30m, 2h or 7d (ago), 2026-11-23, or 2026-11-23T14:00 "
            "in local time.",
        ),
        click.option(
            "--to",
            "--until",
            "created_to",
            type=Moment("to"),
            metavar="TIME",
            help="Only before this time. A date includes its whole day.",
        ),
        click.option(
            "--metadata",
            type=KeyValue(),
            multiple=True,
            metavar="KEY=VALUE",
            help="Only with this metadata. Repeat it to require several.",
        ),
        click.option(
            "--violates",
            multiple=True,
            metavar="RULE",
            help="Only if the answer breaks this rule, such as C3 (see briggs rules). Repeat it "
            "to require several.",
        ),
    ]


_TEXT_OPTION = click.option(
    "--text", metavar="TEXT", help="Only if the request or the answer contains this."
)


_SORT_OPTION = click.option(
    "--sort",
    type=click.Choice(["time", "duration", "cost", "tokens", "p_mean", "p_least"]),
    default="time",
    show_default=True,
    metavar="BY",
    help="Sort by time, duration, cost, tokens, p_mean or p_least. Unknown values come last.",
)


def _amount_option(name: str, metavar: str, said: str) -> Callable[..., Any]:
    return click.option(name, type=Amount(), metavar=metavar, help=said)


def _order_option(order: str) -> Callable[..., Any]:
    return click.option(
        "--order",
        type=click.Choice(["asc", "desc"]),
        default=order,
        show_default=True,
        metavar="ORDER",
        help="asc is oldest or least first, desc is newest or most first.",
    )
