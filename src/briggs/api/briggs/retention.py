"""Retention: what `[retention]` deletes of the key's organization, and doing it now."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from briggs.api.answers import Json, find_store
from briggs.api.organizations import check_organization
from briggs.storage import Due


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/retention`: the terms, and how many completions each would delete now."""
    organization = await check_organization(request)
    return _present(await find_store(request).retention.count(organization_id=organization.id))


async def run(request: Request) -> Json:
    """`POST /api/v1/retention/run`: delete what is old enough, and say how much that was."""
    organization = await check_organization(request)
    return _present(await find_store(request).retention.run(organization_id=organization.id))


def _present(listed: Sequence[Due]) -> Json:
    return Json(
        {
            "data": [
                {
                    "what": each.term.what,
                    "span": each.term.span,
                    "organization": each.term.organization,
                    "tag": each.term.tag,
                    "completions": each.completions,
                }
                for each in listed
            ]
        }
    )
