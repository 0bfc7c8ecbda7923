"""Everything that the page of one completion shows, computed from its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from markupsafe import Markup

from briggs.record.bodies import list_answers, read_asked
from briggs.types import json
from briggs.types.any_json import list_objects
from briggs.types.completions import TEXTLESS, Completion
from briggs.types.differences import compare_words
from briggs.types.probabilities import Certainty, measure
from briggs.types.request import CreateChatCompletionRequest
from briggs.types.texts import message_text, printable, read_called
from briggs.types.tokens import ChoiceTokens, Speller
from briggs.web.addresses import read_option, read_place
from briggs.web.checks import BrokenRule, list_broken_rules
from briggs.web.figures import plural
from briggs.web.messages import (
    Message,
    View,
    find_break,
    find_part,
    spoken_text,
    view_answer,
    view_messages,
)
from briggs.web.probabilities import (
    Choice,
    Parting,
    Probabilities,
    view_choices,
    view_parting,
    view_probabilities,
)
from briggs.web.timeline import Step, Timeline, create_timeline, list_steps
from briggs.web.tint import Tinted, align, mark, mark_pieces, normalise

TABS = (
    "messages",
    "probabilities",
    "attempts",
    "rules",
    "parameters",
    "session",
    "feedback",
    "raw",
)
FORMATS = ("formatted", "text", "json")
TINTS = ("all", "half", "off")
CHOICES_MAX = 8
"""The most choices that are shown side by side."""
TITLE_CHARACTERS_MAX = 120
BESIDE_CHARACTERS_MAX = 1_500
CONTEXT_TOKENS = 4
JSON_CHARACTERS_MAX = 64 * 1024
VALUE_CHARACTERS_MAX = 2_000
LINE_CHARACTERS_MAX = 60
TOOLS_MAX = 60
PARAMETERS_MAX = 200

_SHOWN = frozenset(("model", "messages", "tools", "functions", "metadata"))
_REQUEST = tuple(CreateChatCompletionRequest.__struct_fields__)


class Wish(NamedTuple):
    """What the URL asks to see."""

    tab: str
    format: str
    tint: str
    choice: int
    part: int
    token: int | None
    first: int | None
    """The first message to show. None for the last ones."""
    words: bool
    """Whether choices that are beside each other have the words marked that differ."""


class Tool(NamedTuple):
    """A tool that the request offers."""

    name: str
    description: str
    schema: str


class Beside(NamedTuple):
    """A choice as it stands beside the others."""

    finish_reason: str | None
    tokens: int
    figures: Certainty | None
    levels: Sequence[int]
    same: int
    """How many tokens at its beginning are the same in all choices, and are left out."""
    text: Markup
    more: int
    """How many characters do not fit."""


class Details(NamedTuple):
    """One completion, as its page and the panel of the list show it."""

    completion: Completion
    title: str
    wish: Wish
    view: View
    answers: Sequence[ChoiceTokens]
    choice: int
    """The place of the answer that is shown."""
    shown: Message | None
    """The answer that is shown."""
    textless: str
    """An answer without text, such as that of an embedding, as JSON."""
    probabilities: Probabilities | None
    choices: Sequence[Choice]
    parting: Parting | None
    beside: Sequence[Beside]
    timeline: Timeline | None
    steps: Sequence[Step]
    broken: Sequence[BrokenRule]
    broken_count: int
    parameters: Mapping[str, str]
    tools: Sequence[Tool]
    wants_logprobs: bool
    json: str


def read_wish(state: Mapping[str, str]) -> Wish:
    """What the URL asks to see. What it says wrong counts as not said."""
    return Wish(
        tab=read_option(state, "tab", TABS),
        format=read_option(state, "format", FORMATS),
        tint=read_option(state, "tint", TINTS),
        choice=read_place(state, "choice"),
        part=read_place(state, "part"),
        token=read_place(state, "token") if state.get("token") else None,
        first=read_place(state, "first") if state.get("first") else None,
        words=state.get("words") == "on",
    )


def read_details(completion: Completion, wish: Wish) -> Details:
    """Compute what is shown. This decodes the bodies, so a thread should do it."""
    request = read_asked(completion)
    messages = request.get("messages")
    messages = messages if isinstance(messages, list) else []
    answers = list_answers(completion)
    choice = wish.choice if wish.choice < len(answers) else 0
    answer = answers[choice] if answers else None
    tokens = answer.tokens if answer else []
    wish = _follow_token(wish, answer)
    choices, parting = view_choices(answers[:CHOICES_MAX]), view_parting(answers[:CHOICES_MAX])
    figures = choices[choice].figures if choice < len(choices) else measure(tokens)
    broken, broken_count = list_broken_rules(completion)
    return Details(
        completion=completion,
        title=write_title(messages) or completion.model or completion.id,
        wish=wish,
        view=view_messages(messages, first=wish.first),
        answers=answers,
        choice=choice,
        shown=view_answer(answer, place=choice, part=wish.part) if answer else None,
        textless=_write_textless(completion),
        probabilities=view_probabilities(tokens, figures) if figures else None,
        choices=choices,
        parting=parting,
        beside=_place_beside(answers, choices, parting, words=wish.words)
        if len(answers) > 1
        else [],
        timeline=create_timeline(completion),
        steps=list_steps(completion),
        broken=broken,
        broken_count=broken_count,
        parameters=_list_parameters(request),
        tools=_list_tools(request),
        wants_logprobs=request.get("logprobs") is True,
        json=_write_json(messages, answers) if wish.format == "json" else "",
    )


def write_title(messages: Sequence[Any]) -> str:
    """What was asked: the beginning of the last message of a user."""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            said = " ".join(message_text(message)[: 4 * TITLE_CHARACTERS_MAX].split())
            cut = said[:TITLE_CHARACTERS_MAX]
            return printable(cut if cut == said else f"{cut}…")
    return ""


def _place_beside(
    answers: Sequence[ChoiceTokens],
    choices: Sequence[Choice],
    parting: Parting | None,
    *,
    words: bool,
) -> list[Beside]:
    """The choices from a little before the place where they part. A single one is not shown."""
    if len(choices) < 2:
        return []
    same = max(0, parting.token - CONTEXT_TOKENS) if parting else 0
    texts = [_cut_beside(answer, same=same) for answer in answers[: len(choices)]]
    compared = [compare_words(texts[0].text.text, each.text.text) for each in texts[1:]]
    pieces = [compared[0][0], *(other for _, other in compared)]
    return [
        Beside(
            finish_reason=answer.finish_reason,
            tokens=len(answer.tokens),
            figures=choice.figures,
            levels=choice.levels,
            same=cut.same,
            text=mark_pieces(cut.text, marked, tag="ins") if words else mark(cut.text),
            more=cut.more,
        )
        for answer, choice, cut, marked in zip(answers, choices, texts, pieces, strict=False)
    ]


class _Cut(NamedTuple):
    text: Tinted
    same: int
    more: int


def _cut_beside(answer: ChoiceTokens, *, same: int) -> _Cut:
    """The text of a choice without its first tokens, and as far as there is room."""
    said = normalise(spoken_text(answer))
    whole = align(said, Speller().spell(answer.tokens))
    left_out = [span for span in whole.spans if span.piece.last < same]
    start = left_out[-1].end if left_out else 0
    end = find_break(said, start, BESIDE_CHARACTERS_MAX)
    return _Cut(whole.cut(start, end), same if left_out else 0, len(said) - end)


def _write_textless(completion: Completion) -> str:
    if completion.kind not in TEXTLESS or not completion.response:
        return ""
    try:
        return _cut_json(json.decode(completion.response))
    except msgspec.DecodeError:
        return ""


def _follow_token(wish: Wish, answer: ChoiceTokens | None) -> Wish:
    """Show the part of a long answer that has the token."""
    if wish.token is None or answer is None or wish.token >= len(answer.tokens):
        return wish._replace(token=None)
    return wish._replace(part=find_part(answer, token=wish.token))


def _without_logprobs(answers: Sequence[ChoiceTokens]) -> dict[str, Any]:
    return {
        "choices": [
            {"index": each.index, "finish_reason": each.finish_reason, "message": each.message}
            for each in answers
        ]
    }


def _list_parameters(request: Mapping[str, Any]) -> dict[str, str]:
    """The parameters as JSON: first those of the specification, in its order."""
    names = [name for name in _REQUEST if name in request]
    names += [name for name in request if name not in _REQUEST]
    names = [name for name in names if name not in _SHOWN]
    listed = {str(name): write_value(request[name]) for name in names[:PARAMETERS_MAX]}
    left = len(names) - len(listed)
    return listed | ({"…": f"{plural(left, 'more parameter')}, not shown here"} if left else {})


def write_value(value: Any) -> str:
    """A value as JSON, on one line if that is short, and cut where it is long."""
    written = value if isinstance(value, str) else json.lay_out(value, indent=None)
    if written is not value and len(written) > LINE_CHARACTERS_MAX:
        written = json.lay_out(value)
    if len(written) <= VALUE_CHARACTERS_MAX:
        return printable(written)
    return printable(f"{written[:VALUE_CHARACTERS_MAX]}…")


def _list_tools(request: Mapping[str, Any]) -> list[Tool]:
    offered = list_objects(request.get("tools")) or [
        {"function": each} for each in list_objects(request.get("functions"))
    ]
    return [
        Tool(
            name=printable(str(called.get("name") or tool.get("type") or "a tool")),
            description=printable(str(called.get("description") or "")[:VALUE_CHARACTERS_MAX]),
            schema=write_value(called.get("parameters", called.get("format", {}))),
        )
        for tool in offered[:TOOLS_MAX]
        for called in (read_called(tool) or tool,)
    ]


def _write_json(messages: Sequence[Any], answers: Sequence[ChoiceTokens]) -> str:
    return _cut_json({"messages": messages, **_without_logprobs(answers)})


def _cut_json(value: Any) -> str:
    written = json.lay_out(value)
    return printable(written[:JSON_CHARACTERS_MAX]) + "…" * (len(written) > JSON_CHARACTERS_MAX)
