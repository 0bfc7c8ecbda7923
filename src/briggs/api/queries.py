"""Reads the filters and page options of a list of completions from a URL's query."""

from __future__ import annotations

import math
import re
from typing import Any, get_args

from starlette.datastructures import QueryParams
from starlette.requests import Request

from briggs.api.answers import read_number
from briggs.parts import find_parts
from briggs.rules import RULES
from briggs.storage import Query, Sort
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.errors import InvalidRequest

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
PAGE_BYTES = 16 * 1024 * 1024
"""A page ends early when its bodies have this many bytes."""
TEXT_CHARACTERS_MAX = 1_000
TIME_S_MAX = 10_000_000_000
AMOUNT_MAX = 1e12
JUDGED_WITHIN_S = 1.0

_METADATA = re.compile(r"metadata\[(.+)\]", re.DOTALL)
_CREATED = {"created[gte]": 0, "created[gt]": 1, "created[lt]": 0, "created[lte]": 1}
_TEXTS = ("model", "provider", "session_id", "user", "finish_reason", "failure_kind", "text")
_BOUNDED = ("duration_ms", "cost_usd")
_AMOUNTS = tuple(f"{name}_{bound}" for name in _BOUNDED for bound in ("min", "max"))
FILTERS = (
    *("caller_left", "metadata[KEY]", "source", "status", "tag", "violates"),
    *("filter", "without_tag"),
    *(*_TEXTS, *_AMOUNTS, *_CREATED),
)
"""The parameters that select completions."""
STATISTICS = ("by", *(name for name in FILTERS if name != "text"))
"""The parameters that statistics accept."""
_PAGE = ("after", "count", "include", "limit", "order", "sort")
_STATUSES = ("finished", "failed", "started", "any")
_SOURCES = ("gateway", "client")


async def catch_up(request: Request) -> None:
    """Wait briefly until recent answers are checked, so that their broken rules are known."""
    await find_parts(request).gateway.record.judge.catch_up(timeout_s=JUDGED_WITHIN_S)


def read_parameters(request: Request) -> QueryParams:
    """The query parameters. OpenAI's package writes each item of a list as `name[]=item`."""
    items = request.query_params.multi_items()
    return QueryParams([(name.removesuffix("[]"), value) for name, value in items])


def read_query(parameters: QueryParams, *, organization_id: str) -> Query:
    """Read a list's query. Raises `InvalidRequest`, also for an unknown filter."""
    check_names(parameters, known=(*_PAGE, *FILTERS))
    filters = read_filters(parameters, status="finished")
    return Query(
        organization_id=organization_id,
        after=parameters.get("after"),
        limit=read_limit(parameters),
        bytes_max=PAGE_BYTES,
        sort=read_sort(parameters),
        order=read_order(parameters),
        **filters,
    )


def read_export(parameters: QueryParams, *, organization_id: str) -> Query:
    """Read the query of an export, which has no last page. Raises `InvalidRequest`."""
    check_names(parameters, known=("after", "include", "order", "sort", *FILTERS))
    return Query(
        organization_id=organization_id,
        after=parameters.get("after"),
        limit=LIMIT_MAX,
        bytes_max=PAGE_BYTES,
        sort=read_sort(parameters),
        order=read_order(parameters),
        **read_filters(parameters, status="any"),
    )


def read_filters(parameters: QueryParams, *, status: str) -> dict[str, Any]:
    """Read the members of a `Query` that select completions. `status` is the default status.

    With a filter in the grammar, which can name the status itself, any status is the default.
    """
    condition = parse_completion_filter(parameters.get("filter", ""))
    wanted = read_choice(parameters, "status", _STATUSES) or ("any" if condition else status)
    left = read_choice(parameters, "caller_left", ("true", "false"))
    filters: dict[str, Any] = {
        "filter": condition,
        "status": None if wanted == "any" else wanted,
        "source": read_choice(parameters, "source", _SOURCES),
        "caller_left": None if left is None else left == "true",
        "metadata": {
            match[1]: value
            for name, value in parameters.multi_items()
            if (match := _METADATA.fullmatch(name))
        },
        "tags": list(dict.fromkeys(parameters.getlist("tag"))),
        "without_tags": list(dict.fromkeys(parameters.getlist("without_tag"))),
        "violates": _read_rules(list(dict.fromkeys(parameters.getlist("violates")))),
        **{name: _read_text(parameters, name) for name in _TEXTS},
        **{name: _read_amount(parameters, name) for name in _AMOUNTS},
        "created_from": max(_read_times(parameters, "created[gte]", "created[gt]"), default=None),
        "created_to": min(_read_times(parameters, "created[lt]", "created[lte]"), default=None),
    }
    for name in _BOUNDED:
        least, most = filters[f"{name}_min"], filters[f"{name}_max"]
        if least is not None and most is not None and least > most:
            raise InvalidRequest(
                f"'{name}_min' is greater than '{name}_max', so nothing can match.",
                param=f"{name}_min",
            )
    return filters


def check_names(parameters: QueryParams, *, known: tuple[str, ...]) -> None:
    """Raises `InvalidRequest` for an unknown parameter, with a list of the known ones."""
    for name in parameters:
        if name not in known and not (_METADATA.fullmatch(name) and "metadata[KEY]" in known):
            listed = ", ".join(sorted(known))
            raise InvalidRequest(
                f"Unknown filter '{name[:100]}': use one of {listed}.", param=name[:100]
            )


def read_choice(parameters: QueryParams, name: str, choices: tuple[str, ...]) -> str | None:
    """Read one of a few words; None if it is not given. Raises `InvalidRequest`."""
    given = parameters.get(name)
    if given is not None and given not in choices:
        raise InvalidRequest(f"'{name}' must be one of {', '.join(choices)}.", param=name)
    return given


def read_limit(parameters: QueryParams) -> int:
    """Read how many items a page has at most."""
    return read_number(
        parameters.get("limit"), name="limit", default=LIMIT_DEFAULT, maximum=LIMIT_MAX
    )


def read_order(parameters: QueryParams) -> Any:
    """Read the order, `asc` or `desc`."""
    return read_choice(parameters, "order", ("asc", "desc")) or "asc"


def read_sort(parameters: QueryParams) -> Any:
    """Read what to sort by."""
    return read_choice(parameters, "sort", get_args(Sort)) or "time"


def _read_text(parameters: QueryParams, name: str) -> str | None:
    given = parameters.get(name)
    if given is not None and len(given) > TEXT_CHARACTERS_MAX:
        raise InvalidRequest(
            f"'{name}' is longer than {TEXT_CHARACTERS_MAX} characters: send less.", param=name
        )
    return given


def _read_rules(given: list[str]) -> list[str]:
    for id in given:
        if id not in RULES:
            raise InvalidRequest(
                f"There is no rule '{id[:100]}': `briggs rules` lists them.", param="violates"
            )
    return given


def _read_times(parameters: QueryParams, *names: str) -> list[int]:
    """Read the given times, in microseconds."""
    times = []
    for name in names:
        if name in parameters:
            kind = "Unix time in seconds"
            seconds = _read_decimal(parameters[name], below=TIME_S_MAX, name=name, kind=kind)
            times.append(round(seconds * 1_000_000) + _CREATED[name])
    return times


def _read_amount(parameters: QueryParams, name: str) -> float | None:
    given = parameters.get(name)
    if given is None:
        return None
    return _read_decimal(given, below=AMOUNT_MAX, name=name, kind="number from 0")


def _read_decimal(given: str, *, below: float, name: str, kind: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 <= value < below:
        raise InvalidRequest(f"'{name}' must be a {kind}.", param=name)
    return value
