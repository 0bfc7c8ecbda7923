"""Reads a request for a wire that must translate it from OpenAI's format."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET

from briggs.types import json
from briggs.types.envelope import Envelope
from briggs.types.errors import InvalidRequest, UnsupportedParameter
from briggs.types.messages import (
    ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestMessage,
    ChatCompletionRequestMessageContentPartImage,
    ChatCompletionRequestMessageContentPartRefusal,
    ChatCompletionRequestMessageContentPartText,
    ContentPart,
    InputFile,
    UnknownContentPart,
)
from briggs.types.request import CreateChatCompletionRequest
from briggs.types.tools import (
    ChatCompletionAllowedToolsChoice,
    ChatCompletionMessageToolCall,
    ChatCompletionNamedToolChoice,
    ChatCompletionTool,
    FunctionObject,
    Tool,
)

S = TypeVar("S")
T = TypeVar("T")

_KNOWN = frozenset(CreateChatCompletionRequest.__struct_fields__)

# These members never change the answer. Briggs handles them itself, or they only control the
# caching of a prompt or identify a user.
_WITHOUT_EFFECT = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "stream_options",
        "user",
    }
)

# A member with its default value is the same as no member.
_DEFAULTS: dict[str, Any] = {
    "frequency_penalty": 0,
    "functions": [],
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "service_tier": "auto",
    "stop": [],
    "stream": False,
    "tools": [],
    "top_logprobs": 0,
    "verbosity": "medium",
}


def read_request(
    envelope: Envelope, *, can_say: Callable[[str, Any], bool]
) -> tuple[CreateChatCompletionRequest, list[str]]:
    """Decode a request to the specification's types, and list the members that `can_say` refuses.

    The request has no refused members, and none that are null or the default. Members that the
    specification does not know are in `extra`, for the vendor. Raises `InvalidRequest` with the
    path of a malformed value.
    """
    given = {
        name: value
        for name, value in json.decode(envelope.body).items()
        if value is not None and value != _DEFAULTS.get(name)
    }
    refused = [
        name
        for name, value in given.items()
        if name in _KNOWN and name not in _WITHOUT_EFFECT and not can_say(name, value)
    ]
    kept = {name: value for name, value in given.items() if name not in refused}
    return convert(kept, CreateChatCompletionRequest), refused


def convert(value: Any, type: type[T], *, path: str = "") -> T:
    """Convert the JSON value at `path` of a request to `type`. Raises `InvalidRequest`."""
    try:
        return json.from_builtins(value, type)
    except msgspec.ValidationError as error:
        expectation, _, place = str(error).partition(" - at `$")
        place = (path + place.rstrip("`")).removeprefix(".")
        raise refuse(place, f"{expectation}.") from error


def refuse(path: str, reason: str) -> InvalidRequest:
    """The error for an invalid value at `path`."""
    return InvalidRequest(f"Invalid value for '{path}': {reason}", param=path)


def refuse_unsaid(path: str, what: str, *, vendor: str) -> UnsupportedParameter:
    """The error for a value at `path` that this vendor does not support."""
    return UnsupportedParameter(
        f"{vendor} does not support {what} ('{path}'): leave it out, or use another provider.",
        param=path,
    )


def given(**members: Any) -> dict[str, Any]:
    """The members without those that are absent or None."""
    return {name: value for name, value in members.items() if value not in (UNSET, None)}


def rename(request: CreateChatCompletionRequest, names: Mapping[str, str]) -> dict[str, Any]:
    """A request's members under a vendor's names. If two have the same name, the last counts."""
    values = {ours: getattr(request, ours) for ours in names}
    return {names[ours]: value for ours, value in values.items() if value is not UNSET}


def find_limit(request: CreateChatCompletionRequest) -> int | None:
    """The limit on tokens to write, if there is one. Raises `InvalidRequest` if it is below 1."""
    for name in ("max_completion_tokens", "max_tokens"):
        limit = getattr(request, name)
        if isinstance(limit, int):
            if limit < 1:
                raise refuse(name, "it must be at least 1.")
            return limit
    return None


class Mends(list[str]):
    """Changes to a request that its vendor would otherwise refuse, each with its place."""

    def note(self, path: str, what: str) -> None:
        """Note a change at `path`."""
        self.append(f"{path}: {what}")


def list_stops(
    request: CreateChatCompletionRequest,
    unsupported: list[str],
    mends: Mends,
    *,
    count_max: int | None = None,
    blank: bool = True,
) -> list[str] | None:
    """The stop sequences, if there are any.

    `stop` is added to `unsupported` if the vendor would refuse it: more than `count_max`
    sequences, or only white space unless `blank`. An empty sequence has no effect and is left
    out.
    """
    stop = request.stop
    if isinstance(stop, str):
        stop = [stop]
    if not isinstance(stop, list):
        return None
    stops = [one for one in stop if one]
    if len(stops) < len(stop):
        mends.note("stop", "an empty text is left out")
    fitting = [one for one in stops if blank or one.strip()]
    if count_max is not None and len(fitting) > count_max:
        fitting = []
    if len(fitting) < len(stops):
        unsupported.append("stop")
    return fitting or None


def require_tools(request: CreateChatCompletionRequest) -> None:
    """Check that `tool_choice` matches the tools. Raises `InvalidRequest`, as OpenAI does."""
    offered = request.tools or []
    functions = [tool.function.name for tool in offered if isinstance(tool, ChatCompletionTool)]
    if len(functions) > len(set(functions)):
        raise refuse("tools", "two functions have the same name.")
    match request.tool_choice:
        case "required" if not offered:
            raise refuse("tool_choice", "a call is required, but 'tools' is empty.")
        case ChatCompletionNamedToolChoice(function=function):
            # We do not know the names of a vendor's own tools.
            if function.name not in functions and len(functions) == len(offered):
                raise refuse("tool_choice", f"'tools' has no function {function.name!r}.")
        case ChatCompletionAllowedToolsChoice() if not list_tools(request):
            raise refuse("tool_choice", "it allows no function in 'tools'.")


def read_parameters(function: FunctionObject, *, path: str) -> dict[str, Any]:
    """A function's parameters as the schema of an object. Raises `InvalidRequest`."""
    schema = {"type": "object", **(function.parameters or {"properties": {}})}
    kind = schema["type"]
    if isinstance(kind, list) and "object" in kind:
        # Arguments are always an object.
        schema["type"] = kind = "object"
    if kind != "object":
        raise refuse(f"{path}.function.parameters.type", "it must be 'object'.")
    return schema


def read_arguments(arguments: str, *, path: str) -> dict[str, Any]:
    """Decode the arguments of a tool call. An empty text is an empty object."""
    try:
        value = json.decode(arguments.strip() or "{}")
    except msgspec.DecodeError as error:
        raise refuse(path, f"{error}. This provider needs a JSON object.") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(path, "this provider needs a JSON object.")
    return value


def write_arguments(call: ChatCompletionMessageToolCall) -> str:
    """The arguments of a call as the model wrote them. An empty text becomes `{}`."""
    arguments = call.function.arguments
    return arguments if arguments.strip() else "{}"


def list_objects(value: Any, name: str) -> list[dict[str, Any]]:
    """The objects in the list `value[name]`; none if there is no such list."""
    items = value.get(name) if isinstance(value, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


class Data(NamedTuple):
    """The contents of a `data:` URL."""

    media_type: str
    base64: str

    def decode(self, *, path: str) -> str:
        """Decode it as text. Raises `InvalidRequest`."""
        try:
            return base64.b64decode(self.base64, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise refuse(path, "it must be UTF-8 text in base64.") from error


_IMAGES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_UNTYPED = ("", "application/octet-stream", "image/*")
_BEGINNINGS = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi": "application/pdf",
}
"""How the base64 of some types begins."""

_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*?;base64,(.*)", re.DOTALL | re.IGNORECASE)


def read_data_url(url: str, *, path: str) -> Data | None:
    """Read a `data:` URL; None for any other URL. Raises `InvalidRequest`."""
    if url[:5].lower() != "data:":
        return None
    found = _DATA_URL.fullmatch(url)
    if found is None:
        raise refuse(path, "a data: URL must contain base64, such as data:image/png;base64,...")
    content = found[2]
    if not content:
        raise refuse(path, "the data: URL contains nothing.")
    if content[:100].split() != [content[:100]]:
        # Encoders for e-mail break base64 into lines.
        content = "".join(content.split())
    return Data(_find_type(found[1].lower(), content), content)


def _find_type(named: str, content: str) -> str:
    """The type of data by the name that vendors know, or by its first bytes if it has no name."""
    if named in _UNTYPED:
        found = (type for begin, type in _BEGINNINGS.items() if content.startswith(begin))
        named = next(found, named or "text/plain")
    return _ALIASES.get(named, named)


def read_image(url: str, *, path: str) -> Data | None:
    """Read the `data:` URL of an image; None for any other URL. Raises `InvalidRequest`."""
    data = read_data_url(url, path=path)
    if data is not None and data.media_type not in _IMAGES:
        accepted = ", ".join(sorted(_IMAGES))
        raise refuse(path, f"this provider accepts {accepted}, not {data.media_type}.")
    return data


def name_calls(messages: Sequence[ChatCompletionRequestMessage]) -> dict[str, str]:
    """The names of called functions, by the ids of the calls."""
    return {
        call.id: call.function.name
        for message in messages
        if isinstance(message, ChatCompletionRequestAssistantMessage)
        for call in message.tool_calls or ()
        if isinstance(call, ChatCompletionMessageToolCall)
    }


def list_tools(request: CreateChatCompletionRequest) -> list[tuple[str, Tool]]:
    """The tools that the model may call, each with its path. `allowed_tools` can narrow them."""
    tools = [(f"tools[{position}]", tool) for position, tool in enumerate(request.tools or ())]
    if not isinstance(request.tool_choice, ChatCompletionAllowedToolsChoice):
        return tools
    allowed = [tool.get("function") for tool in request.tool_choice.allowed_tools.tools]
    return [
        (path, tool)
        for path, tool in tools
        if isinstance(tool, ChatCompletionTool) and {"name": tool.function.name} in allowed
    ]


def find_names(messages: Sequence[ChatCompletionRequestMessage]) -> list[str]:
    """`messages.name` if any message has a `name`, for wires that cannot express it."""
    named = any(getattr(message, "name", UNSET) not in (UNSET, "") for message in messages)
    return ["messages.name"] if named else []


def encode_each(items: Iterable[S], encode: Callable[[S, str], T], *, path: str) -> list[T]:
    """Encode each item of the list at `path`. `encode` gets the item and its path."""
    return [encode(item, f"{path}[{position}]") for position, item in enumerate(items)]


def copy_part(part: ContentPart) -> dict[str, Any] | None:
    """A text, an image or a vendor's own part in OpenAI's format; None for any other."""
    match part:
        case ChatCompletionRequestMessageContentPartText(text=text):
            return {"type": "text", "text": text}
        case ChatCompletionRequestMessageContentPartRefusal(refusal=text):
            return {"type": "text", "text": text}
        case ChatCompletionRequestMessageContentPartImage(image_url=image):
            return {"type": "image_url", "image_url": json.to_builtins(image)}
        case UnknownContentPart(members=members):
            return members
    return None


def join_text(content: str | Sequence[ContentPart], *, path: str, separator: str = "\n") -> str:
    """Join a content of texts. Raises `InvalidRequest` for any other part."""
    if isinstance(content, str):
        return content
    texts = []
    for position, part in enumerate(content):
        match part:
            case ChatCompletionRequestMessageContentPartText(text=text):
                texts.append(text)
            case ChatCompletionRequestMessageContentPartRefusal(refusal=text):
                texts.append(text)
            case _:
                raise refuse(f"{path}[{position}]", "this provider accepts only text here.")
    return separator.join(texts)


def read_file(file: InputFile, *, path: str) -> Data:
    """Read a file. Some callers send bare base64, not a data: URL: then its name gives the type."""
    if not file.file_data:
        raise refuse(path, "it has no file_data.")
    data = read_data_url(file.file_data, path=f"{path}.file_data")
    if data is not None:
        return data
    media_type, _ = mimetypes.guess_type(file.filename or "")
    return Data(media_type or "application/pdf", file.file_data)
