"""Edits a chat request in a form. What the form does not show stays in the request.

A posted form has the whole request as `request`, and what was edited beside it: `role.N`, `text.N`,
`text.N.M` (a part of a message), `called.N` (the id of the call that a result answers), `name.N.M`,
`id.N.M` and `arguments.N.M` (a tool call), `tool.N`, `parameter.NAME`, or `json` for all of it.
"""

from __future__ import annotations

import json as standard_json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects, members
from briggs.types.errors import InvalidRequest
from briggs.types.request import CreateChatCompletionRequest
from briggs.types.texts import read_called
from briggs.web.csrf import Form
from briggs.web.tint import normalise

BYTES_MAX = 4_000_000
"""A larger request is not edited in a browser."""
FIELDS_MAX = 3_000
"""A request with more texts, tools and parameters is not edited in a browser."""
ROLES = ("system", "developer", "user", "assistant", "tool")
TABS = ("messages", "tools", "parameters", "json")
COMMON = (
    *("temperature", "top_p", "n", "max_completion_tokens", "seed", "stop"),
    *("logprobs", "top_logprobs", "tool_choice", "response_format", "reasoning_effort"),
)
"""The parameters that are offered even if they are not set."""
PRESET: Mapping[str, Any] = {"logprobs": True, "top_logprobs": 5}
_ELSEWHERE = frozenset(("messages", "tools", "model", "stream", "stream_options"))
_KNOWN = tuple(CreateChatCompletionRequest.__struct_fields__)
_NEW_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
    },
}
_NEW_CALL = {"type": "function", "function": {"name": "", "arguments": "{}"}}


class Text(NamedTuple):
    """A text of a message, by the name of its field."""

    name: str
    text: str


class EditedCall(NamedTuple):
    """A tool call of a message. `place` is N.M in the names of its fields."""

    place: str
    id: str
    tool: str
    arguments: str


class EditedMessage(NamedTuple):
    """A message as the form shows it."""

    place: int
    role: str
    texts: list[Text]
    calls: list[EditedCall]
    called: str | None
    """The id of the call that a tool's result answers."""
    kept: list[str]
    """What the form does not show."""


class EditedTool(NamedTuple):
    """A tool, as JSON."""

    name: str
    title: str
    text: str


class Parameter(NamedTuple):
    """A parameter, as JSON or plain text. Empty if it is not set."""

    name: str
    text: str


class Editor(NamedTuple):
    """A request as the form shows it."""

    tab: str
    whole: str
    """The request as JSON in ASCII, for the field `request`."""
    messages: list[EditedMessage]
    tools: list[EditedTool]
    parameters: list[Parameter]
    set_count: int
    json: str
    problems: Mapping[str, str]
    """What is wrong, by the name of the field."""


class Edited(NamedTuple):
    """What a posted form says."""

    request: dict[str, Any]
    problems: dict[str, str]
    given: dict[str, str]
    """The texts that could not be read, by the name of the field."""


def create_request() -> dict[str, Any]:
    """An empty request."""
    return {"messages": [{"role": "user", "content": ""}], **PRESET}


def prepare(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded request, ready to be edited: without its model, and with logprobs asked for."""
    kept = {name: value for name, value in asked.items() if name not in _ELSEWHERE}
    for name in ("messages", "tools"):
        if name in asked:
            kept[name] = asked[name]
    kept.setdefault("messages", [])
    return kept if kept.get("logprobs") else {**kept, **PRESET}


def drop_blank(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request to send: without messages of the system in which nothing was written."""
    if "messages" not in request:
        return dict(request)
    messages = [each for each in _list(request, "messages") if not _is_blank(each)]
    return {**request, "messages": messages}


def read_edited(form: Form) -> Edited:
    """The request of a posted form. Raises `InvalidRequest` if it has none."""
    if "json" in form:
        return _read_json(form["json"], before=_read_whole(form))
    request = _read_whole(form)
    problems: dict[str, str] = {}
    given: dict[str, str] = {}
    for place, message in enumerate(_list(request, "messages")):
        if isinstance(message, dict):
            _merge_message(message, place, form)
    for place in range(len(_list(request, "tools"))):
        name = f"tool.{place}"
        if name in form:
            try:
                request["tools"][place] = json.decode(form[name])
            except msgspec.DecodeError as error:
                problems[name], given[name] = f"This is not JSON: {error}.", form[name]
    for field, text in form.items():
        if field.startswith("parameter."):
            _merge_parameter(request, field.removeprefix("parameter."), text)
    return Edited(request, problems, given)


def act(request: dict[str, Any], action: str) -> None:
    """Change a request as a button of the form says. What names no place does nothing."""
    verb, _, place = action.partition(".")
    messages, tools = _list(request, "messages"), _list(request, "tools")
    numbers = [int(each) for each in place.split(".") if each.isascii() and each.isdecimal()]
    first = numbers[0] if numbers else -1
    if verb == "add":
        last = members(messages[-1]).get("role") if messages else None
        role = "assistant" if last == "user" else "user"
        request["messages"] = [*messages, {"role": role, "content": ""}]
    elif verb == "add-system":
        request["messages"] = [{"role": "system", "content": ""}, *messages]
    elif verb == "add-tool":
        request["tools"] = [*tools, _NEW_TOOL]
    elif verb == "remove" and 0 <= first < len(messages):
        del messages[first]
    elif verb == "up" and 0 < first < len(messages):
        messages[first - 1], messages[first] = messages[first], messages[first - 1]
    elif verb == "remove-tool" and 0 <= first < len(tools):
        del tools[first]
        if not tools:
            del request["tools"]
    elif verb == "call" and 0 <= first < len(messages):
        _add_call(members(messages[first]))
    elif verb == "uncall" and len(numbers) == 2 and 0 <= first < len(messages):
        _remove_call(members(messages[first]), numbers[1])


def view_editor(edited: Edited, *, tab: str) -> Editor:
    """A request as the form shows it."""
    request, given = edited.request, edited.given
    messages = _list(request, "messages")
    names = [name for name in _KNOWN if name in request and name not in _ELSEWHERE]
    names += [name for name in request if name not in _KNOWN]
    shown = [*names, *(name for name in COMMON if name not in names and tab == "parameters")]
    return Editor(
        tab=tab,
        whole=standard_json.dumps(request, separators=(",", ":")),
        messages=[_view_message(each, place) for place, each in enumerate(messages)],
        tools=[
            EditedTool(
                f"tool.{place}",
                str(read_called(members(tool)).get("name") or members(tool).get("type") or "tool"),
                given.get(f"tool.{place}") or _write(tool),
            )
            for place, tool in enumerate(_list(request, "tools"))
        ],
        parameters=[
            Parameter(name, _write_parameter(request[name]) if name in request else "")
            for name in shown
        ],
        set_count=len(names),
        json=given.get("json") or _write(request) if tab == "json" else "",
        problems=edited.problems,
    )


def count_fields(editor: Editor) -> int:
    """How many fields the form of a request has, on any of its tabs."""
    messages = sum(1 + len(each.texts) + 3 * len(each.calls) for each in editor.messages)
    return messages + len(editor.tools) + len(editor.parameters)


def _read_whole(form: Form) -> dict[str, Any]:
    try:
        request = json.decode(form.get("request", ""))
    except msgspec.DecodeError as error:
        raise InvalidRequest("The form has no request: send it from its page.") from error
    return members(request)


def _read_json(text: str, *, before: dict[str, Any]) -> Edited:
    try:
        request = json.decode(text)
    except msgspec.DecodeError as error:
        return Edited(before, {"json": f"This is not JSON: {error}."}, {"json": text})
    if not isinstance(request, dict) or not isinstance(request.get("messages"), list):
        return Edited(
            before,
            {"json": 'The request must be an object with a list of "messages".'},
            {"json": text},
        )
    return Edited({each: request[each] for each in request if each != "model"}, {}, {})


def _merge_message(message: dict[str, Any], place: int, form: Form) -> None:
    if role := form.get(f"role.{place}"):
        message["role"] = role
    content = message.get("content")
    if f"text.{place}" in form:
        text = _keep(form[f"text.{place}"], content if isinstance(content, str) else "")
        # An assistant's message with tool calls has no content, which is not an empty one.
        if text or isinstance(content, str):
            message["content"] = text
    for at, part in enumerate(content if isinstance(content, list) else ()):
        if f"text.{place}.{at}" in form:
            part["text"] = _keep(form[f"text.{place}.{at}"], part["text"])
    if f"called.{place}" in form:
        message["tool_call_id"] = _keep(form[f"called.{place}"], message.get("tool_call_id"))
    for at, call in enumerate(list_objects(message.get("tool_calls"))):
        called = read_called(call)
        for field, owner, member in (
            ("name", called, "name"),
            ("arguments", called, _name_arguments(called)),
            ("id", call, "id"),
        ):
            given = form.get(f"{field}.{place}.{at}")
            if given is not None:
                owner[member] = _keep(given, owner.get(member))


def _merge_parameter(request: dict[str, Any], name: str, text: str) -> None:
    if name in _ELSEWHERE:
        return
    if not text.strip():
        request.pop(name, None)
    elif name not in request or text != _write_parameter(request[name]):
        try:
            request[name] = json.decode(text)
        except msgspec.DecodeError:
            request[name] = text.strip()


def _keep(given: str, original: Any) -> str:
    """What was given, or the original where a browser cannot send it back as it is."""
    given = given.replace("\r\n", "\n")
    return original if isinstance(original, str) and given == _show(original) else given


def _show(text: str) -> str:
    """A text as a browser sends it back if nobody changes it."""
    return normalise(text).encode("utf-8", "replace").decode()


def _view_message(message: Any, place: int) -> EditedMessage:
    if not isinstance(message, dict):
        return EditedMessage(place, "message", [], [], None, ["a message that is no object"])
    content = message.get("content")
    role = str(message.get("role") or "")
    return EditedMessage(
        place=place,
        role=role,
        texts=list(_list_texts(content, place)),
        calls=[
            EditedCall(
                f"{place}.{at}",
                str(call.get("id") or ""),
                str(called.get("name") or ""),
                str(called.get(_name_arguments(called)) or ""),
            )
            for at, call in enumerate(list_objects(message.get("tool_calls")))
            for called in (read_called(call),)
        ],
        called=str(message.get("tool_call_id") or "") if role == "tool" else None,
        kept=list(_list_kept(message)),
    )


def _list_texts(content: Any, place: int) -> Iterator[Text]:
    if content is None or isinstance(content, str):
        yield Text(f"text.{place}", content or "")
    for at, part in enumerate(content if isinstance(content, list) else ()):
        if _is_text(part):
            yield Text(f"text.{place}.{at}", part["text"])


def _list_kept(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if not _is_text(part):
            yield str(members(part).get("type") or "a part")
    shown = ("role", "content", "tool_calls", "tool_call_id")
    for name, value in message.items():
        if name not in shown and value not in (None, [], ""):
            yield name


def _is_blank(message: Any) -> bool:
    if members(message).get("role") not in ("system", "developer"):
        return False
    content = message.get("content")
    if content is None or isinstance(content, str):
        return not (content or "").strip()
    return isinstance(content, list) and not any(
        part["text"].strip() if _is_text(part) else True for part in content
    )


def _is_text(part: Any) -> bool:
    value = members(part)
    return value.get("type") == "text" and isinstance(value.get("text"), str)


def _name_arguments(called: Mapping[str, Any]) -> str:
    return "input" if "input" in called else "arguments"


def _add_call(message: dict[str, Any]) -> None:
    calls = list_objects(message.get("tool_calls"))
    message["tool_calls"] = [*calls, {"id": f"call_{len(calls) + 1}", **_NEW_CALL}]


def _remove_call(message: dict[str, Any], place: int) -> None:
    calls = list_objects(message.get("tool_calls"))
    message["tool_calls"] = [call for at, call in enumerate(calls) if at != place]
    if not message["tool_calls"]:
        del message["tool_calls"]


def _list(request: Mapping[str, Any], name: str) -> list[Any]:
    value = request.get(name)
    return value if isinstance(value, list) else []


def _write(value: Any) -> str:
    return json.lay_out(value)


def _write_parameter(value: Any) -> str:
    """A value on one line. A text that could be nothing else has no quotes."""
    if isinstance(value, str) and value.strip() == value and value.isprintable() and value:
        try:
            json.decode(value)
        except msgspec.DecodeError:
            return value
    return json.lay_out(value, indent=None)
