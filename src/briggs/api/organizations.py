"""Reads which organization a request names. Log10's clients name it in one of several places."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from briggs.accounts.organizations import confirm_organization
from briggs.api.answers import find_store
from briggs.types.organizations import Organization

_HEADERS = ("x-log10-organization-id", "x-log10-organization")


class _Named(msgspec.Struct):
    organization_id: Any = None


async def check_organization(request: Request, *, body: bytes = b"") -> Organization:
    """Return the key's organization, and check that the request names no other one.

    Log10's clients name the organization in one of two headers, in the query, in the body, or not
    at all. Raises `NotFound`.
    """
    names = [request.headers.get(header) for header in _HEADERS]
    names.append(request.query_params.get("organization_id"))
    if b'"organization_id"' in body:
        try:
            names.append(msgspec.json.decode(body, type=_Named).organization_id)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            names.append(None)
    return await confirm_organization(find_store(request), names, key=request.state.key)
