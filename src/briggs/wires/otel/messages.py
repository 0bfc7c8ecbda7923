"""Reads the messages of a span, by each convention, as messages of a chat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects, members, text
from briggs.wires.otel.spans import SpanEvent, TraceSpan

_Message = dict[str, Any]
_Choice = tuple[_Message, str | None]
"""A message of an answer, and why it ended."""

_INPUT_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}


def list_input(span: TraceSpan) -> list[_Message]:
    """The messages that were sent to the model, by the first convention that has some."""
    return next(filter(None, (read(span) for read in _INPUT)), [])


def list_output(span: TraceSpan) -> list[_Choice]:
    """The messages that the model answered, one for each choice."""
    return next(filter(None, (read(span) for read in _OUTPUT)), [])


def list_tools(span: TraceSpan) -> list[dict[str, Any]]:
    """The tools that the model could call, as a chat completion's."""
    attributes = span.attributes
    defined = read_value(attributes.get("gen_ai.tool.definitions"))
    if not defined:
        named = read_value(attributes.get("llm.invocation_parameters"))
        defined = members(named).get("tools")
    if not defined:
        defined = [
            read_value(members(tool.get("tool")).get("json_schema"))
            for tool in _gather(attributes, "llm.tools.")
        ] or _gather(attributes, "llm.request.functions.")
    return [_read_tool(tool) for tool in list_objects(defined)]


def read_value(value: Any) -> Any:
    """An attribute that may be structured or JSON text. A text that is not JSON stays a text."""
    if not isinstance(value, str):
        return value
    try:
        return json.decode(value)
    except msgspec.DecodeError:
        return value


def _read_parts_input(span: TraceSpan) -> list[_Message]:
    """`gen_ai.input.messages`, of the conventions since 1.37."""
    said: list[_Message] = []
    system = read_value(span.attributes.get("gen_ai.system_instructions"))
    if isinstance(system, str) or list_objects(system):
        said += _read_parts({"role": "system", "parts": system})
    for message in list_objects(read_value(span.attributes.get("gen_ai.input.messages"))):
        said += _read_parts(message)
    return said


def _read_parts_output(span: TraceSpan) -> list[_Choice]:
    """`gen_ai.output.messages`: a message is a choice."""
    choices: list[_Choice] = []
    for message in list_objects(read_value(span.attributes.get("gen_ai.output.messages"))):
        said = [*_read_parts({"role": "assistant", **message}), {"role": "assistant"}][0]
        choices.append((said, text(message.get("finish_reason"))))
    return choices


def _read_parts(message: Mapping[str, Any]) -> Iterator[_Message]:
    """A message in parts. Each result of a tool becomes a message of its own."""
    given = message.get("parts", message.get("content"))
    if isinstance(given, str):
        given = [{"type": "text", "content": given}]
    content: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[str] = []
    is_answered = False
    for part in list_objects(given):
        match part:
            case {"type": "tool_call"}:
                calls.append(_write_call(part))
            case {"type": "tool_call_response"}:
                is_answered = True
                yield _write_result(part.get("id"), part.get("response", part.get("result")))
            case {"type": "reasoning" | "thinking", "content": str(thought)}:
                thoughts.append(thought)
            case _:
                content.append(_read_part(part))
    if content or calls or thoughts or not is_answered:
        yield _write_message(text(message.get("role")) or "user", content, calls, thoughts)


def _read_part(part: dict[str, Any]) -> dict[str, Any]:
    match part:
        case {"type": "text", "content": str(said)} | {"type": "text", "text": str(said)}:
            return {"type": "text", "text": said}
        case {"type": "blob", "modality": "image", "content": str(data)}:
            kind = text(part.get("mime_type")) or "image/png"
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
        case {"type": "uri" | "file_data", "modality": "image", "uri": str(uri)}:
            return {"type": "image_url", "image_url": {"url": uri}}
    return part


def _read_events(span: TraceSpan) -> list[_Message]:
    """An event for each message, of the conventions 1.28 to 1.36; one for all, of 1.27."""
    said: list[_Message] = []
    for event in span.events:
        if event.name in _INPUT_EVENTS:
            said.append(_read_flat(event.attributes, role=_INPUT_EVENTS[event.name]))
        elif event.name == "gen_ai.content.prompt":
            said += list_objects(read_value(event.attributes.get("gen_ai.prompt")))
    return said


def _read_choice_events(span: TraceSpan) -> list[_Choice]:
    choices: list[_Choice] = []
    for event in span.events:
        if event.name == "gen_ai.choice":
            choices.append(_read_choice(event))
        elif event.name == "gen_ai.content.completion":
            said = list_objects(read_value(event.attributes.get("gen_ai.completion")))
            choices += [(message, text(message.pop("finish_reason", None))) for message in said]
    return choices


def _read_choice(event: SpanEvent) -> _Choice:
    message = members(read_value(event.attributes.get("message"))) or event.attributes
    return _read_flat(message, role="assistant"), text(event.attributes.get("finish_reason"))


def _read_indexed(span: TraceSpan) -> list[_Message]:
    """`gen_ai.prompt.0.role` and so on, of OpenLLMetry before 0.50."""
    return [_read_flat(each, role="user") for each in _gather(span.attributes, "gen_ai.prompt.")]


def _read_indexed_output(span: TraceSpan) -> list[_Choice]:
    return [
        (_read_flat(each, role="assistant"), text(each.get("finish_reason")))
        for each in _gather(span.attributes, "gen_ai.completion.")
    ]


def _read_flat(said: Mapping[str, Any], *, role: str) -> _Message:
    """A message whose content is a text, or a text of JSON with parts."""
    content = read_value(said.get("content"))
    if not isinstance(content, str | list | None):
        content = said.get("content")
    message: _Message = {"role": text(said.get("role")) or role, "content": content}
    calls = read_value(said.get("tool_calls"))
    if calls := [_write_call(call) for call in list_objects(calls)]:
        message["tool_calls"] = calls
    if message["role"] == "tool":
        message["tool_call_id"] = text(said.get("tool_call_id")) or text(said.get("id")) or ""
    return message


def _read_openinference(span: TraceSpan) -> list[_Message]:
    """`llm.input_messages.0.message.role` and so on."""
    found = _gather(span.attributes, "llm.input_messages.")
    return [_read_named(members(each.get("message"))) for each in found]


def _read_openinference_output(span: TraceSpan) -> list[_Choice]:
    found = _gather(span.attributes, "llm.output_messages.")
    return [(_read_named(members(each.get("message"))), None) for each in found]


def _read_named(said: Mapping[str, Any]) -> _Message:
    parts = [members(each.get("message_content")) for each in list_objects(said.get("contents"))]
    calls = [
        _write_call(members(each.get("tool_call"))) for each in list_objects(said.get("tool_calls"))
    ]
    content = [_read_named_part(part) for part in parts if part.get("type") != "tool_use"]
    if isinstance(said.get("content"), str):
        content = [{"type": "text", "text": said["content"]}, *content]
    role = text(said.get("role")) or "user"
    message = _write_message(role, content, calls, [])
    if role == "tool":
        message["tool_call_id"] = text(said.get("tool_call_id")) or ""
    return message


def _read_named_part(part: dict[str, Any]) -> dict[str, Any]:
    url = members(members(part.get("image")).get("image")).get("url")
    return {"type": "image_url", "image_url": {"url": url}} if isinstance(url, str) else part


def _read_values(span: TraceSpan) -> list[_Message]:
    """`input.value`, if it is nothing but a text."""
    said = text(span.attributes.get("input.value"))
    return [{"role": "user", "content": said}] if said else []


def _read_values_output(span: TraceSpan) -> list[_Choice]:
    said = text(span.attributes.get("output.value"))
    return [({"role": "assistant", "content": said}, None)] if said else []


_INPUT: tuple[Callable[[TraceSpan], list[_Message]], ...] = (
    *(_read_parts_input, _read_openinference, _read_events, _read_indexed, _read_values),
)
_OUTPUT: tuple[Callable[[TraceSpan], list[_Choice]], ...] = (
    *(_read_parts_output, _read_openinference_output, _read_choice_events),
    *(_read_indexed_output, _read_values_output),
)


def _gather(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """The objects of a list that is spread over attributes, such as `llm.tools.0.name`."""
    root: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            node = root
            *path, last = name.removeprefix(prefix).split(".")[:_DEPTH_MAX]
            for step in path:
                node = node.setdefault(step, {})
                if not isinstance(node, dict):
                    break
            else:
                node[last] = value
    return list_objects(_list_numbered(root))


_DEPTH_MAX = 20


def _list_numbered(node: Any) -> Any:
    """Turn each object whose names are all numbers into a list, in their order."""
    if not isinstance(node, dict):
        return node
    values = {name: _list_numbered(value) for name, value in node.items()}
    if values and all(name.isascii() and name.isdigit() for name in values):
        return [values[name] for name in sorted(values, key=lambda name: (len(name), name))]
    return values


def _write_message(
    role: str, content: list[dict[str, Any]], calls: list[dict[str, Any]], thoughts: list[str]
) -> _Message:
    message: _Message = {"role": role, "content": _join(content)}
    if calls:
        message["tool_calls"] = calls
    if thoughts:
        message["reasoning_content"] = "\n".join(thoughts)
    return message


def _join(content: list[dict[str, Any]]) -> Any:
    """One text, if there is nothing but one."""
    if len(content) == 1 and content[0].get("type") == "text":
        return content[0].get("text")
    return content or None


def _write_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = members(call.get("function")) or call
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else json.encode(arguments).decode()
    name = text(function.get("name")) or ""
    id = text(call.get("id")) or name
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _write_result(id: Any, result: Any) -> _Message:
    if not isinstance(result, str):
        result = "" if result is None else json.encode(result).decode()
    return {"role": "tool", "tool_call_id": text(id) or "", "content": result}


def _read_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if isinstance(tool.get("function"), dict) or not text(tool.get("name")):
        return tool
    parameters = read_value(tool.get("parameters", tool.get("input_schema")))
    function = {"name": tool["name"], "description": tool.get("description")}
    if parameters is not None:
        function["parameters"] = parameters
    return {
        "type": "function",
        "function": {name: value for name, value in function.items() if value is not None},
    }
