"""Named prompts: create, list, merge versions, compare and delete."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request

from briggs.api.answers import Json, find_store, read_body
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.evals.named_prompts import (
    VERSIONS_COMPARED_MAX,
    PromptPost,
    compare_versions,
    create_prompt,
    find_prompt,
    merge_versions,
)
from briggs.evals.prompts import write_template
from briggs.parts import find_parts
from briggs.types.errors import InvalidRequest
from briggs.types.prompts import NamedPrompt, PromptVersion
from briggs.types.times import iso


class MergePost(msgspec.Struct, kw_only=True):
    """Two versions that are one."""

    version: int
    into: int


async def create(request: Request) -> Json:
    """`POST /api/v1/named_prompts`: name a prompt, or give a named one its next version."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    post = await asyncio.to_thread(read_members, body, PromptPost)
    prompt = await create_prompt(find_store(request), post, organization_id=organization.id)
    find_parts(request).prompts.hurry()
    return Json(await _present(request, prompt))


async def list_all(request: Request) -> Json:
    """`GET /api/v1/named_prompts`: the named prompts with their versions."""
    organization = await check_organization(request)
    found = await find_store(request).prompts.list(organization_id=organization.id)
    return Json({"data": [await _present(request, each) for each in found]})


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/named_prompts/{name}`: one prompt with its versions."""
    return Json(await _present(request, await _find(request)))


async def compare(request: Request) -> Json:
    """`GET /api/v1/named_prompts/{name}/comparison`: how the calls of its `versions` fare."""
    prompt = await _find(request)
    versions = read_versions(request.query_params.get("versions", ""))
    found = await compare_versions(find_store(request), prompt, versions=versions)
    members = msgspec.to_builtins(found)
    for each in members["versions"]:
        for name in ("created_at", "first_at", "last_at"):
            each[name] = None if each[name] is None else iso(each[name])
    return Json({**members, "prompt": await _present(request, prompt)})


async def merge(request: Request) -> Json:
    """`POST /api/v1/named_prompts/{name}/merge`: make one version of two."""
    prompt = await _find(request)
    post = read_members(await read_body(request), MergePost)
    await merge_versions(find_store(request), prompt, version=post.version, into=post.into)
    find_parts(request).prompts.hurry()
    return Json(await _present(request, prompt))


async def delete(request: Request) -> Json:
    """`DELETE /api/v1/named_prompts/{name}`: forget a name. Its calls stay on record."""
    prompt = await _find(request)
    await find_store(request).prompts.delete(prompt)
    return Json({"id": prompt.id, "deleted": True})


def read_versions(text: str) -> list[int]:
    """The versions in a text such as `1,2`. Raises `InvalidRequest`."""
    parts = [each.strip() for each in text.split(",") if each.strip()]
    if len(parts) > VERSIONS_COMPARED_MAX or not all(
        each.isascii() and each.isdecimal() and len(each) < 10 for each in parts
    ):
        raise InvalidRequest(
            f"'versions' are at most {VERSIONS_COMPARED_MAX} numbers with commas between them, "
            "such as 1,2.",
            param="versions",
        )
    return [int(each) for each in parts]


async def _find(request: Request) -> NamedPrompt:
    organization = await check_organization(request)
    return await find_prompt(
        find_store(request), request.path_params["name"], organization_id=organization.id
    )


async def _present(request: Request, prompt: NamedPrompt) -> dict[str, Any]:
    store = find_store(request).prompts
    versions = await store.list_versions(
        organization_id=prompt.organization_id, prompt_id=prompt.id
    )
    return _write(prompt, versions, await store.count_calls(prompt))


def _write(
    prompt: NamedPrompt, versions: Sequence[PromptVersion], counts: Mapping[int, int]
) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "organization_id": prompt.organization_id,
        "name": prompt.name,
        "created_at": iso(prompt.created_at),
        "versions": [
            {
                "version": each.version,
                "created_at": iso(each.created_at),
                "template": write_template(each.template)[0],
                "decided_by": each.decided_by,
                "of_version": each.of_version,
                "distance": each.distance,
                "calls": counts.get(each.version, 0),
            }
            for each in versions
        ],
    }
