"""Searches the messages of completions for a text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection

from briggs.storage.bodies import Bodies
from briggs.storage.filters import Translator, decide, find_parts
from briggs.storage.queries import Place, Query, find_place, select_page
from briggs.storage.records import decode
from briggs.types.completions import Completion
from briggs.wires.recorded.request import HOLDERS

SCAN_ROWS = 100

# Members that are not part of the text of a message.
_NOT_SAID = frozenset(
    {
        "role",
        "type",
        "id",
        "object",
        "finish_reason",
        "logprobs",
        "tool_call_id",
        "image_url",
        "input_audio",
        "audio",
        "file",
    }
)


def search(
    connection: Connection, *, query: Query, after: Place | None, bodies: Bodies
) -> Iterator[Completion]:
    """Find completions by the words of a query, a few rows at a time to keep reads short."""
    condition = query.condition
    assert condition is not None, "only called for a query with words"
    translator = Translator(organization_id=query.organization_id)
    parts = [translator.translate(part) for part in find_parts(condition)]
    while True:
        statement = select_page(query, after=after, limit=SCAN_ROWS).add_columns(*parts)
        rows = connection.execute(statement).all()
        for row in rows:
            completion = decode(row, bodies=bodies)
            decided = [bool(part) for part in row[len(row) - len(parts) :]]
            if decide(condition, parts=decided, contains=partial(contains, completion)):
                yield completion if query.payloads else _without_bodies(completion)
        if len(rows) < SCAN_ROWS:
            return
        after = find_place(rows[-1], query=query)


def contains(completion: Completion, needle: str) -> bool:
    """Whether the request's or the response's messages contain the text, ignoring case."""
    folded = needle.casefold()
    return any(
        folded in said.casefold()
        for body, names in ((completion.request, HOLDERS), (completion.response, ("choices",)))
        if body and _may_contain(body, needle)
        for said in _said(body, names)
    )


def _may_contain(body: bytes, needle: str) -> bool:
    """Return False only if a search of the raw bytes can rule it out, which is 50 times faster."""
    plain = needle.isascii() and needle.isprintable() and not set('"\\/') & set(needle)
    if not plain or b"\\" in body or not body.isascii():
        return True
    return needle.lower().encode() in body.lower()


def _said(body: bytes, names: Sequence[str]) -> Iterator[str]:
    try:
        value = json.loads(body)
    except ValueError:
        # Not JSON: an invalid request, or part of an answer. All of it is searched.
        yield body.decode("utf-8", "replace")
        return
    if isinstance(value, dict):
        for name in names:
            yield from _strings(value.get(name))


def _without_bodies(completion: Completion) -> Completion:
    completion.request, completion.response, completion.received = b"", None, None
    return completion


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in _NOT_SAID:
                yield from _strings(item)
