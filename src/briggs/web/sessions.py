"""Sessions: the list, and one session as a transcript of its turns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from briggs.feedback.feedback import list_feedback
from briggs.feedback.reviewers import find_blinded
from briggs.parts import find_parts
from briggs.record.bodies import list_answers, read_asked
from briggs.storage import Query
from briggs.types.completions import Completion
from briggs.types.errors import NotFound
from briggs.types.feedback import Feedback
from briggs.types.filters import quote
from briggs.types.probabilities import Certainty, measure
from briggs.types.turns import Turns
from briggs.types.values import list_values
from briggs.web import drawings
from briggs.web.addresses import Address, join_path, read_place
from briggs.web.listing import ANY_TIME
from briggs.web.messages import Message, view_answer, view_chosen
from briggs.web.probabilities import list_levels
from briggs.web.rendering import render

PAGE = 50
"""Sessions on one page of the list."""
TURNS = 20
"""Turns on one page of a session."""
MESSAGES_MAX = 20
"""New messages that are shown of one turn. The others are on the page of its completion."""
STRIP_BARS = 83
PAGES_MAX = 2_000


class Turn(NamedTuple):
    """One call of a session: what is new in it, and its answer."""

    number: int
    completion: Completion
    earlier: int
    """How many messages came before, or do not fit."""
    messages: Sequence[Message]
    answers: Sequence[Message]
    figures: Certainty | None
    levels: Sequence[int]


async def list_page(request: Request) -> Response:
    """`GET /sessions`: the sessions, newest first."""
    state = request.query_params
    number = read_place(state, "page", maximum=PAGES_MAX)
    store, owner = find_parts(request).store.sessions, request.state.key.organization_id
    sessions = await store.list(organization_id=owner, limit=PAGE + 1, offset=number * PAGE)
    openings = await store.list_openings(
        [each.id for each in sessions[:PAGE]], organization_id=owner
    )
    return await render(
        request,
        "sessions/list.html",
        title="Sessions",
        sessions=[
            (each, join_path("sessions", each.id), opening.asked if opening else "")
            for each in sessions[:PAGE]
            for opening in [openings.get(each.id)]
        ],
        has_more=len(sessions) > PAGE,
        page=number,
        link=Address("/sessions", state),
    )


async def show(request: Request) -> Response:
    """`GET /sessions/{id}`: its turns in order. Each shows only what it adds."""
    id, store = request.path_params["id"], find_parts(request).store
    organization_id = request.state.key.organization_id
    session = await store.sessions.retrieve(id, organization_id=organization_id)
    if session is None:
        raise NotFound(f"There is no session '{id}'.", param="id")
    state = request.query_params
    number = read_place(state, "page", maximum=PAGES_MAX)
    # One call before the page tells what is new in its first turn.
    skipped = max(0, number * TURNS - 1)
    page = await store.completions.list(
        Query(
            organization_id=organization_id,
            session_id=id,
            order="asc",
            offset=skipped,
            limit=TURNS + (number > 0),
        )
    )
    turns = await asyncio.to_thread(list_turns, page.completions, after=number * TURNS - skipped)
    first = number * TURNS
    turns = [turn._replace(number=first + at) for at, turn in enumerate(turns, 1)]
    grades = {turn.completion.id: await _list_grades(request, turn.completion) for turn in turns}
    return await render(
        request,
        "sessions/show.html",
        title=id,
        session=session,
        turns=turns,
        grades=grades,
        graded=sum(bool(each) for each in grades.values()),
        tags=_list_tags(page.completions),
        calls=draw_calls(page.completions),
        page=number,
        has_more=page.has_more,
        link=Address(join_path("sessions", id), state),
        export=Address("/completions/export", {"format": "jsonl", "range": ANY_TIME})(
            query=f"session = {quote(id)}"
        ),
    )


def list_turns(completions: Sequence[Completion], *, after: int = 0) -> list[Turn]:
    """The turns of a session. The first `after` calls only tell what is not new any more."""
    conversation = Turns()
    turns = [_read_turn(each, conversation) for each in completions]
    return turns[after:]


def draw_calls(completions: Sequence[Completion]) -> Markup | None:
    """When the calls were, and how long each took, as a line from the first to the last."""
    if not completions:
        return None
    begin = completions[0].created_at
    ends = [each.created_at + (each.duration_ms or 0) * 1000 for each in completions]
    whole = max(*ends, begin + 1) - begin
    return drawings.timeline(
        [
            (
                "failed" if each.status == "failed" else "answers",
                (each.created_at - begin) / whole,
                min(1.0, max((end - begin) / whole, (each.created_at - begin) / whole + 0.012)),
            )
            for each, end in zip(completions, ends, strict=True)
        ]
    )


def _read_turn(completion: Completion, conversation: Turns) -> Turn:
    messages = read_asked(completion).get("messages")
    messages = messages if isinstance(messages, list) else []
    new = {id(message) for message in conversation.take_new(messages)}
    places = [at for at, message in enumerate(messages) if id(message) in new][-MESSAGES_MAX:]
    answers = list_answers(completion)
    for answer in answers:
        conversation.take_answer({"role": "assistant", **answer.message})
    tokens = answers[0].tokens if answers else []
    return Turn(
        number=0,
        completion=completion,
        earlier=len(messages) - len(places),
        messages=[_name_tool(each, conversation) for each in view_chosen(messages, places)],
        answers=[view_answer(each, place=at) for at, each in enumerate(answers[:1])],
        figures=measure(tokens),
        levels=list_levels(tokens, bars=STRIP_BARS),
    )


def _name_tool(message: Message, conversation: Turns) -> Message:
    """The result of a tool that was called in an earlier turn, with the tool's name."""
    tool = conversation.find_tool(message.note) if message.role == "tool" else None
    return message._replace(note=tool) if tool else message


async def _list_grades(
    request: Request, completion: Completion
) -> list[tuple[Feedback, list[tuple[str, str]]]]:
    """The feedback about a turn that this key may see, with its values."""
    feedback, _ = await list_feedback(
        find_parts(request).store,
        organization_id=completion.organization_id,
        completion_id=completion.id,
        hidden_from=find_blinded(request.state.key),
    )
    return [(each, list(list_values(each.json_values))) for each in feedback]


def _list_tags(completions: Sequence[Completion]) -> list[str]:
    return list(dict.fromkeys(tag for each in completions for tag in each.tags))
