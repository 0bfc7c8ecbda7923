"""OpenAI's stored responses, read from our record. `POST /v1/responses` is in `api/calls.py`.

https://platform.openai.com/docs/api-reference/responses/get
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from briggs.api.answers import Json, find_store, list_object, read_number
from briggs.api.queries import read_choice, read_parameters
from briggs.parts import find_archived, find_lake, is_archived
from briggs.record.responses import find_response, is_response
from briggs.record.retention import require_bodies
from briggs.types.completions import Completion
from briggs.types.errors import Conflict, InvalidRequest, NotFound
from briggs.wires.openai.responses.answer import read_id
from briggs.wires.openai.responses.items import ResponseItem
from briggs.wires.openai.responses.recorded import list_input, read_response

_LIMIT_DEFAULT = 20
_LIMIT_MAX = 100


async def retrieve_response(request: Request) -> Response:
    """`GET /v1/responses/{id}`: a response, byte for byte as its caller got it."""
    parameters = read_parameters(request)
    if read_choice(parameters, "stream", ("false", "true")) == "true":
        raise InvalidRequest(
            "A response is streamed while it is made, not when it is retrieved: leave out "
            "'stream'.",
            param="stream",
        )
    completion = await _retrieve(request)
    require_bodies(completion)
    return Response(read_response(completion), media_type="application/json")


async def delete_response(request: Request) -> Json:
    """`DELETE /v1/responses/{id}`: delete a response from the record for good."""
    completion = await _retrieve(request)
    if is_archived(request):
        await find_lake(request).delete_one(completion)
    else:
        await find_store(request).completions.delete(
            completion.id, organization_id=completion.organization_id
        )
    return Json({"id": request.path_params["id"], "object": "response", "deleted": True})


async def cancel_response(request: Request) -> Json:
    """`POST /v1/responses/{id}/cancel`: refused, since no response runs in the background."""
    completion = await _retrieve(request)
    raise Conflict(
        f"The response '{request.path_params['id']}' does not run in the background, so it cannot "
        f"be cancelled: it has {completion.status}. To stop a response, close its connection."
    )


async def list_input_items(request: Request) -> Json:
    """`GET /v1/responses/{id}/input_items`: a page of the items of its request."""
    completion = await _retrieve(request)
    require_bodies(completion)
    return Json(page_items(list_input(completion), request))


async def count_input_tokens(request: Request) -> Json:
    """`POST /v1/responses/input_tokens`: refused."""
    raise NotFound(
        "Briggs does not count tokens before a call: ask the provider, or read 'usage' in the "
        "answer."
    )


async def compact_response(request: Request) -> Json:
    """`POST /v1/responses/compact`: refused."""
    raise NotFound("Briggs does not compact conversations: ask the provider.")


def page_items(items: list[ResponseItem], request: Request) -> dict[str, object]:
    """A page of items: `limit`, `order` (newest first, unless `asc`) and `after`."""
    parameters = read_parameters(request)
    if read_choice(parameters, "order", ("asc", "desc")) != "asc":
        items = items[::-1]
    if after := parameters.get("after"):
        ids = [item.get("id") for item in items]
        if after not in ids:
            raise InvalidRequest(f"There is no item '{after}' here.", param="after")
        items = items[ids.index(after) + 1 :]
    limit = read_number(
        parameters.get("limit"), name="limit", default=_LIMIT_DEFAULT, maximum=_LIMIT_MAX
    )
    return list_object(items[:limit], has_more=len(items) > limit > 0)


async def _retrieve(request: Request) -> Completion:
    """A response on record or, by Briggs's own id, in the lake. Raises `NotFound`."""
    id, key = request.path_params["id"], request.state.key
    found = await find_response(id, key=key, store=find_store(request))
    if found is None and (ours := read_id(id)) is not None:
        archived = await find_archived(request, ours)
        found = archived if archived and is_response(archived, id, key=key) else None
    if found is None:
        raise NotFound(f"Response with id '{id}' not found.", param="id")
    return found
