"""OpenAI's stored completions, read from our record. OpenAI's own SDKs can query it.

https://platform.openai.com/docs/api-reference/chat/list
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from briggs.api.answers import Json, find_store, list_object, read_json_object
from briggs.api.queries import (
    catch_up,
    read_choice,
    read_limit,
    read_order,
    read_parameters,
    read_query,
)
from briggs.feedback.presented import present as present_feedback
from briggs.feedback.reviewers import find_blinded, show
from briggs.record.labels import read_metadata, read_tags
from briggs.record.stored import decode_body, present
from briggs.storage import FeedbackQuery
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest, NotFound
from briggs.wires.recorded.request import list_messages

_INCLUDABLE = ("request", "received", "feedback")


async def list_completions(request: Request) -> Json:
    """`GET /v1/chat/completions`: a page of recorded completions."""
    parameters = read_parameters(request)
    query = read_query(parameters, organization_id=request.state.key.organization_id)
    include = _read_include(parameters.getlist("include"))
    counted = read_choice(parameters, "count", ("false", "true")) == "true"
    if query.asks_rules:
        await catch_up(request)
    page = await find_store(request).completions.list(query)
    data = [present(completion, include=include) for completion in page.completions]
    if "feedback" in include:
        await _add_feedback(request, data)
    listed = list_object(data, has_more=page.has_more)
    if counted:
        count = await find_store(request).completions.count(query)
        listed |= {"count": count.count, "count_is_exact": count.is_exact}
    return Json(listed)


async def retrieve_completion(request: Request) -> Json:
    """`GET /v1/chat/completions/{id}`: one completion, by our id or the upstream's."""
    include = _read_include(read_parameters(request).getlist("include"))
    data = present(await _show(request), include=include)
    if "feedback" in include:
        await _add_feedback(request, [data])
    return Json(data)


async def update_completion(request: Request) -> Json:
    """`POST /v1/chat/completions/{id}`: replace the metadata or the tags of a completion."""
    completion = await _retrieve(request)
    body = await read_json_object(request)
    if not body or set(body) - {"metadata", "tags"}:
        raise InvalidRequest(
            "Only 'metadata' and 'tags' of a completion can be updated.", param="metadata"
        )
    if "metadata" in body:
        completion.metadata = read_metadata(body["metadata"])
    if "tags" in body:
        completion.tags = read_tags(body["tags"])
    await find_store(request).completions.relabel(
        completion.id,
        organization_id=completion.organization_id,
        tags=completion.tags if "tags" in body else None,
        metadata=completion.metadata if "metadata" in body else None,
    )
    return Json(present(completion))


async def delete_completion(request: Request) -> Json:
    """`DELETE /v1/chat/completions/{id}`: delete a completion for good."""
    completion = await _retrieve(request)
    deleted = await find_store(request).completions.delete(
        completion.id, organization_id=completion.organization_id
    )
    if not deleted:
        raise _not_found(request.path_params["id"])
    return Json({"object": "chat.completion.deleted", "id": completion.id, "deleted": True})


async def list_asked(request: Request) -> Json:
    """`GET /v1/chat/completions/{id}/messages`: the messages of the request."""
    completion = await _show(request)
    parameters = request.query_params
    messages = _read_messages(completion)
    if read_order(parameters) == "desc":
        messages.reverse()
    if after := parameters.get("after"):
        ids = [message["id"] for message in messages]
        id, _, number = after.rpartition("-")
        if id in (request.path_params["id"], completion.response_id):
            after = f"{completion.id}-{number}"
        if after not in ids:
            raise InvalidRequest(f"There is no message '{after}' here.", param="after")
        messages = messages[ids.index(after) + 1 :]
    limit = read_limit(parameters)
    return Json(list_object(messages[:limit], has_more=len(messages) > limit > 0))


async def retrieve_received(request: Request) -> Response:
    """`GET /v1/chat/completions/{id}/received`: the bytes that the upstream sent.

    They are not trusted, so a browser must neither show them nor guess their type.
    """
    completion = await _retrieve(request)
    received = completion.response if completion.received is None else completion.received
    if received is None:
        raise NotFound(f"Nothing was received for the completion '{completion.id}'.", param="id")
    headers = {"content-disposition": "attachment", "x-content-type-options": "nosniff"}
    return Response(received, media_type="application/octet-stream", headers=headers)


async def _add_feedback(request: Request, data: Sequence[dict[str, Any]]) -> None:
    """Add to each completion the feedback about it that the key may see."""
    key = request.state.key
    query = FeedbackQuery(organization_id=key.organization_id, hidden_from=find_blinded(key))
    given = await find_store(request).feedback.list_about(
        [each["id"] for each in data], query=query
    )
    for each in data:
        each["briggs"]["feedback"] = [present_feedback(one) for one in given[each["id"]]]


def _read_messages(completion: Completion) -> list[dict[str, Any]]:
    messages = list_messages(decode_body(completion.request))
    return [
        {"refusal": None, **message, **_read_content(message), "id": f"{completion.id}-{number}"}
        for number, message in enumerate(messages)
        if isinstance(message, dict)
    ]


def _read_content(message: dict[str, Any]) -> dict[str, Any]:
    """A message's text, and its parts if it was sent in parts."""
    content = message.get("content")
    if not isinstance(content, list):
        return {"content": content, "content_parts": None}
    parts = [part for part in content if isinstance(part, dict)]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    return {"content": "".join(texts) if texts else None, "content_parts": parts}


async def _show(request: Request) -> Completion:
    """The completion of the path, as the key may see it."""
    completion = await _retrieve(request)
    return await show(find_store(request), completion, key=request.state.key)


async def _retrieve(request: Request) -> Completion:
    await catch_up(request)
    completion = await find_store(request).completions.retrieve(
        request.path_params["id"], organization_id=request.state.key.organization_id
    )
    if completion is None:
        raise _not_found(request.path_params["id"])
    return completion


def _not_found(id: str) -> NotFound:
    return NotFound(f"There is no completion '{id}'.", param="id")


def _read_include(given: list[str]) -> list[str]:
    for name in given:
        if name not in _INCLUDABLE:
            raise InvalidRequest(
                f"'include' must be one of {', '.join(_INCLUDABLE)}.", param="include"
            )
    return given
