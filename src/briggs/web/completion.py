"""The page of one completion, its parts, and what can be done with it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from briggs.accounts.scopes import require
from briggs.feedback.feedback import list_feedback
from briggs.feedback.reviewers import find_blinded
from briggs.parts import find_address, find_archived, find_lake, find_parts, is_archived
from briggs.record.bodies import list_answers, read_asked
from briggs.record.labels import split_tags
from briggs.record.presented import encode_tag
from briggs.record.retention import explain_absence
from briggs.storage import Query
from briggs.types.completions import TEXTLESS, Completion
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.keys import Key
from briggs.types.values import list_values
from briggs.web import drawings, raw, snippets
from briggs.web.addresses import Address, join_path, read_option, read_place
from briggs.web.completion_view import Details, read_details, read_wish
from briggs.web.csrf import read_form
from briggs.web.markdown import is_shown_image
from briggs.web.messages import cut_text, find_image, find_text
from briggs.web.neighbours import PARAMETER, find_neighbours
from briggs.web.probabilities import view_card
from briggs.web.rendering import render
from briggs.web.route import see_other

BODIES = ("request", "received", "response")
SNIPPETS: dict[str, Callable[..., str]] = {
    "curl": snippets.write_curl,
    "python": snippets.write_python,
    "javascript": snippets.write_javascript,
}
CARDS = 100
"""How many tokens' cards are sent at once."""
TURNS_MAX = 50
CHOICES_LINKED_MAX = 128
FEEDBACK_MAX = 100
TASKS_MAX = 100

_PLACE = re.compile(r"-?[0-9]{1,6}")


async def show(request: Request) -> Response:
    """`GET /completions/{id}`: the whole page."""
    completion = await find_completion(request)
    neighbours = await find_neighbours(request, completion)
    state = {**request.query_params, PARAMETER: neighbours.state}
    values = await view_completion(request, completion, state=state)
    return await render(request, "completion/page.html", neighbours=neighbours, **values)


async def show_tab(request: Request) -> Response:
    """`GET /completions/{id}/tab`: only the chosen tab."""
    values = await view_completion(request, await find_completion(request))
    return await render(request, "completion/tab.html", **values)


async def show_raw(request: Request) -> Response:
    """`GET /completions/{id}/raw`: a part of a body."""
    completion = await find_completion(request)
    values = await asyncio.to_thread(_view_raw, completion, request.query_params)
    path = join_path("completions", completion.id)
    link = Address(path, request.query_params)
    return await render(
        request, "completion/raw.html", completion=completion, path=path, link=link, **values
    )


async def show_tokens(request: Request) -> Response:
    """`GET /completions/{id}/tokens`: the cards of some tokens."""
    return await render_tokens(request, await find_completion(request))


async def render_tokens(request: Request, completion: Completion) -> Response:
    """The cards of the tokens that the URL names."""
    state = request.query_params
    first, choice = read_place(state, "from"), read_place(state, "choice")
    answers = await asyncio.to_thread(list_answers, completion)
    tokens = answers[choice].tokens if choice < len(answers) else []
    cards = [view_card(tokens, at) for at in range(first, min(first + CARDS, len(tokens)))]
    return await render(request, "completion/cards.html", cards=cards, count=len(tokens))


async def show_text(request: Request) -> Response:
    """`GET /completions/{id}/text/{message}/{part}`: a long text of a message, in parts."""
    completion = await find_completion(request)
    return await render_text(request, completion, back=join_path("completions", completion.id))


async def render_text(request: Request, completion: Completion, *, back: str) -> Response:
    """A part of the text that the path names."""
    name = _read_name(request)
    said = await asyncio.to_thread(
        lambda: find_text(_list_messages(completion), list_answers(completion), name)
    )
    if said is None:
        raise NotFound("There is no such text in this completion.")
    number = read_place(request.query_params, "part")
    text, parts = await asyncio.to_thread(cut_text, said, number)
    return await render(
        request,
        "completion/text.html",
        title="Text",
        text=text.text,
        part=number,
        parts=parts,
        characters=len(said),
        link=Address(request.url.path, request.query_params),
        back=back,
    )


async def send_image(request: Request) -> Response:
    """`GET /completions/{id}/images/{message}/{part}`: an image of the request."""
    return await render_image(request, await find_completion(request))


async def render_image(request: Request, completion: Completion) -> Response:
    """The image that the path names."""
    name = _read_name(request)
    url = await asyncio.to_thread(lambda: find_image(_list_messages(completion), name)) or ""
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    if not is_shown_image(f"data:{kind};base64,AAAA"):
        raise NotFound("There is no such image in this completion.")
    try:
        body = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise NotFound("This image cannot be read: it is not base64.") from None
    return Response(body, media_type=kind)


async def send_raw(request: Request) -> Response:
    """`GET /completions/{id}/raw/{body}`: the bytes of one body, to be saved as a file."""
    completion = await find_completion(request)
    name = request.path_params["body"]
    body = find_body(completion, name) if name in BODIES else None
    if body is None:
        raise NotFound(f"This completion has no '{name}'.")
    headers = {"content-disposition": f'attachment; filename="{completion.id}.{name}"'}
    return Response(body, media_type="application/octet-stream", headers=headers)


async def send_snippet(request: Request) -> Response:
    """`GET /completions/{id}/snippets/{language}`: the request as a program."""
    completion = await find_completion(request)
    write = SNIPPETS.get(request.path_params["language"])
    if write is None:
        raise NotFound(f"There are programs in {', '.join(SNIPPETS)}.")
    if len(completion.request) > snippets.BYTES_MAX:
        raise InvalidRequest(
            "The request is too large to copy. Download it from the tab Raw, and send the file."
        )
    url = find_address(request)
    try:
        written = await asyncio.to_thread(lambda: write(read_asked(completion), url=url))
    except RecursionError:
        raise InvalidRequest(
            "The request is nested too deeply to copy. Download it from the tab Raw, and send "
            "the file."
        ) from None
    return PlainTextResponse(written.encode("utf-8", "replace"))


async def change_tags(request: Request) -> Response:
    """`POST /completions/{id}/tags`: add tags, or take one away.

    The one is named by its id: a tag may have a comma, or what a form would change.
    """
    require(request.state.key, "answer")
    completion = await find_completion(request)
    form = await read_form(request)
    removed = form.get("remove", "")
    kept = [tag for tag in completion.tags if encode_tag(tag) != removed]
    await find_parts(request).store.completions.relabel(
        completion.id,
        organization_id=completion.organization_id,
        tags=list(dict.fromkeys([*kept, *split_tags(form.get("tags", ""))])),
    )
    return see_other(join_path("completions", completion.id))


async def delete(request: Request) -> Response:
    """`POST /completions/{id}/delete`: delete it for good."""
    completion = await find_completion(request)
    if is_archived(request):
        await find_lake(request).delete_one(completion)
        return see_other("/completions")
    await find_parts(request).store.completions.delete(
        completion.id, organization_id=completion.organization_id
    )
    return see_other("/completions")


async def find_completion(request: Request) -> Completion:
    """The completion of the path. Raises `NotFound`."""
    id = request.path_params["id"]
    completion = await find_parts(request).store.completions.retrieve(
        id, organization_id=request.state.key.organization_id
    )
    if completion is None:
        completion = await find_archived(request, id)
    if completion is None:
        raise NotFound(f"There is no completion '{id}'. It may have been deleted.", param="id")
    return completion


async def view_completion(
    request: Request, completion: Completion, *, state: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the templates of `completion/` need: for its page, and for the panel of the list.

    `state` is what the links keep, by default the whole query.
    """
    state = request.query_params if state is None else state
    details = await asyncio.to_thread(read_details, completion, read_wish(state))
    path = join_path("completions", completion.id)
    link = Address(path, state)
    received = completion.received
    grade_links = await _list_grade_links(request, completion)
    values: dict[str, Any] = {
        "title": details.title,
        "details": details,
        "completion": completion,
        "path": path,
        "link": link,
        "absence": explain_absence(completion),
        "archived": is_archived(request),
        "redacted": ", ".join(f"{kind} ({count})" for kind, count in completion.redacted.items()),
        "timeline": _draw_timeline(details),
        "received_bytes": None if received is None else len(received),
        "choice_links": [
            (
                str(at + 1),
                link("answer", choice=at or None, part=None, token=None),
                at == details.choice,
            )
            for at in range(min(len(details.answers), CHOICES_LINKED_MAX))
        ],
        "session_link": join_path("sessions", completion.session_id or ""),
        "grade_links": grade_links,
        "grade_link": grade_links[0][1] if grade_links else None,
        "removable": [(tag, encode_tag(tag)) for tag in completion.tags],
        "may_change": "answer" in request.state.key.scopes and not is_archived(request),
        # The playground asks for chats.
        "may_try": "answer" in request.state.key.scopes and completion.kind not in TEXTLESS,
        "may_delete": "admin" in request.state.key.scopes,
        "may_grade": "grade" in request.state.key.scopes and not is_archived(request),
        "card": _find_card(details),
        "feedback": await _list_feedback(request, completion),
        "turns": await _list_turns(request, completion),
        "tries": await find_parts(request).store.completions.list_tries(
            completion, organization_id=completion.organization_id
        ),
    }
    shows_raw = details.wish.tab == "raw" or any(name in state for name in ("body", "form", "raw"))
    if not shows_raw:
        return values | {"raw": None}
    return values | await asyncio.to_thread(_view_raw, completion, state)


def find_body(completion: Completion, name: str) -> bytes | None:
    """One of the bodies. What was received is the response itself unless it was changed."""
    if name == "request":
        return completion.request
    if name == "received" and completion.received is not None:
        return completion.received
    return completion.response


def _find_card(details: Details) -> Any:
    """The card of the token that the URL names."""
    if details.wish.token is None:
        return None
    return view_card(details.answers[details.choice].tokens, details.wish.token)


def _draw_timeline(details: Details) -> Any:
    timeline = details.timeline
    return timeline and drawings.timeline(
        [
            (each.phase, each.start_ms / timeline.total_ms, each.end_ms / timeline.total_ms)
            for each in timeline.stretches
        ]
    )


def _view_raw(completion: Completion, state: Any) -> dict[str, Any]:
    """One part of one body, and what kinds of bodies there are."""
    body = read_option(state, "body", ("received", "request", "response"))
    form = read_option(state, "form", ("text", "hex"))
    whole = find_body(completion, body) or b""
    number = min(read_place(state, "raw"), raw.count_parts(whole) - 1)
    cut = raw.cut_hex if form == "hex" else raw.cut_text
    return {
        "raw_body": body,
        "raw_form": form,
        "raw": cut(whole, number),
        "raw_events": raw.count_events(whole),
    }


async def _list_grade_links(request: Request, completion: Completion) -> list[tuple[str, str]]:
    """The tasks that ask about this completion, each with where it is graded."""
    if "grade" not in request.state.key.scopes or completion.status != "finished":
        return []
    tasks = await find_parts(request).store.feedback_tasks.list(
        organization_id=completion.organization_id, limit=TASKS_MAX
    )
    return [
        (task.name, Address(join_path("feedback", task.id, "grade"), {})(item=completion.id))
        for task in tasks
        if task.kind == "grade" and set(task.completion_tags_selector) <= set(completion.tags)
    ]


async def _list_feedback(request: Request, completion: Completion) -> Any:
    """The feedback about it that this key may see."""
    key: Key = request.state.key
    feedback, _ = await list_feedback(
        find_parts(request).store,
        organization_id=completion.organization_id,
        completion_id=completion.id,
        hidden_from=find_blinded(key),
        limit=FEEDBACK_MAX,
    )
    return [
        {"feedback": each, "values_shown": list(list_values(each.json_values))} for each in feedback
    ]


async def _list_turns(request: Request, completion: Completion) -> Any:
    """The other calls of its session, the oldest first, without their bodies."""
    if completion.session_id is None:
        return []
    page = await find_parts(request).store.completions.list(
        Query(
            organization_id=completion.organization_id,
            session_id=completion.session_id,
            limit=TURNS_MAX,
            order="asc",
            payloads=False,
        )
    )
    return page.completions


def _read_name(request: Request) -> tuple[int, int]:
    """The name of a text: the place of its message, and that of its part."""
    given = request.path_params["message"], request.path_params["part"]
    if not all(_PLACE.fullmatch(each) for each in given):
        raise NotFound("There is no such part of this completion.")
    message, part = map(int, given)
    return message, part


def _list_messages(completion: Completion) -> Any:
    messages = read_asked(completion).get("messages")
    return messages if isinstance(messages, list) else []
