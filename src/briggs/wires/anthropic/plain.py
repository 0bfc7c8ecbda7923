"""Takes out of a request what only Anthropic's models can read, for all others.

What only makes an answer cheaper or faster is left out, and named.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from briggs.types import json
from briggs.types.any_json import Members, list_objects, members, text
from briggs.types.envelope import Envelope, open_envelope
from briggs.wires.anthropic.thinking import find_effort
from briggs.wires.identifiers import digest
from briggs.wires.requests import encode_each, read_data_url

OPTIONAL = ("cache_control", "context_management", "diagnostics", "speed")
"""These change how fast an answer comes, what it costs or how much of the past the model reads."""
_HINTS = ("allowed_callers", "defer_loading", "eager_input_streaming", "input_examples")
"""What Anthropic may be told of a tool beside its schema."""
_MOVED = "(in the next message)"
"""The text of a result that was only images or files."""
_MARK = "cache_control"
_USER_MAX = 64
"""The longest id of a user that OpenAI accepts."""


def fit(envelope: Envelope, *, format: str, model: str) -> tuple[Envelope, list[str]]:
    """A request for a vendor of another format, and the names of what is left out."""
    chat = json.decode(envelope.body)
    fitting = _Fitting(chat)
    # Converse has places for what its models of Anthropic's read.
    fitting.rewrite_claude() if format == "bedrock" and "claude" in model else fitting.rewrite()
    fitted = open_envelope(json.encode_plain(chat))
    return msgspec.structs.replace(fitted, original=envelope.original), list(fitting.dropped)


class _Fitting:
    """Rewrites one request in place."""

    def __init__(self, chat: Members) -> None:
        self._chat = chat
        self.dropped: dict[str, None] = {}
        # The session is for the record.
        chat.pop("metadata", None)
        for name in OPTIONAL:
            self._drop(chat, name)

    def rewrite_claude(self) -> None:
        """Rewrite a request for Converse, which has cache points, reasoning and failed results."""
        if "output_config" in self._chat:
            self._chat["outputConfig"] = self._chat.pop("output_config")
        for tool in list_objects(self._chat.get("tools")):
            self._strip_tool(tool, but=_MARK)

    def rewrite(self) -> None:
        """Rewrite a request for all others: it is a chat completion, and `top_k`."""
        chat = self._chat
        for tool in list_objects(chat.get("tools")):
            self._strip_tool(tool)
        chat["messages"] = list(_move_files(chat["messages"]))
        for position, message in enumerate(chat["messages"]):
            self._strip_message(message, f"messages[{position}].content")
        self._rewrite_thinking()
        user = text(chat.get("user"))
        if user and len(user) > _USER_MAX:
            chat["user"] = digest(user).hex()

    def _strip_tool(self, tool: Members, *, but: str = "") -> None:
        for name in [name for name in tool if name not in ("type", "function", but)]:
            hint = f"tools.{name}" if name in _HINTS else "tools"
            self._drop(tool, name, as_name=name if name == _MARK else hint)

    def _strip_message(self, message: Members, path: str) -> None:
        self._drop(message, _MARK)
        self._drop(message, "is_error", as_name="messages.is_error")
        for call in list_objects(message.get("tool_calls")):
            self._drop(call, _MARK)
        self._strip_thoughts(message)
        parts = message.get("content")
        if not isinstance(parts, list):
            return
        for part in parts:
            self._drop(part, _MARK)
        message["content"] = content = encode_each(parts, _write_part, path=path)
        if len(content) == 1 and content[0].get("type") == "text":
            message["content"] = content[0]["text"]

    def _strip_thoughts(self, message: Members) -> None:
        """Signed thoughts are Anthropic's own. Others go back to the vendors whose they are."""
        details = message.pop("reasoning_details", [])
        thoughts = [detail["text"] for detail in details if _is_unsigned(detail)]
        if len(thoughts) < len(details):
            self.dropped["messages.thinking"] = None
        if thoughts:
            message["reasoning_content"] = "\n".join(thoughts)

    def _rewrite_thinking(self) -> None:
        thinking = members(self._chat.pop("thinking", None))
        config = members(self._chat.pop("output_config", None))
        limit = self._chat["max_completion_tokens"]
        effort = text(config.pop("effort", None)) or find_effort(thinking, max_tokens=limit)
        if effort:
            self._chat["reasoning_effort"] = effort
        elif thinking.get("type") not in (None, "adaptive", "enabled"):
            # Models that cannot think refuse to be told not to.
            self.dropped["thinking"] = None
        if config:
            self.dropped["output_config"] = None

    def _drop(self, value: Members, name: str, *, as_name: str | None = None) -> None:
        if value.pop(name, None) is not None:
            self.dropped[as_name or name] = None


def _move_files(messages: list[Members]) -> Iterator[Members]:
    """Move images and files out of the results of calls, which are texts for others.

    They become the user's, directly after the results.
    """
    moved: list[Members] = []
    for message in [*messages, {"role": ""}]:
        if moved and message["role"] != "tool":
            yield {"role": "user", "content": moved}
            moved = []
        parts = message.get("content")
        if message["role"] == "tool" and isinstance(parts, list):
            files = [part for part in parts if part.get("type") != "text"]
            texts = [part for part in parts if part.get("type") == "text"]
            moved += files
            message = {**message, "content": texts or (_MOVED if files else "")}
        if message["role"]:
            yield message


def _is_unsigned(detail: Members) -> bool:
    return detail["type"] == "reasoning.text" and not detail.get("signature")


def _write_part(part: Members, path: str) -> Members:
    """A part for any vendor: a document of text becomes a text, after its title."""
    file = members(part.get("file"))
    if not file:
        return part
    place = f"{path}.file.file_data"
    data = read_data_url(file["file_data"], path=place)
    if data is None or data.media_type != "text/plain":
        return {**part, "file": {"filename": "document.pdf", **file}}
    read = data.decode(path=place)
    return {"type": "text", "text": "\n\n".join(filter(None, (file.get("filename"), read)))}
