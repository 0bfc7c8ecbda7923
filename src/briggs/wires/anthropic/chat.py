"""Reads a request for a message as one for a chat completion.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from briggs.types import json
from briggs.types.any_json import Members, members, text
from briggs.types.completions import LABELS, SESSION
from briggs.types.envelope import decode_bounded
from briggs.types.errors import InvalidRequest
from briggs.wires.anthropic.answer import FORMAT
from briggs.wires.anthropic.plain import OPTIONAL
from briggs.wires.anthropic.request import CHOICES, SERVICE_TIERS
from briggs.wires.blocks import Block
from briggs.wires.requests import given, refuse

_FORMAT_NAME = "answer"
"""The name of the schema of an answer. OpenAI wants one, and Anthropic has none."""

# Members that stay as they are, and those that are translated below. All others are for Anthropic
# alone.
_SAME = ("model", "temperature", "top_p", "top_k", "thinking", *OPTIONAL)
_TRANSLATED = frozenset(
    {
        *("max_tokens", "messages", "metadata", "output_config", "output_format", "service_tier"),
        *("stop_sequences", "stream", "system", "tool_choice", "tools"),
    }
)
_TOOL = frozenset({"type", "name", "description", "input_schema", "strict"})
_CHOICES = {theirs: ours for ours, theirs in CHOICES.items()}
_TIERS = {theirs: ours for ours, theirs in reversed(SERVICE_TIERS.items())}
_NO_COUNT = "it must be a whole number from 0."
_SOURCED = ("image", "document")
_SESSION_MAX = 512
_SHOWN_MAX = 100
# Claude Code's id of a user, as it was before it became JSON.
_SESSION = re.compile(r"_session_([0-9a-f-]{36})$")


class MessageRequest(NamedTuple):
    """A request for a message, as one for a chat completion."""

    chat: Members
    """It also has members that only Anthropic's models can read."""
    body: bytes
    """The request for Anthropic: as it came, unless it has what Anthropic refuses."""
    refusal: InvalidRequest | None
    """Why no vendor of another format can answer it, if none can."""
    unsaid: list[str]
    """The parameters that only Anthropic has."""


def read_message_request(body: bytes) -> MessageRequest:
    """Read a request. Raises `InvalidRequest` with the place of what is wrong."""
    asked = decode_bounded(body)
    for name in ("model", "messages", "max_tokens"):
        if asked.get(name) is None:
            raise InvalidRequest(f"The member '{name}' is required.", param=name)
    _check_thinking(asked.get("thinking"))
    if asked.get("top_k") is not None and not _is_count(asked["top_k"]):
        raise refuse("top_k", _NO_COUNT)
    reader = _Reader()
    messages = [*reader.read_system(asked.get("system")), *reader.read_messages(asked["messages"])]
    chat = given(
        **{name: asked.get(name) for name in _SAME},
        max_completion_tokens=_read_limit(asked["max_tokens"]),
        messages=messages,
        stop=_read_stops(asked.get("stop_sequences")),
        service_tier=_TIERS.get(_read_text(asked, "service_tier") or ""),
        tools=reader.read_tools(asked.get("tools")),
        **reader.read_choice(asked.get("tool_choice")),
        **reader.read_output(asked),
        **_read_metadata(asked.get("metadata")),
    )
    if _read_stream(asked.get("stream")):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    known = {*_SAME, *_TRANSLATED}
    unsaid = [name for name in asked if name not in known and asked[name] is not None]
    if reader.has_unsigned or LABELS & members(asked.get("metadata")).keys():
        body = json.encode_plain(_clean(asked))
    return MessageRequest(chat, body, reader.refusal, unsaid)


def _clean(asked: Members) -> Members:
    """A request without labels, which are for the record, and without others' thoughts."""
    metadata = {k: v for k, v in members(asked.get("metadata")).items() if k not in LABELS}
    cleaned = {**asked, "messages": [_remove_unsigned(message) for message in asked["messages"]]}
    return {**cleaned, "metadata": metadata} if "metadata" in asked else cleaned


def _remove_unsigned(message: Members) -> Members:
    content = message["content"]
    if not isinstance(content, list):
        return message
    return {**message, "content": [block for block in content if not _is_unsigned(block)]}


def _is_unsigned(block: Block) -> bool:
    """Whether it is a thought that another vendor's model had, in an answer that we translated."""
    return block.get("type") == "thinking" and not block.get("signature")


class _Reader:
    """Reads the parts of one request, and notes what a chat completion cannot express."""

    def __init__(self) -> None:
        self.refusal: InvalidRequest | None = None
        self.has_unsigned = False
        """Whether there are thoughts that Anthropic did not sign, which it would refuse."""

    def read_system(self, system: Any) -> Iterator[Members]:
        if system not in (None, "", []):
            yield {"role": "system", "content": self._read_content(system, "system")}

    def read_messages(self, messages: Any) -> Iterator[Members]:
        for path, message in _list_objects(messages, "messages"):
            content = message.get("content")
            if not isinstance(content, str | list):
                raise refuse(f"{path}.content", "it must be a text or a list of blocks.")
            match message.get("role"):
                case "user":
                    yield from self._read_user(content, f"{path}.content")
                case "assistant":
                    yield self._read_assistant(content, f"{path}.content")
                case "system":
                    said = self._read_content(content, f"{path}.content")
                    yield {"role": "system", "content": said}
                case _:
                    raise refuse(f"{path}.role", "it must be user, assistant or system.")

    def read_tools(self, tools: Any) -> list[Members] | None:
        if tools is None:
            return None
        return [self._read_tool(tool, path) for path, tool in _list_objects(tools, "tools")]

    def read_choice(self, choice: Any) -> Members:
        if choice is None:
            return {}
        if not isinstance(choice, dict):
            raise refuse("tool_choice", "it must be an object.")
        chosen: Any = None
        match choice:
            case {"type": "tool", "name": str(name)}:
                chosen = {"type": "function", "function": {"name": name}}
            case {"type": str(kind)} if kind in _CHOICES:
                chosen = _CHOICES[kind]
            case _:
                self._note(choice, "tool_choice")
        parallel = False if choice.get("disable_parallel_tool_use") is True else None
        return given(tool_choice=chosen, parallel_tool_calls=parallel)

    def read_output(self, asked: Members) -> Members:
        """The format of the answer, and the other members of the configuration as they are."""
        config = asked.get("output_config")
        if not isinstance(config, dict | None):
            raise refuse("output_config", "it must be an object.")
        rest = dict(config or {})
        _read_text(rest, "effort", path="output_config.effort")
        # The format's place while it was a beta.
        format = rest.pop("format", None) or asked.get("output_format")
        output: Members = {"output_config": rest} if rest else {}
        match format:
            case {"type": "json_schema", "schema": dict(schema)}:
                described = {"name": _FORMAT_NAME, "schema": schema, "strict": True}
                output["response_format"] = {"type": "json_schema", "json_schema": described}
            case dict():
                self._note(format, "output_config.format")
        return output

    def _read_user(self, content: Any, path: str) -> Iterator[Members]:
        """The results of calls become messages of their own, before the rest."""
        if isinstance(content, str):
            yield {"role": "user", "content": content}
            return
        parts: list[Members] = []
        for place, block in _list_objects(content, path):
            if block.get("type") == "tool_result":
                yield self._read_result(block, place)
            else:
                parts.append(self._read_part(block, place))
        if parts or not content:
            yield {"role": "user", "content": parts}

    def _read_result(self, block: Block, path: str) -> Members:
        id = _require_text(block, "tool_use_id", path)
        result: Members = {"role": "tool", "tool_call_id": id}
        result["content"] = self._read_content(block.get("content") or "", f"{path}.content")
        if block.get("is_error") is True:
            result["is_error"] = True
        return result | given(cache_control=block.get("cache_control"))

    def _read_content(self, content: Any, path: str) -> str | list[Members]:
        if isinstance(content, str):
            return content
        return [self._read_part(block, place) for place, block in _list_objects(content, path)]

    def _read_part(self, block: Block, path: str) -> Members:
        """A block of a user or of a system. One that OpenAI's format lacks stays as it is."""
        mark = given(cache_control=block.get("cache_control"))
        source = block.get("source")
        match block.get("type"):
            case "text":
                return {"type": "text", "text": _require_text(block, "text", path), **mark}
            case "image" if url := _read_image(source):
                return {"type": "image_url", "image_url": {"url": url}, **mark}
            case "document" if (data := _read_document(source)) and not _is_annotated(block):
                file = given(file_data=data, filename=text(block.get("title")))
                return {"type": "file", "file": file, **mark}
        if block.get("type") in _SOURCED and not isinstance(members(source).get("type"), str):
            raise refuse(f"{path}.source", "it must be an object with a 'type'.")
        self._note(block, path)
        return block

    def _read_assistant(self, content: Any, path: str) -> Members:
        if isinstance(content, str):
            return {"role": "assistant", "content": content}
        texts: list[Members] = []
        calls: list[Members] = []
        details: list[Members] = []
        carried: list[Members] = []
        for index, (place, block) in enumerate(_list_objects(content, path)):
            carrier = {"format": FORMAT, "index": index}
            self.has_unsigned |= _is_unsigned(block)
            match block.get("type"):
                case "text":
                    texts.append(self._read_part(block, place))
                case "tool_use":
                    calls.append(_read_call(block, place))
                case "thinking":
                    signature = given(signature=text(block.get("signature")))
                    thought = _require_text(block, "thinking", place)
                    details.append(
                        {"type": "reasoning.text", "text": thought, **signature, **carrier}
                    )
                case "redacted_thinking":
                    data = _require_text(block, "data", place)
                    details.append({"type": "reasoning.encrypted", "data": data, **carrier})
                case _:
                    self._note(block, place)
                    carried.append({**carrier, "block": block})
        lists = {"tool_calls": calls, "reasoning_details": details, "content_blocks": carried}
        answer = {"role": "assistant", "content": texts or None}
        return answer | {name: value for name, value in lists.items() if value}

    def _read_tool(self, tool: Members, path: str) -> Members:
        if tool.get("type") not in (None, "custom"):
            # A tool of Anthropic's own, whose schema the model knows.
            self._note(tool, path)
            return tool
        function = given(
            name=_require_text(tool, "name", path),
            description=text(tool.get("description")),
            parameters=tool.get("input_schema"),
            strict=tool.get("strict"),
        )
        own = {name: value for name, value in tool.items() if name not in _TOOL}
        return {"type": "function", "function": function, **given(**own)}

    def _note(self, block: Members, path: str) -> None:
        kind = _require_text(block, "type", path)[:_SHOWN_MAX]
        self.refusal = self.refusal or InvalidRequest(
            f"cannot express '{path}', which is {kind!r} as only Anthropic's API has it: leave it "
            "out, or ask a model of Anthropic's API.",
            param=path,
        )


def _read_call(block: Block, path: str) -> Members:
    arguments = block.get("input")
    if not isinstance(arguments, dict):
        raise refuse(f"{path}.input", "it must be an object.")
    function = {
        "name": _require_text(block, "name", path),
        "arguments": json.encode_plain(arguments).decode(),
    }
    call = {"id": _require_text(block, "id", path), "type": "function", "function": function}
    return call | given(cache_control=block.get("cache_control"))


def _read_image(source: Any) -> str | None:
    match source:
        case {"type": "base64", "media_type": str(kind), "data": str(data)}:
            return f"data:{kind};base64,{data}"
        case {"type": "url", "url": str(url)}:
            return url
    return None


def _read_document(source: Any) -> str | None:
    match source:
        case {"type": "base64", "media_type": str(kind), "data": str(data)}:
            return f"data:{kind};base64,{data}"
        case {"type": "text", "media_type": str(kind), "data": str(data)}:
            encoded = base64.b64encode(data.encode("utf-8", "surrogatepass")).decode()
            return f"data:{kind};base64,{encoded}"
    return None


def _is_annotated(block: Block) -> bool:
    """Whether a document has more than a title: a file in OpenAI's format has no place for it."""
    citations = block.get("citations")
    cites = isinstance(citations, dict) and citations.get("enabled") is True
    return cites or bool(block.get("context"))


def _read_limit(limit: Any) -> int:
    if not _is_count(limit):
        raise refuse("max_tokens", _NO_COUNT)
    return int(limit)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_thinking(thinking: Any) -> None:
    if thinking is None:
        return
    if not isinstance(thinking, dict):
        raise refuse("thinking", "it must be an object.")
    kind = _require_text(thinking, "type", "thinking")
    if kind == "enabled" and not _is_count(thinking.get("budget_tokens")):
        raise refuse("thinking.budget_tokens", _NO_COUNT)


def _read_text(asked: Members, name: str, *, path: str = "") -> str | None:
    """A member that may be absent."""
    if asked.get(name) is None:
        return None
    if not isinstance(asked[name], str):
        raise refuse(path or name, "it must be a text.")
    return str(asked[name])


def _read_stream(stream: Any) -> bool:
    if not isinstance(stream, bool | None):
        raise refuse("stream", "it must be true or false.")
    return bool(stream)


def _read_stops(stops: Any) -> list[str] | None:
    if stops is None:
        return None
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise refuse("stop_sequences", "it must be a list of texts.")
    return stops or None


def _read_metadata(metadata: Any) -> Members:
    """The user, and the labels of the record. Claude Code names its session in the user's id."""
    if not isinstance(metadata, dict | None):
        raise refuse("metadata", "it must be an object.")
    user = text(members(metadata).get("user_id"))
    labels = {name: value for name, value in members(metadata).items() if name in LABELS}
    if user and SESSION not in labels and (session := _find_session(user)):
        labels[SESSION] = session
    return given(user=user, metadata=labels or None)


def _find_session(user: str) -> str | None:
    if found := _SESSION.search(user):
        return found[1]
    try:
        named = json.decode(user) if user.startswith("{") else None
    except msgspec.DecodeError:
        return None
    session = text(named.get("session_id")) if isinstance(named, dict) else None
    return session if session and len(session) <= _SESSION_MAX else None


def _require_text(block: Members, name: str, path: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise refuse(f"{path}.{name}", "it must be a text.")
    return value


def _list_objects(items: Any, path: str) -> Iterator[tuple[str, Members]]:
    if not isinstance(items, list):
        raise refuse(path, "it must be a list.")
    for position, item in enumerate(items):
        if not isinstance(item, dict):
            raise refuse(f"{path}.{position}", "it must be an object.")
        yield f"{path}.{position}", item
