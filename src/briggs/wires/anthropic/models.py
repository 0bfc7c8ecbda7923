"""Writes the list of models as Anthropic does.

https://platform.claude.com/docs/en/api/models-list
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from briggs.types.any_json import Members, text
from briggs.types.errors import InvalidRequest

VERSION_HEADER = "anthropic-version"
"""Every client of Anthropic's sends it, and no other."""
_LIMIT = 20
_LIMIT_MAX = 1000


def write_model(model: Mapping[str, Any]) -> Members:
    """A model. The time of one whose release is unknown is the beginning of Unix time."""
    created = datetime.fromtimestamp(model["created"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": "model",
        "id": model["id"],
        "display_name": text(model.get("display_name")) or model["id"],
        "created_at": text(model.get("created_at")) or created,
        "lifecycle": text(model.get("lifecycle")) or "active",
    }


def write_models(models: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> Members:
    """A page of the list. Raises `InvalidRequest` for a cursor that names no model."""
    ids = [model["id"] for model in models]
    limit = _read_limit(query.get("limit"))
    begin, end = 0, len(ids)
    if "after_id" in query:
        begin = _find(query["after_id"], ids, name="after_id") + 1
    if "before_id" in query:
        end = _find(query["before_id"], ids, name="before_id")
        begin = max(begin, end - limit)
    page = [write_model(model) for model in models[begin:end][:limit]]
    before, after = begin > 0, begin + len(page) < end
    return {
        "data": page,
        "has_more": before if "before_id" in query else after,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _find(id: str, ids: Sequence[str], *, name: str) -> int:
    if id not in ids:
        raise InvalidRequest(f"'{name}' names no model of the list.", param=name)
    return ids.index(id)


def _read_limit(limit: str | None) -> int:
    if limit is None:
        return _LIMIT
    if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:9]) <= _LIMIT_MAX):
        raise InvalidRequest(f"'limit' must be a number from 1 to {_LIMIT_MAX}.", param="limit")
    return int(limit)
