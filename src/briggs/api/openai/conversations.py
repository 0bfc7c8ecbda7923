"""OpenAI's conversations: sessions of our record whose calls are responses.

https://platform.openai.com/docs/api-reference/conversations
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from briggs.api.answers import Json, find_store, read_body
from briggs.api.openai.responses import page_items
from briggs.parts import find_parts
from briggs.record.responses import CONVERSATION_PREFIX, list_turns
from briggs.types.completions import create_id
from briggs.types.encodings import decode_object
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.sessions import Session
from briggs.wires.openai.responses.items import ResponseItem
from briggs.wires.openai.responses.recorded import list_input, list_output


async def create_conversation(request: Request) -> Json:
    """`POST /v1/conversations`: create a conversation without items."""
    body = await read_body(request)
    given = decode_object(body) if body else {}
    for name, instead in (
        ("items", "send them as the 'input' of the first response"),
        ("metadata", "send it with each response"),
    ):
        if given.get(name):
            raise InvalidRequest(
                f"Briggs keeps no '{name}' of a conversation itself: {instead}.", param=name
            )
    key = request.state.key
    id = CONVERSATION_PREFIX + create_id().replace("-", "")
    session = Session(id=id, organization_id=key.organization_id)
    await find_store(request).sessions.create(session)
    return Json(_present(session))


async def retrieve_conversation(request: Request) -> Json:
    """`GET /v1/conversations/{id}`: a conversation, without its items."""
    return Json(_present(await _retrieve(request)))


async def list_items(request: Request) -> Json:
    """`GET /v1/conversations/{id}/items`: a page of what was asked and answered."""
    return Json(page_items(await _list_items(request), request))


async def retrieve_item(request: Request) -> Json:
    """`GET /v1/conversations/{id}/items/{item_id}`: one item."""
    wanted = request.path_params["item_id"]
    for item in await _list_items(request):
        if item.get("id") == wanted:
            return Json(item)
    raise NotFound(f"ResponseItem with id '{wanted}' not found.", param="item_id")


async def refuse_change(request: Request) -> Json:
    """Changes of a conversation: refused."""
    await _retrieve(request)
    raise InvalidRequest(
        "A conversation grows by the responses that name it, and cannot be changed otherwise: "
        "send the items as the 'input' of a response. To remove what was said, delete responses."
    )


def _present(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "object": "conversation",
        "created_at": session.created_at // 1_000_000,
        "metadata": {},
    }


async def _retrieve(request: Request) -> Session:
    id, store = request.path_params["id"], find_store(request)
    found = await store.sessions.retrieve(id, organization_id=request.state.key.organization_id)
    if found is None or not id.startswith(CONVERSATION_PREFIX):
        raise NotFound(f"Conversation with id '{id}' not found.", param="id")
    return found


async def _list_items(request: Request) -> list[ResponseItem]:
    turns = await list_turns(
        request.path_params["id"],
        key=request.state.key,
        store=find_store(request),
        bytes_max=find_parts(request).running.limits.body_bytes_max,
    )
    return [item for turn in turns for item in (*list_input(turn), *list_output(turn))]
