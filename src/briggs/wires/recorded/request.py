"""Reads requests that were recorded elsewhere, in any vendor's format, as chat requests.

This is only a view: the record keeps the original bytes. Anything that a chat request cannot
express stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from briggs.types import json
from briggs.types.any_json import members, objects, text
from briggs.wires.ollama.chat import write_image
from briggs.wires.openai.responses.items import InputReader, find_kind, is_expressible

RecordedMessage = dict[str, Any]

HOLDERS = ("messages", "system", "prompt", "contents", "systemInstruction", "input")
"""The members of a request that hold messages: of chats, other vendors and older APIs."""
_ROLES = {"model": "assistant", "human": "user"}


def read_request(request: Any) -> dict[str, Any]:
    """Convert a request's `messages` and `tools` to OpenAI's format, and keep everything else.

    A request that is already in that format is returned unchanged.
    """
    if not isinstance(request, dict):
        return {"messages": list_messages(request)}
    read = dict(request)
    messages = list_messages(request)
    if messages != request.get("messages"):
        read["messages"] = messages
        # The messages contain these now.
        for name in ("system", "systemInstruction", "system_instruction", "contents"):
            read.pop(name, None)
        if "messages" not in request and messages:
            for name in ("input", "instructions"):
                read.pop(name, None)
    if tools := [_read_tool(tool) for _, tool in objects(request.get("tools"), "tools")]:
        read["tools"] = tools
    return request if read == request else read


def list_messages(request: Any) -> list[Any]:
    """The messages of a request. A plain prompt or a text is one message."""
    if isinstance(request, list):
        request = {"messages": request}
    if not isinstance(request, dict):
        return [] if request in (None, "") else [_say("user", request)]
    return [*_list_system(request), *_list_turns(request)]


def _list_turns(request: Mapping[str, Any]) -> Iterator[Any]:
    if isinstance(request.get("messages"), list):
        for message in request["messages"]:
            yield from _read_message(message)
        return
    for name in ("messages", "contents", "prompt", "input"):
        asked = request.get(name)
        if isinstance(asked, list) and any(map(_is_item, asked)):
            yield from _list_items(asked)
            return
        if isinstance(asked, list) and _is_one(asked):
            is_tokens = isinstance(asked[0], int)
            asked = [_say("user", json.encode(asked).decode() if is_tokens else asked)]
        for each in asked if isinstance(asked, list) else [] if asked in (None, "") else [asked]:
            if isinstance(each, dict) and "parts" in each:
                yield from _read_content(each)
            elif isinstance(each, dict):
                yield from _read_message(each)
            else:
                yield _say("user", each)
        if asked:
            return


def _is_item(each: Any) -> bool:
    """Whether it is an item of a response's input that is no message."""
    return is_expressible(each) and find_kind(members(each)) != "message"


def _list_items(items: list[Any]) -> Iterator[Any]:
    """Read the items of a response's input. One that no message can say stays as it is."""
    said: list[Any] = []
    for item in items:
        if is_expressible(item):
            said.append(item)
            continue
        yield from _join_items(said)
        said = []
        yield from _read_message(item)
    yield from _join_items(said)


def _join_items(items: list[Any]) -> Iterator[Any]:
    if all(item.get("type") == "reasoning" for item in items):
        yield from items
        return
    reader = InputReader({"input": items})
    if reader.refusal is None:
        yield from reader.messages
    else:
        for item in items:
            yield from _read_message(item)


def _is_one(asked: list[Any]) -> bool:
    """Whether a list is one text, in tokens or in the parts of a moderation."""
    are_tokens = all(isinstance(each, int) for each in asked)
    return bool(asked) and (
        are_tokens or all(members(each).get("type") in ("text", "image_url") for each in asked)
    )


def _list_system(request: Mapping[str, Any]) -> Iterator[RecordedMessage]:
    """System prompts that other vendors keep apart. Log10's client sends them in both places."""
    for name in ("system", "systemInstruction", "system_instruction", "instructions"):
        given = request.get(name)
        said = _join_texts(given.get("parts") if isinstance(given, dict) else given)
        first = next((each for _, each in objects(request.get("messages"), "messages")), {})
        if said and not (first.get("role") == "system" and first.get("content") == said):
            yield _say("system", said)


def _read_message(message: Any) -> Iterator[Any]:
    """Read a message. One in blocks may become several messages."""
    if not isinstance(message, dict):
        yield _say("user", message)
        return
    message = _read_ollama(message)
    content = message.get("content")
    if not isinstance(content, str | list | None):
        content = json.encode(content).decode()
        message = {**message, "content": content}
    if not isinstance(content, list) or not any(_is_block(part) for part in content):
        yield message
        return
    parts: list[Any] = []
    calls: list[Any] = []
    reasoning: list[str] = []
    for block in content:
        match block:
            case {"type": "tool_result"} | {"toolResult": dict()}:
                yield _read_result(block.get("toolResult", block))
            case {"type": "tool_use"} | {"toolUse": dict()}:
                calls.append(_read_call(block.get("toolUse", block)))
            case {"type": "thinking", "thinking": str(thought)}:
                reasoning.append(thought)
            case _:
                parts.append(_read_part(block))
    if parts or calls or reasoning:
        read = {**message, "content": _join_parts(parts)}
        if calls:
            read["tool_calls"] = calls
        if reasoning:
            read["reasoning_content"] = "\n".join(reasoning)
        yield read


def _read_ollama(message: dict[str, Any]) -> dict[str, Any]:
    """Read a message of Ollama's: images beside the text, arguments as an object, thinking."""
    read = dict(message)
    if thought := text(message.get("thinking")):
        read.setdefault("reasoning_content", thought)
    if isinstance(images := message.get("images"), list):
        said = [{"type": "text", "text": message["content"]}] if message.get("content") else []
        read["content"] = [*said, *(write_image(str(each)) for each in images)]
        del read["images"]
    calls = [call for _, call in objects(message.get("tool_calls"), "calls")]
    if any(isinstance(members(call.get("function")).get("arguments"), dict) for call in calls):
        functions = [members(call.get("function")) for call in calls]
        read["tool_calls"] = [
            _read_call({**each, "args": each.get("arguments")}) for each in functions
        ]
    return read


def _read_content(content: Mapping[str, Any]) -> Iterator[RecordedMessage]:
    """Read a turn in Gemini's format."""
    parts: list[Any] = []
    calls: list[Any] = []
    for _, part in objects(content.get("parts"), "parts"):
        call = members(part.get("functionCall", part.get("function_call")))
        result = members(part.get("functionResponse", part.get("function_response")))
        if call:
            name = str(call.get("name"))
            calls.append(_read_call({"id": call.get("id") or name, "name": name, **call}))
        elif result:
            id = result.get("id") or result.get("name")
            yield _read_result({"tool_use_id": id, "content": result.get("response")})
        else:
            parts.append(_read_part(part))
    if parts or calls:
        read = _say(content.get("role") or "user", _join_parts(parts))
        yield {**read, "tool_calls": calls} if calls else read


def _is_block(part: Any) -> bool:
    """Whether a part of a message is in another format than OpenAI's."""
    if not isinstance(part, dict):
        return False
    kind = part.get("type")
    return (
        kind in ("tool_use", "tool_result", "thinking", "redacted_thinking", "document")
        or (kind == "image" and "source" in part)
        or (kind in ("input_text", "output_text"))
        or kind is None
    )


def _read_call(call: Mapping[str, Any]) -> dict[str, Any]:
    given = call.get("input", call.get("args"))
    arguments = given if isinstance(given, str) else json.encode(given or {}).decode()
    function = {"name": str(call.get("name")), "arguments": arguments}
    id = call.get("id", call.get("toolUseId"))
    return {"id": str(id or function["name"]), "type": "function", "function": function}


def _read_result(result: Mapping[str, Any]) -> RecordedMessage:
    content = result.get("content")
    id = str(result.get("tool_use_id") or result.get("toolUseId") or "")
    if isinstance(content, list):
        content = _join_parts([_read_part(part) for part in content])
    elif not isinstance(content, str | None):
        content = json.encode(content).decode()
    return {"role": "tool", "tool_call_id": id, "content": content or ""}


def _read_part(part: Any) -> Any:
    """Convert a part to OpenAI's format. A kind that the format lacks stays as it is."""
    match part:
        case str():
            return {"type": "text", "text": part}
        case {"type": "input_text" | "output_text", "text": str(said)}:
            return {"type": "text", "text": said}
        case {"text": str(said)} if "type" not in part:
            return {"type": "text", "text": said}
        case {"json": value} if "type" not in part:
            return {"type": "text", "text": json.encode(value).decode()}
        case {"type": "image", "source": {"type": "base64", "media_type": kind, "data": str(data)}}:
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
        case {"type": "image", "source": {"type": "url", "url": str(url)}}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "document", "source": {"type": "text", "data": str(said)}}:
            return {"type": "text", "text": said}
        case {
            "type": "document",
            "source": {"type": "base64", "media_type": str(kind), "data": str(data)},
        }:
            named = {"filename": part["title"]} if text(part.get("title")) else {}
            url = f"data:{kind};base64,{data}"
            return {"type": "file", "file": {**named, "file_data": url}}
        case {"inlineData": {"mimeType": str(kind), "data": str(data)}} if kind.startswith("image"):
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    return part


def _join_parts(parts: list[Any]) -> str | list[Any] | None:
    """Join the parts into one text if all are texts. Otherwise keep them as parts."""
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    kinds = [part.get("type") for part in parts if isinstance(part, dict)]
    if len(kinds) < len(parts) or any(kind != "text" for kind in kinds):
        return parts
    return "".join(str(said) for said in texts) if parts else None


def _join_texts(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "\n".join(
        part["text"] for _, part in objects(value, "parts") if isinstance(part.get("text"), str)
    )


def _read_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Convert a tool from Anthropic's format, or a response's, which have no `function`."""
    schema = tool.get("input_schema")
    if tool.get("type") in ("function", "custom") and text(tool.get("name")):
        # A response's, which is the same but flat.
        return {"type": tool["type"], tool["type"]: {n: tool[n] for n in tool if n != "type"}}
    if not isinstance(schema, dict) or not text(tool.get("name")):
        return tool
    function = {"name": tool["name"], "parameters": schema}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _say(role: str, content: Any) -> RecordedMessage:
    said = content if isinstance(content, str | list | None) else json.encode(content).decode()
    return {"role": _ROLES.get(role, role), "content": said}
