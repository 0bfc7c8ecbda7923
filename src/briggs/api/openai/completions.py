"""OpenAI's stored completions, read from our record. OpenAI's own SDKs can query it.

https://platform.openai.com/docs/api-reference/chat/list
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from briggs.api import archived
from briggs.api.answers import Json, find_store, list_object, present_aside, read_json_object
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
from briggs.parts import find_archived, find_lake, has_archived, is_archived
from briggs.record.labels import read_metadata, read_tags
from briggs.record.retention import require_bodies
from briggs.record.stored import decode_body, present
from briggs.storage import FeedbackQuery
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.feedback import Feedback
from briggs.wires.recorded.request import list_messages

_INCLUDABLE = ("request", "received", "feedback")


async def list_completions(request: Request) -> Json:
    """`GET /v1/chat/completions`: a page of recorded completions."""
    parameters = read_parameters(request)
    if read_choice(parameters, "archived", ("false", "true")) == "true":
        return await archived.list_completions(request, parameters)
    query = read_query(parameters, organization_id=request.state.key.organization_id)
    include = _read_include(parameters.getlist("include"))
    counted = read_choice(parameters, "count", ("false", "true")) == "true"
    if query.asks_rules:
        await catch_up(request)
    page = await find_store(request).completions.list(query)
    given = await _list_feedback(request, page.completions, include=include)
    more: dict[str, Any] = {}
    if not page.has_more and await has_archived(request):
        more = {"has_archived": True}
    if counted:
        count = await find_store(request).completions.count(query)
        more |= {"count": count.count, "count_is_exact": count.is_exact}

    def list_page() -> dict[str, Any]:
        data = [_present(each, include=include, given=given) for each in page.completions]
        return list_object(data, has_more=page.has_more) | more

    return await present_aside(list_page, of=page.completions)


async def retrieve_completion(request: Request) -> Json:
    """`GET /v1/chat/completions/{id}`: one completion, by our id or the upstream's."""
    include = _read_include(read_parameters(request).getlist("include"))
    completion = await _show(request)
    given = await _list_feedback(request, [completion], include=include)
    of_lake = is_archived(request)
    return await present_aside(
        lambda: _present(completion, include=include, given=given, archived=of_lake),
        of=[completion],
    )


async def update_completion(request: Request) -> Json:
    """`POST /v1/chat/completions/{id}`: replace the metadata or the tags of a completion."""
    completion = await _retrieve(request)
    archived.refuse_change(request)
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
    return await present_aside(lambda: present(completion), of=[completion])


async def delete_completion(request: Request) -> Json:
    """`DELETE /v1/chat/completions/{id}`: delete a completion for good."""
    completion = await _retrieve(request)
    if is_archived(request):
        await find_lake(request).delete_one(completion)
        return Json({"object": "chat.completion.deleted", "id": completion.id, "deleted": True})
    deleted = await find_store(request).completions.delete(
        completion.id, organization_id=completion.organization_id
    )
    if not deleted:
        raise _not_found(request.path_params["id"])
    return Json({"object": "chat.completion.deleted", "id": completion.id, "deleted": True})


async def list_asked(request: Request) -> Json:
    """`GET /v1/chat/completions/{id}/messages`: the messages of the request."""
    completion = await _show(request)
    require_bodies(completion)
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
    require_bodies(completion)
    received = completion.response if completion.received is None else completion.received
    if received is None:
        raise NotFound(f"Nothing was received for the completion '{completion.id}'.", param="id")
    headers = {"content-disposition": "attachment", "x-content-type-options": "nosniff"}
    return Response(received, media_type="application/octet-stream", headers=headers)


async def _list_feedback(
    request: Request, completions: Sequence[Completion], *, include: Sequence[str]
) -> Mapping[str, Sequence[Feedback]] | None:
    """The feedback about each completion that the key may see. None if it is not wanted."""
    if "feedback" not in include:
        return None
    key = request.state.key
    query = FeedbackQuery(organization_id=key.organization_id, hidden_from=find_blinded(key))
    ids = [each.id for each in completions]
    return await find_store(request).feedback.list_about(ids, query=query)


def _present(
    completion: Completion,
    *,
    include: Sequence[str],
    given: Mapping[str, Sequence[Feedback]] | None,
    archived: bool = False,
) -> dict[str, Any]:
    data = present(completion, include=include, archived=archived)
    if given is not None:
        data["briggs"]["feedback"] = [present_feedback(each) for each in given[completion.id]]
    return data


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
        completion = await find_archived(request, request.path_params["id"])
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
