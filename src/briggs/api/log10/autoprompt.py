"""Log10's prompt analysis, by the rules of `evals/advice.py`.

Its client sends the new prompt as both the old and the new one, so the old one is remembered by
the session: for the newest sessions, until the server stops.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import Any

import msgspec
from starlette.requests import Request

from briggs.api.answers import Json, read_body
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.evals.advice import PROMPT_LENGTH_MAX, advise, describe_prompt, report_change
from briggs.types import json
from briggs.types.completions import create_id
from briggs.types.errors import InvalidRequest
from briggs.types.texts import content_text

SESSIONS_MAX = 200
SESSION_LENGTH_MAX = 200
_sessions: OrderedDict[tuple[str, str], list[str]] = OrderedDict()
"""The last two prompts of a session, by its organization and id."""


class _Convert(msgspec.Struct, kw_only=True):
    prompt: Any
    session_id: str | None = None


class _Report(msgspec.Struct, kw_only=True):
    base_prompt: Any
    new_prompt: Any
    suggestions: Any = None
    session_id: str | None = None


class _Suggestions(msgspec.Struct, kw_only=True):
    base_prompt: Any
    report: Any = None
    session_id: str | None = None


async def convert(request: Request) -> Json:
    """`POST /api/experimental/autoprompt/convert`: what a prompt has, in a session."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    post = read_members(body, _Convert)
    prompt = _read_prompt(post.prompt, name="prompt")
    session_id = (post.session_id or create_id())[:SESSION_LENGTH_MAX]
    _remember(organization.id, session_id, prompt)
    output = await asyncio.to_thread(describe_prompt, prompt)
    return Json({"output": {"prompt": prompt, **output}, "session_id": session_id})


async def report(request: Request) -> Json:
    """`POST /api/experimental/autoprompt/report`: what the new prompt adds, removes and solves."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    post = read_members(body, _Report)
    before = _read_prompt(post.base_prompt, name="base_prompt")
    after = _read_prompt(post.new_prompt, name="new_prompt")
    remembered = _sessions.get((organization.id, (post.session_id or "")[:SESSION_LENGTH_MAX]))
    if before == after and remembered:
        before = remembered[0]
    return Json({"output": await asyncio.to_thread(report_change, before, after)})


async def suggest(request: Request) -> Json:
    """`POST /api/experimental/autoprompt/suggestions`: by category and part, what to do."""
    body = await read_body(request)
    await check_organization(request, body=body)
    post = read_members(body, _Suggestions)
    prompt = _read_prompt(post.base_prompt, name="base_prompt")
    return Json({"output": await asyncio.to_thread(advise, prompt)})


def _remember(organization_id: str, session_id: str, prompt: str) -> None:
    key = (organization_id, session_id)
    prompts = _sessions.pop(key, [])
    _sessions[key] = [*prompts, prompt][-2:]
    while len(_sessions) > SESSIONS_MAX:
        _sessions.popitem(last=False)


def _read_prompt(given: Any, *, name: str) -> str:
    """A prompt: a text, messages, or what `convert` made of one, as JSON in a text or not."""
    if isinstance(given, str) and given.lstrip()[:1] in ("[", "{", '"'):
        with contextlib.suppress(msgspec.DecodeError):
            given = json.decode(given)
    if isinstance(given, dict):
        given = given.get("prompt") or given.get("output") or given.get("content")
        if isinstance(given, dict):
            given = given.get("prompt")
    if isinstance(given, list):
        given = "\n".join(
            content_text(each.get("content")) for each in given if isinstance(each, dict)
        )
    if not isinstance(given, str) or not given.strip():
        raise InvalidRequest(f"'{name}' must be a prompt: a text, or messages.", param=name)
    if len(given) > PROMPT_LENGTH_MAX:
        raise InvalidRequest(
            f"'{name}' has more than {PROMPT_LENGTH_MAX:,} characters.", param=name
        )
    return given
