"""Recognises a server's software by signs in its answers and by its pages."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from briggs.checker.endpoint import Endpoint, ListedModel, ProbeExchange
from briggs.checker.servers import PAGES, SIGNS, ServerPage, Software
from briggs.transport import TransportError
from briggs.types import json
from briggs.types.any_json import members, objects

PAGE_TIMEOUT_S, PAGES_TIMEOUT_S = 5.0, 10.0
"""The time limits for reading one page of a server, and for all pages."""

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")
_TEXT_LENGTH_MAX = 200


async def recognise(
    endpoint: Endpoint, *, exchange: ProbeExchange, models: Sequence[ListedModel]
) -> Software | None:
    """The software that answers. None if it shows no sign of a known server.

    If the answer shows which server it is, only the page with its version is read. A page that
    does not come in time is skipped, and does not fail the check.
    """
    found = _read_signs(exchange, models)
    if found and (found.version or found.name == "Briggs"):
        return found
    pages = [page for page in PAGES if found is None or page.server == found.name]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PAGES_TIMEOUT_S):
            for page in pages:
                if seen := await _read_page(endpoint, page):
                    return msgspec.structs.replace(found or seen, version=seen.version)
    return found


def _read_signs(exchange: ProbeExchange, models: Sequence[ListedModel]) -> Software | None:
    said = _list_said(exchange, models)
    for sign in SIGNS:
        for text in said.get(sign.place, ()):
            if match := sign.says.fullmatch(text):
                version = _read_version(match[1]) if sign.says.groups else None
                evidence = f"{sign.place} is {text[:40]}"
                return Software(name=sign.server, version=version, evidence=evidence)
    return None


def _list_said(exchange: ProbeExchange, models: Sequence[ListedModel]) -> Mapping[str, list[str]]:
    """The texts at each place where a server may show a sign."""
    said = {f"header {name}": [value] for name, value in exchange.headers.items()}
    said["owned_by"] = [model.owned_by for model in models[:1] if model.owned_by]
    answer = _read_object(exchange)
    if isinstance(fingerprint := answer.get("system_fingerprint"), str):
        said["system_fingerprint"] = [fingerprint]
    said["member"] = list(answer)
    said["choice member"] = [name for _, one in objects(answer.get("choices"), "") for name in one]
    return {
        place: [text for text in texts if len(text) <= _TEXT_LENGTH_MAX]
        for place, texts in said.items()
    }


async def _read_page(endpoint: Endpoint, page: ServerPage) -> Software | None:
    try:
        exchange = await endpoint.get(page.path, at_root=True, timeout_s=PAGE_TIMEOUT_S)
    except TransportError:
        return None
    answer = _read_object(exchange)
    is_page = exchange.is_answered and page.proof in answer
    if not is_page or (page.is_alone and len(answer) > 1):
        return None
    version = _read_version(answer.get(page.version))
    if page.proof == page.version and version is None:
        return None
    return Software(name=page.server, version=version, evidence=f"its {page.path} says so")


def _read_object(exchange: ProbeExchange) -> Mapping[str, Any]:
    try:
        return members(json.decode(exchange.body))
    except msgspec.DecodeError:
        return {}


def _read_version(value: Any) -> str | None:
    return value if isinstance(value, str) and _VERSION.fullmatch(value) else None
