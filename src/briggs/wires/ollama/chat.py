"""Reads requests in Ollama's format as chat completions.

https://docs.ollama.com/api/chat and https://docs.ollama.com/api/generate
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from briggs.types import json
from briggs.types.envelope import Envelope, Original, open_envelope, open_members, read_members
from briggs.types.errors import InvalidRequest, UnsupportedParameter
from briggs.wires.requests import refuse

CHAT = "ollama"
GENERATE = "ollama-generate"

_Think = bool | Literal["low", "medium", "high"] | None
_COMMON: dict[str, Any] = {
    "format": str | dict[str, Any] | None,
    "options": dict[str, Any] | None,
    "think": _Think,
}
_IMAGES = list[str] | None


class _Function(msgspec.Struct):
    name: str
    arguments: dict[str, Any] | str = {}


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: _IMAGES = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


_CHAT: dict[str, Any] = {**_COMMON, "messages": list[_Message]}
_GENERATE: dict[str, Any] = {
    **_COMMON,
    "prompt": str | None,
    "system": str | None,
    "images": _IMAGES,
    **dict.fromkeys(("suffix", "template"), str | None),
    "raw": bool | None,
    "context": list[int] | None,
}
_UNSAID = ("suffix", "template", "raw", "context")
"""What only Ollama can express."""

_OPTIONS = {"num_predict": "max_completion_tokens"}
"""Ollama's names for what chats know by another. All other options keep their names."""
# They say how Ollama runs a model, and change nothing else.
_LOADING = frozenset(
    {
        *("f16_kv", "logits_all", "low_vram", "main_gpu", "num_batch", "num_ctx", "num_gpu"),
        *("num_keep", "num_thread", "numa", "use_mlock", "use_mmap", "vocab_only"),
    }
)
_KEPT = ("logprobs", "model", "top_logprobs")
_IMAGE_TYPES = {"iVBORw0KGgo": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}
"""The kinds of images by how they begin in base64."""
_LATEST = ":latest"


def read_chat(body: bytes) -> Envelope:
    """A request of `/api/chat`. Raises `InvalidRequest`."""
    asked = open_members(body, required=("model", "messages"))
    read_members(asked, _CHAT)
    return _open(asked, _write_messages(asked.values["messages"]), format=CHAT)


def read_generate(body: bytes) -> Envelope:
    """A request of `/api/generate`. Raises `InvalidRequest`."""
    asked = open_members(body)
    read_members(asked, _GENERATE)
    values = asked.values
    if not values.get("prompt"):
        raise InvalidRequest(
            "'prompt' is empty: send a text. Briggs loads and unloads models by itself.",
            param="prompt",
        )
    messages = [_Message("user", values["prompt"], images=values.get("images"))]
    if values.get("system"):
        messages.insert(0, _Message("system", values["system"]))
    unsaid = next((name for name in _UNSAID if values.get(name)), None)
    refusal = unsaid and UnsupportedParameter(
        f"answers by a chat, which cannot express '{unsaid}': leave it out.",
        param=unsaid,
    )
    return _open(asked, _write_messages(messages), format=GENERATE, refusal=refusal or None)


def read_model(name: str) -> str:
    """The name of a model. Clients add a tag to names that have none."""
    return name if "/" in name else name.removesuffix(_LATEST)


def write_image(image: str) -> dict[str, Any]:
    """An image in base64 as a part of a message."""
    kind = next((k for sign, k in _IMAGE_TYPES.items() if image.startswith(sign)), "png")
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{image}"}}


def _open(
    asked: Envelope,
    messages: list[dict[str, Any]],
    *,
    format: str,
    refusal: InvalidRequest | None = None,
) -> Envelope:
    values = asked.values
    chat: dict[str, Any] = {k: raw for k, raw in asked.members.items() if k in _KEPT}
    chat |= {"model": read_model(asked.model), "messages": messages}
    if values.get("tools"):
        chat["tools"] = asked.members["tools"]
    chat |= dict(_list_options(values.get("options") or {}))
    chat |= dict(_write_format(values.get("format")))
    chat |= dict(_write_effort(values.get("think")))
    if values.get("stream") is not False:
        # The last line has the counts.
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    envelope = open_envelope(json.encode_plain(chat))
    envelope.original = Original(format, asked.body, refusal=refusal)
    return envelope


def _list_options(options: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if name in _LOADING or value is None:
            continue
        if name == "num_predict" and isinstance(value, int) and value < 0:
            # As many as there is room for.
            continue
        if name in ("messages", "model", "stream", "tools"):
            raise refuse(f"options.{name}", "it belongs outside of the options.")
        yield _OPTIONS.get(name, name), value


def _write_format(format: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(format, dict):
        schema = {"name": "answer", "schema": format}
        yield "response_format", {"type": "json_schema", "json_schema": schema}
    elif format == "json":
        yield "response_format", {"type": "json_object"}
    elif format:
        raise refuse("format", "it must be 'json' or a JSON Schema.")


def _write_effort(think: Any) -> Iterator[tuple[str, str]]:
    if think is False:
        yield "reasoning_effort", "none"
    elif isinstance(think, str):
        yield "reasoning_effort", think


def _write_messages(messages: Sequence[_Message]) -> list[dict[str, Any]]:
    """Messages for a chat. Calls without an id get one, which their results name too."""
    waiting: list[tuple[str, str]] = []
    written: list[dict[str, Any]] = []
    for place, message in enumerate(messages):
        path = f"messages[{place}]"
        if message.role == "tool":
            id = message.tool_call_id or _find_call(message, waiting, path=path)
            waiting = [each for each in waiting if each[1] != id]
            written.append({"role": "tool", "tool_call_id": id, "content": message.content or ""})
            continue
        calls = [
            _write_call(call, f"call_{place}_{n}")
            for n, call in enumerate(message.tool_calls or [])
        ]
        waiting += [(call["function"]["name"], call["id"]) for call in calls]
        written.append(
            {
                "role": message.role,
                "content": _write_content(message, path),
                **({"reasoning_content": message.thinking} if message.thinking else {}),
                **({"tool_calls": calls} if calls else {}),
            }
        )
    return written


def _find_call(message: _Message, waiting: Sequence[tuple[str, str]], *, path: str) -> str:
    """The id of the call that a result answers: the first of its name that has none."""
    for name, id in waiting:
        if message.tool_name in (None, "", name):
            return id
    raise refuse(path, "no earlier call waits for this result.")


def _write_call(call: _Call, id: str) -> dict[str, Any]:
    arguments = call.function.arguments
    if not isinstance(arguments, str):
        arguments = json.encode_plain(arguments).decode()
    function = {"name": call.function.name, "arguments": arguments}
    return {"id": call.id or id, "type": "function", "function": function}


def _write_content(message: _Message, path: str) -> str | list[dict[str, Any]] | None:
    if not message.images:
        return message.content or (None if message.tool_calls else "")
    parts: list[dict[str, Any]] = []
    if message.content:
        parts.append({"type": "text", "text": message.content})
    for place, image in enumerate(message.images):
        if not image.startswith(tuple(_IMAGE_TYPES)):
            raise refuse(f"{path}.images[{place}]", "it is not a PNG, JPEG, GIF or WebP in base64.")
        parts.append(write_image(image))
    return parts
