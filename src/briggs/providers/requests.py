"""What a wire that is not OpenAI's has to read of a request before it can translate it."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET

from briggs.types import wire
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
    Tool,
)

S = TypeVar("S")
T = TypeVar("T")

_KNOWN = frozenset(CreateChatCompletionRequest.__struct_fields__)

# Briggs itself sees to these, or they only say how a prompt should be cached or who asks:
# no answer is another one without them.
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

# Who sends what holds anyway asks for nothing.
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
    """A request as the specification's types, and the members that `can_say` refuses.

    Members that ask for nothing, since they are null or the default, are absent, and so are
    the refused ones. What the specification does not know is in `extra`, for the vendor.
    Raises `InvalidRequest` with the path of what is malformed.
    """
    given = {
        name: value
        for name, value in wire.decode(envelope.body).items()
        if value is not None and value != _DEFAULTS.get(name)
    }
    refused = [
        name
        for name, value in given.items()
        if name in _KNOWN and name not in _WITHOUT_EFFECT and not can_say(name, value)
    ]
    said = {name: value for name, value in given.items() if name not in refused}
    return convert(said, CreateChatCompletionRequest), refused


def convert(value: Any, type: type[T], *, path: str = "") -> T:
    """JSON that stands at `path` of a request as `type`. Raises `InvalidRequest`."""
    try:
        return wire.from_builtins(value, type)
    except msgspec.ValidationError as error:
        expectation, _, place = str(error).partition(" - at `$")
        place = (path + place.rstrip("`")).removeprefix(".")
        raise refuse(place, f"{expectation}.") from error


def refuse(path: str, reason: str) -> InvalidRequest:
    """The error for what stands at `path`."""
    return InvalidRequest(f"Invalid value for '{path}': {reason}", param=path)


def refuse_unsaid(path: str, what: str, *, vendor: str) -> UnsupportedParameter:
    """The error for what stands at `path` and this vendor has no word for."""
    return UnsupportedParameter(
        f"{vendor} cannot be given {what} ('{path}'): leave it out, or ask another provider.",
        param=path,
    )


def given(**members: Any) -> dict[str, Any]:
    """The members that there are."""
    return {name: value for name, value in members.items() if value not in (UNSET, None)}


def rename(request: CreateChatCompletionRequest, names: Mapping[str, str]) -> dict[str, Any]:
    """The members that there are, under a vendor's names; of two for one name, the last."""
    values = {ours: getattr(request, ours) for ours in names}
    return {names[ours]: value for ours, value in values.items() if value is not UNSET}


def find_limit(request: CreateChatCompletionRequest) -> int | None:
    """The most tokens that may be written, if that is said. Raises `InvalidRequest` for none."""
    for name in ("max_completion_tokens", "max_tokens"):
        limit = getattr(request, name)
        if isinstance(limit, int):
            if limit < 1:
                raise refuse(name, "it must be at least 1.")
            return limit
    return None


class Mends(list[str]):
    """What was changed of a request because its vendor would refuse it, each with its place."""

    def note(self, path: str, what: str) -> None:
        """Say what was done with what stood at `path`."""
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

    Those that the vendor refuses make `stop` unsupported: more than `count_max`, or white
    space only if not `blank`. An empty one stops nothing, and is left out.
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
    """See that what must be called is there. Raises `InvalidRequest`, as OpenAI does."""
    offered = request.tools or []
    functions = [tool.function.name for tool in offered if isinstance(tool, ChatCompletionTool)]
    if len(functions) > len(set(functions)):
        raise refuse("tools", "two functions have one name.")
    match request.tool_choice:
        case "required" if not offered:
            raise refuse("tool_choice", "a call is required, and 'tools' is empty.")
        case ChatCompletionNamedToolChoice(function=function):
            # A vendor's own tools have names that only the vendor knows.
            if function.name not in functions and len(functions) == len(offered):
                raise refuse("tool_choice", f"'tools' has no function {function.name!r}.")
        case ChatCompletionAllowedToolsChoice() if not list_tools(request):
            raise refuse("tool_choice", "it allows none of 'tools'.")


def read_arguments(arguments: str, *, path: str) -> dict[str, Any]:
    """The arguments of a tool call as an object; a call without any may have an empty text."""
    try:
        value = wire.decode(arguments.strip() or "{}")
    except msgspec.DecodeError as error:
        raise refuse(path, f"{error}; this provider takes an object only.") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(path, "this provider takes the JSON text of an object only.")
    return value


def write_arguments(call: ChatCompletionMessageToolCall) -> str:
    """The arguments of a call as the model wrote them; of a call without any, those of none."""
    arguments = call.function.arguments
    return arguments if arguments.strip() else "{}"


def list_objects(value: Any, name: str) -> list[dict[str, Any]]:
    """The objects in the list that is a member of an object, as far as there are any."""
    items = value.get(name) if isinstance(value, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


class Data(NamedTuple):
    """What a `data:` URL holds."""

    media_type: str
    base64: str

    def decode(self, *, path: str) -> str:
        """It as text."""
        try:
            return base64.b64decode(self.base64, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise refuse(path, "it is no UTF-8 text in base64.") from error


_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*?;base64,(.*)", re.DOTALL | re.IGNORECASE)


def read_data_url(url: str, *, path: str) -> Data | None:
    """What a `data:` URL holds; None for another URL."""
    if url[:5].lower() != "data:":
        return None
    found = _DATA_URL.fullmatch(url)
    if found is None:
        raise refuse(path, "a data: URL has to hold base64, as data:image/png;base64,...")
    return Data(found[1].lower(), found[2])


def name_calls(messages: Sequence[ChatCompletionRequestMessage]) -> dict[str, str]:
    """The functions that were called, by the ids of the calls, which results name."""
    return {
        call.id: call.function.name
        for message in messages
        if isinstance(message, ChatCompletionRequestAssistantMessage)
        for call in message.tool_calls or ()
        if isinstance(call, ChatCompletionMessageToolCall)
    }


def list_tools(request: CreateChatCompletionRequest) -> list[tuple[str, Tool]]:
    """The tools that the model may call, each with its path: of `allowed_tools` only those."""
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
    """`messages.name` where a message says who of several speaks, for wires without a word."""
    named = any(getattr(message, "name", UNSET) not in (UNSET, "") for message in messages)
    return ["messages.name"] if named else []


def encode_each(items: Iterable[S], encode: Callable[[S, str], T], *, path: str) -> list[T]:
    """The items of a list that stands at `path`, each by `encode`, which is told its own path."""
    return [encode(item, f"{path}[{position}]") for position, item in enumerate(items)]


def copy_part(part: ContentPart) -> dict[str, Any] | None:
    """A text, an image or a vendor's own part as OpenAI writes it; None for any other."""
    match part:
        case ChatCompletionRequestMessageContentPartText(text=text):
            return {"type": "text", "text": text}
        case ChatCompletionRequestMessageContentPartRefusal(refusal=text):
            return {"type": "text", "text": text}
        case ChatCompletionRequestMessageContentPartImage(image_url=image):
            return {"type": "image_url", "image_url": wire.to_builtins(image)}
        case UnknownContentPart(members=members):
            return members
    return None


def join_text(content: str | Sequence[ContentPart], *, path: str, separator: str = "\n") -> str:
    """A content that can only be text. Raises `InvalidRequest` for any other part."""
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
                raise refuse(f"{path}[{position}]", "this provider takes only text here.")
    return separator.join(texts)


def read_file(file: InputFile, *, path: str) -> Data:
    """A file's content. Some send base64 without a data: URL, and the name says what it is."""
    if not file.file_data:
        raise refuse(path, "it has no file_data.")
    data = read_data_url(file.file_data, path=f"{path}.file_data")
    if data is not None:
        return data
    media_type, _ = mimetypes.guess_type(file.filename or "")
    return Data(media_type or "application/pdf", file.file_data)
