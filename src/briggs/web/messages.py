"""Messages as they are shown: texts, images, tool calls with their results, reasoning."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects, members, text
from briggs.types.texts import content_text, read_called
from briggs.types.tokens import ChoiceTokens, Piece, Speller
from briggs.web.figures import plural
from briggs.web.markdown import is_link
from briggs.web.tint import Tinted, align, normalise

SHOWN_MAX = 40
"""The most messages that one page shows."""
CHARACTERS_MAX = 16_000
"""The most characters of one text on one page."""
CHARACTERS_OF_PAGE = 80_000
"""The most characters of all texts on one page. Beyond it, texts are cut at `EXCERPT`."""
EXCERPT = 400
PARTS_MAX = 100
"""The most parts, and the most calls, of one message on one page."""
FIELDS_MAX = 40
FIELD_CHARACTERS_MAX = 4_000
INDENTED_MAX = 64 * 1024
"""JSON up to this size is indented."""
ANNOTATIONS_MAX = 40
LINE_CHARACTERS = 90
DEPTH_MAX = 20
"""What is deeper in JSON stays on one line."""

Name = tuple[int, int]
"""The place of a message, and that of a part of it."""


class Part(NamedTuple):
    """One part of what a message says."""

    kind: Literal["text", "refusal", "reasoning", "image", "link", "note"]
    text: Tinted
    """For an image its description, for a link its address."""
    name: Name
    is_cut: bool = False
    characters: int = 0
    part: int = 0
    """Which part of a long answer this is, and of how many."""
    parts: int = 1


class Field(NamedTuple):
    """One argument of a tool call."""

    name: str
    value: str


class Result(NamedTuple):
    """What a tool gave back."""

    text: str
    bytes: int
    name: Name
    is_cut: bool


class Call(NamedTuple):
    """A tool call, and its result if that is known."""

    id: str
    tool: str
    fields: Sequence[Field]
    """Its arguments, if they are an object. Otherwise `text` has them as they came."""
    text: str
    result: Result | None


class Message(NamedTuple):
    """One message of a request, or one choice of the answer."""

    role: str
    note: str
    """What stands below the role, such as its name or how it ended."""
    is_folded: bool
    parts: Sequence[Part]
    calls: Sequence[Call]
    citations: Sequence[tuple[str, str]] = ()
    """The titles and addresses of the pages that the answer cites."""
    summary: str = ""
    """The beginning of a folded message."""


class View(NamedTuple):
    """The messages of one page."""

    messages: Sequence[Message]
    earlier: int
    """How many messages before these are not shown."""


def view_messages(messages: Sequence[Any], *, first: int | None = None) -> View:
    """The messages of a request: the last ones, or those from the given place on."""
    start = max(0, len(messages) - SHOWN_MAX) if first is None else first
    places = range(start, min(start + SHOWN_MAX, len(messages)))
    return View(view_chosen(messages, places), start)


def view_chosen(messages: Sequence[Any], places: Iterable[int]) -> list[Message]:
    """The messages of a request at these places. A result is shown with its call, if that is."""
    reader = _Reader(_find_results(messages))
    return [
        reader.read(messages[place], place)
        for place in places
        if not reader.is_shown_with_call(messages[place])
    ]


def view_answer(answer: ChoiceTokens, *, place: int, part: int = 0) -> Message:
    """One choice of the answer, with its tokens, and of a long text one part."""
    message = {"role": "assistant", **answer.message}
    pieces = Speller().spell(answer.tokens)
    reason = f"finish: {answer.finish_reason}" if answer.finish_reason else ""
    reader = _Reader({}, part=part)
    return reader.read(message, -1 - place, pieces=pieces)._replace(note=reason)


def find_part(answer: ChoiceTokens, *, token: int) -> int:
    """The part of an answer that a token is in."""
    said = normalise(spoken_text(answer))
    tinted = align(said, Speller().spell(answer.tokens[: token + 1]))
    at = tinted.spans[-1].start if tinted.spans else 0
    return bisect.bisect_right(list_breaks(said), at) - 1


def spoken_text(answer: ChoiceTokens) -> str:
    """The text that the tokens of an answer spell."""
    content = answer.message.get("content")
    return (
        content
        if isinstance(content, str) and content
        else str(answer.message.get("refusal") or "")
    )


class _Reader:
    """Reads messages of any shape, and counts the characters of the page."""

    def __init__(self, results: dict[str, tuple[int, Any]], *, part: int | None = None) -> None:
        self._results = results
        self._part = part
        """Of a long answer, the part to show."""
        self._left = CHARACTERS_OF_PAGE
        self._paired: set[int] = set()

    def is_shown_with_call(self, message: Any) -> bool:
        """Whether a tool's result was shown below its call."""
        return id(message) in self._paired

    def read(self, message: Any, place: int, *, pieces: Iterable[Piece] = ()) -> Message:
        if not isinstance(message, dict):
            said = message if isinstance(message, str) else _indent(message)
            return Message("message", "", False, [self._say(said, (place, 0))], [])
        role = str(message.get("role") or "message")
        is_folded = role in ("system", "developer")
        called_all = list_objects(message.get("tool_calls"))
        calls = [self._read_call(call) for call in called_all[:PARTS_MAX]]
        if called := members(message.get("function_call")):
            calls.append(self._read_call({"function": called}))
        return Message(
            role=role,
            note="calls a tool"
            if calls
            else str(message.get("name") or message.get("tool_call_id") or ""),
            is_folded=is_folded,
            parts=[
                *self._list_parts(message, place, pieces),
                *_note_more(len(called_all), "call", (place, -4)),
            ],
            calls=calls,
            citations=_list_citations(message),
            summary=" ".join(content_text(message.get("content"))[:EXCERPT].split())
            if is_folded
            else "",
        )

    def _list_parts(
        self, message: dict[str, Any], place: int, pieces: Iterable[Piece]
    ) -> list[Part]:
        parts: list[Part] = []
        reasoning = text(message.get("reasoning_content")) or text(message.get("reasoning"))
        if reasoning:
            parts.append(self._say(reasoning, (place, -1), kind="reasoning"))
        content = message.get("content")
        if isinstance(content, list):
            for at, part in enumerate(content[:PARTS_MAX]):
                parts.append(self._read_part(part, (place, at)))
            parts += _note_more(len(content), "part", (place, -5))
        elif isinstance(content, str) and content:
            parts.append(self._say(content, (place, 0), pieces=pieces))
        if refusal := text(message.get("refusal")):
            spelled = () if content else pieces
            parts.append(self._say(refusal, (place, -2), kind="refusal", pieces=spelled))
        if audio := members(message.get("audio")):
            said = text(audio.get("transcript"))
            note = "audio" if said else "audio without a transcript"
            parts.append(_note(note, (place, -3)))
            if said:
                parts.append(self._say(said, (place, -3)))
        return parts

    def _read_part(self, part: Any, name: Name) -> Part:
        value = members(part)
        kind = value.get("type")
        if kind in ("text", "refusal") and isinstance(value.get(kind), str):
            return self._say(value[kind], name, kind=kind)
        if kind == "image_url":
            url = members(value.get("image_url")).get("url", value.get("image_url"))
            return _read_image(url if isinstance(url, str) else "", name)
        if kind == "input_audio":
            audio = members(value.get("input_audio"))
            size = len(str(audio.get("data", ""))) * 3 // 4
            return _note(
                f"audio, {audio.get('format', 'of an unknown format')}, {size:,} bytes", name
            )
        if kind == "file":
            file = members(value.get("file"))
            return _note(f"file {file.get('filename') or file.get('file_id') or ''}".strip(), name)
        return self._say(_indent(part), name, kind="note")

    def _say(
        self, said: str, name: Name, *, kind: Any = "text", pieces: Iterable[Piece] = ()
    ) -> Part:
        """A text, as far as the page has room for it."""
        if self._part is not None and kind in ("text", "refusal"):
            tinted, parts = cut_text(said, self._part, pieces=pieces)
            return Part(kind, tinted, name, False, len(said), self._part, parts)
        limit = CHARACTERS_MAX if self._left > CHARACTERS_MAX else max(self._left, EXCERPT)
        said = normalise(said)
        end = find_break(said, 0, limit)
        self._left -= end
        return Part(kind, align(said[:end], pieces), name, end < len(said), len(said))

    def _read_call(self, call: dict[str, Any]) -> Call:
        called = read_called(call)
        given = called.get("arguments", called.get("input", ""))
        id = str(call.get("id") or "")
        written = given if isinstance(given, str) else _indent(given)
        fields = _read_fields(written)
        return Call(
            id=id,
            tool=str(called.get("name") or "a tool"),
            fields=fields,
            text="" if fields else written[:FIELD_CHARACTERS_MAX],
            result=self._read_result(id),
        )

    def _read_result(self, call_id: str) -> Result | None:
        place, message = self._results.get(call_id, (0, None))
        if message is None:
            return None
        self._paired.add(id(message))
        said = content_text(message.get("content"))
        shown = _indent_text(said)[:CHARACTERS_MAX]
        size = len(said.encode("utf-8", "replace"))
        return Result(shown, size, (place, 0), len(said) > CHARACTERS_MAX)


def find_break(text: str, start: int, size: int) -> int:
    """Where a part that begins at `start` ends: after a paragraph, a line or a word if it can."""
    end = start + size
    if end >= len(text):
        return len(text)
    for mark in ("\n\n", "\n", " "):
        found = text.rfind(mark, start + size // 2, end)
        if found > 0:
            return found + len(mark)
    return end


def cut_text(said: str, part: int, *, pieces: Iterable[Piece] = ()) -> tuple[Tinted, int]:
    """One part of a long text, from 0, and how many parts there are."""
    said = normalise(said)
    breaks = [*list_breaks(said), len(said)]
    start, end = breaks[part : part + 2] if part + 1 < len(breaks) else (len(said), len(said))
    return align(said[:end], pieces).cut(start, end), len(breaks) - 1


def list_breaks(said: str) -> list[int]:
    """Where the parts of a long text begin."""
    breaks = [0]
    while (end := find_break(said, breaks[-1], CHARACTERS_MAX)) < len(said):
        breaks.append(end)
    return breaks


def find_text(messages: Sequence[Any], answers: Sequence[ChoiceTokens], name: Name) -> str | None:
    """The whole text of a part by its name. None if there is none."""
    place, at = name
    if place >= 0:
        message = messages[place] if place < len(messages) else None
    else:
        answer = -1 - place
        message = answers[answer].message if answer < len(answers) else None
    if not isinstance(message, dict):
        return None if message is None or at else str(message)
    if at < 0:
        named = {
            -1: message.get("reasoning_content") or message.get("reasoning"),
            -2: message.get("refusal"),
            -3: members(message.get("audio")).get("transcript"),
        }
        return text(named.get(at))
    content = message.get("content")
    if isinstance(content, list):
        part = content[at] if at < len(content) else None
        return None if part is None else content_text([part]) or _indent(part)
    return content if isinstance(content, str) and at == 0 else None


def find_image(messages: Sequence[Any], name: Name) -> str | None:
    """The data URL of an image by its name. None if there is none."""
    place, at = name
    message = members(messages[place]) if 0 <= place < len(messages) else {}
    content = message.get("content")
    part = members(content[at]) if isinstance(content, list) and 0 <= at < len(content) else {}
    return text(members(part.get("image_url")).get("url", part.get("image_url")))


def _find_results(messages: Sequence[Any]) -> dict[str, tuple[int, Any]]:
    """The results of tools, with their places, by the id of the call."""
    return {
        str(message["tool_call_id"]): (place, message)
        for place, message in enumerate(messages)
        if isinstance(message, dict) and message.get("tool_call_id")
    }


def _read_image(url: str, name: Name) -> Part:
    if url.startswith("data:image/"):
        kind = url[5 : url.find(";")] if ";" in url[:40] else "an image"
        return Part("image", align(kind), name, characters=len(url))
    if is_link(url):
        return Part("link", align(url[:2_000]), name)
    return _note("an image that cannot be shown", name)


def _note(said: str, name: Name) -> Part:
    return Part("note", align(said), name, False, len(said))


def _note_more(count: int, what: str, name: Name) -> list[Part]:
    """What is left out of a message, if anything is."""
    if count <= PARTS_MAX:
        return []
    return [_note(f"{plural(count - PARTS_MAX, f'more {what}')}, not shown here", name)]


def _list_citations(message: dict[str, Any]) -> list[tuple[str, str]]:
    cited = [members(each.get("url_citation")) for each in list_objects(message.get("annotations"))]
    return [
        (str(each.get("title") or each["url"]), each["url"])
        for each in cited[:ANNOTATIONS_MAX]
        if isinstance(each.get("url"), str) and is_link(each["url"])
    ]


def _read_fields(arguments: str) -> list[Field]:
    """The members of a JSON object. Empty for anything else."""
    if len(arguments) > INDENTED_MAX:
        return []
    try:
        value = json.decode(arguments)
    except msgspec.DecodeError:
        # A model may write invalid JSON. It is then shown unchanged.
        return []
    return [
        Field(name, (each if isinstance(each, str) else _compact(each))[:FIELD_CHARACTERS_MAX])
        for name, each in list(members(value).items())[:FIELDS_MAX]
    ]


def _indent_text(said: str) -> str:
    """A text that is JSON, indented; any other as it is."""
    if len(said) > INDENTED_MAX or not said.lstrip().startswith(("{", "[")):
        return said
    try:
        return _indent(json.decode(said))
    except msgspec.DecodeError:
        return said


def _indent(value: Any, *, depth: int = 0) -> str:
    """JSON on several lines. What is short, large or deep stays on one."""
    line = _compact(value)
    is_plain = depth == DEPTH_MAX or not isinstance(value, dict | list)
    if is_plain or not LINE_CHARACTERS < len(line) <= INDENTED_MAX:
        return line
    space = "  " * (depth + 1)
    inner = (
        (f"{_compact(name)}: {_indent(each, depth=depth + 1)}" for name, each in value.items())
        if isinstance(value, dict)
        else (_indent(each, depth=depth + 1) for each in value)
    )
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return f"{begin}\n{space}" + f",\n{space}".join(inner) + f"\n{'  ' * depth}{end}"


def _compact(value: Any) -> str:
    return json.lay_out(value, indent=None)
