"""A request's top-level members, decoded once. Their content stays bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from briggs.types import json
from briggs.types.any_json import integer, members
from briggs.types.encodings import decode_object
from briggs.types.errors import InvalidRequest


class _Message(msgspec.Struct):
    """The members of every message. Roles and vendors add more."""

    role: str
    content: str | list[dict[str, Any]] | UnsetType | None = UNSET


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


CHOICES_MAX = 128
CALLS_MAX = 1024
"""The tool calls of one choice. OpenAI accepts 128 tools in a request."""
TOP_LOGPROBS_MAX = 20
# The model's name is repeated in every chunk of a stream, in URLs, and in error messages.
MODEL_CHARACTERS_MAX = 1000
_Model = Annotated[str, Meta(max_length=MODEL_CHARACTERS_MAX)]
_TopLogprobs = Annotated[int, Meta(ge=0, le=TOP_LOGPROBS_MAX)]

# The type of each member of CreateChatCompletionRequest that has the same type for every
# vendor. All other members pass unchanged, and the upstream checks them.
_TYPES: dict[str, Any] = {
    "model": _Model,
    "messages": list[_Message],
    "stream": bool | None,
    "stream_options": StreamOptions | None,
    "n": Annotated[int, Meta(ge=1, le=CHOICES_MAX)] | None,
    "frequency_penalty": float | None,
    "presence_penalty": float | None,
    "logit_bias": dict[str, float] | None,
    "logprobs": bool | _TopLogprobs | None,
    "top_logprobs": _TopLogprobs | None,
    "max_completion_tokens": int | None,
    "max_tokens": int | None,
    "metadata": dict[str, str] | None,
    "modalities": list[str] | None,
    "parallel_tool_calls": bool | None,
    "prompt_cache_key": str | None,
    "reasoning_effort": str | None,
    "response_format": dict[str, Any] | None,
    "safety_identifier": str | None,
    "seed": int | None,
    "service_tier": str | None,
    "stop": str | list[str] | None,
    "store": bool | None,
    "temperature": float | None,
    "tool_choice": str | dict[str, Any] | None,
    "tools": list[dict[str, Any]] | None,
    "top_p": float | None,
    "user": str | None,
    "verbosity": str | None,
}
_DECODERS = {name: msgspec.json.Decoder(type) for name, type in _TYPES.items()}
_MEMBERS_MAX = 1000
LARGE_BYTES = 128 * 1024
"""A larger request or answer may take long to read, so read it in a thread."""
# How many JSON values a request may have in all. No model reads as many.
_VALUES_MAX = 250_000
_PART_BYTES = 256 * 1024
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])


class Original(NamedTuple):
    """A request as its caller wrote it, in another format than a chat completion's."""

    format: str
    """The name of the wire with this format."""
    body: bytes
    headers: Mapping[str, str] = {}
    """The caller's headers that go on to a vendor who speaks the format."""
    refusal: InvalidRequest | None = None
    """Why only a vendor who speaks the format can answer it. None if a chat completion can say all
    of it."""
    unsaid: Sequence[str] = ()
    """The caller's parameters that only this format has."""
    fit: FitToVendor | None = None
    """Rewrites the chat completion for one vendor, if the vendors are sent different ones."""
    refers: bool = False
    """Whether it refers to earlier answers on record. Then `body` is replaced by one that holds
    them."""
    home: tuple[str, bytes] | None = None
    """The provider that knows these answers by their ids, and what it gets in place of `body`."""

    def encode(self, **replaced: Any) -> bytes:
        """The request as JSON, with some members replaced and the others unchanged."""
        return json.encode_plain({**self.list_members(), **replaced})

    def list_members(self) -> dict[str, Raw]:
        """The request's members, each as JSON."""
        return _read_members(self.body)


class FitToVendor(Protocol):
    def __call__(
        self, envelope: Envelope, *, format: str, model: str
    ) -> tuple[Envelope, Sequence[str]]:
        """The request for a vendor's format and model, and the names of what is left out."""
        ...


class Envelope(msgspec.Struct, kw_only=True):
    """A `CreateChatCompletionRequest`: its members as bytes, and those that Briggs uses."""

    body: bytes
    """The whole request, unchanged."""
    members: dict[str, Raw]
    """All members in the caller's order. If a name comes twice, the last one counts."""
    values: dict[str, Any]
    """The members of known type, decoded."""
    original: Original | None = None
    """The request from which this one was translated, if it was."""

    @property
    def model(self) -> str:
        """The model as the caller names it."""
        return self.values["model"]  # type: ignore[no-any-return]

    @property
    def stream(self) -> bool:
        """Whether the caller wants chunks."""
        return bool(self.values.get("stream"))

    @property
    def include_usage(self) -> bool:
        """Whether the caller asked for the usage chunk of a stream."""
        options = self.values.get("stream_options")
        return bool(options and options.include_usage)

    @property
    def choices_asked(self) -> int:
        """`n`. The default is 1."""
        return self.values.get("n") or 1

    @property
    def logprobs(self) -> bool:
        """Whether the caller wants logprobs. Any number means yes, even 0."""
        logprobs = self.values.get("logprobs")
        return logprobs is not None and logprobs is not False

    @property
    def names_tool(self) -> bool:
        """Whether `tool_choice` names the one tool to call."""
        choice = self.values.get("tool_choice")
        return isinstance(choice, dict) and choice.get("type") in ("function", "custom")

    @property
    def requires_tool(self) -> bool:
        """Whether `tool_choice` requires a call of any tool."""
        choice = self.values.get("tool_choice")
        if isinstance(choice, dict):
            choice = members(choice.get("allowed_tools")).get("mode")
        return choice == "required"

    @property
    def top_logprobs(self) -> int:
        """How many alternatives to each token the caller wants.

        Some servers still accept the older form, in which `logprobs` itself is the number.
        """
        older = integer(self.values.get("logprobs"))
        return self.values.get("top_logprobs") or older or 0

    def fit(self, *, format: str, model: str) -> tuple[Envelope, Sequence[str]]:
        """The request as a vendor of this format gets it, and the names of what is left out."""
        if self.original is None or self.original.fit is None:
            return self, ()
        return self.original.fit(self, format=format, model=model)

    def encode(self, **replaced: Any) -> bytes:
        """The request as JSON, with some members replaced and the others unchanged."""
        return json.encode_plain({**self.members, **replaced})

    def ask_for_usage(self) -> Any:
        """The caller's `stream_options`, with `include_usage` set to true."""
        given = self.values.get("stream_options") is not None
        options = _MEMBERS.decode(self.members["stream_options"]) if given else {}
        return {**options, "include_usage": True}


def open_envelope(body: bytes) -> Envelope:
    """Decode a chat completion's envelope. Raises an `InvalidRequest` that names the member."""
    envelope = open_members(body, required=("model", "messages"))
    if not envelope.values["messages"]:
        raise InvalidRequest("'messages' is empty: send at least one message.", param="messages")
    return envelope


def open_members(body: bytes, *, required: Sequence[str] = ("model",)) -> Envelope:
    """Decode the envelope of a request of any kind. Raises an `InvalidRequest` that names the
    member."""
    if len(body) > LARGE_BYTES:
        check_size(body)
    try:
        members = _MEMBERS.decode(body)
        values = {
            name: _DECODERS[name].decode(raw) for name, raw in members.items() if name in _TYPES
        }
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        members, values = _open_slowly(body)
    if len(members) > _MEMBERS_MAX:
        raise InvalidRequest(f"The request has more than {_MEMBERS_MAX} members: send fewer.")
    for name in required:
        if name not in members:
            raise InvalidRequest(f"The member '{name}' is required.", param=name)
    if not values.get("model", True):
        raise InvalidRequest(
            "'model' is empty: write provider/model, or a name from GET /v1/models.",
            param="model",
        )
    return Envelope(body=body, members=members, values=values)


def read_members(envelope: Envelope, types: Mapping[str, Any]) -> None:
    """Add members to an envelope's values. Raises an `InvalidRequest` that names the member."""
    for name, type in types.items():
        if name not in envelope.members:
            continue
        try:
            value = json.decode(envelope.members[name])
        except msgspec.ValidationError as error:
            raise _explain(name, error) from error
        except msgspec.DecodeError as error:
            # Until here, nobody has looked at the text of a member.
            raise InvalidRequest(f"Invalid value for '{name}': {error}.", param=name) from error
        envelope.values[name] = _convert_member(name, value, type)


def check_types(parameters: Mapping[str, Any]) -> None:
    """Raise an `InvalidRequest` for a member whose value no request may have, and name it."""
    for name in _TYPES.keys() & parameters.keys():
        _convert_member(name, parameters[name], _TYPES[name])


def decode_bounded(body: bytes) -> dict[str, Any]:
    """Decode a request of any format, unless it has too many values. Raises `InvalidRequest`."""
    if len(body) > LARGE_BYTES:
        check_size(body)
    return decode_object(body)


def check_size(body: bytes, *, values_max: int = _VALUES_MAX) -> None:
    """Refuse a body with too many values before it is decoded.

    The decoder is one call, which stops the whole process until it ends. This check is many short
    ones, so in a thread it lets the event loop work meanwhile. Raises `InvalidRequest`.
    """
    if body.count(b",") < values_max:
        return
    values, is_inside = 1, False
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    for begin in range(0, len(plain), _PART_BYTES):
        parts = plain[begin : begin + _PART_BYTES].split(b'"')
        values += b"".join(parts[is_inside::2]).count(b",")
        if values > values_max:
            raise InvalidRequest(
                f"The request has more than {values_max:,} JSON values: send fewer."
            )
        # Each quotation mark begins or ends a string.
        is_inside ^= len(parts) % 2 == 0


def _open_slowly(body: bytes) -> tuple[dict[str, Raw], dict[str, Any]]:
    """Open a body that the fast decoder rejects: it is invalid, or has a lone surrogate.

    An escaped lone surrogate is legal JSON. It arises when a caller cuts a text in two.
    """
    request = decode_object(body)
    if isinstance(request.get("model"), str) and not _is_unicode(request["model"]):
        # It stands in addresses, where it has no encoding.
        raise InvalidRequest(
            "'model' holds half a surrogate pair: send a name of whole characters.", param="model"
        )
    return _to_raw(request), {
        name: _convert_member(name, value, _TYPES[name])
        for name, value in request.items()
        if name in _TYPES
    }


def _read_members(body: bytes) -> dict[str, Raw]:
    try:
        return _MEMBERS.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        return _to_raw(json.decode(body))


def _to_raw(request: dict[str, Any]) -> dict[str, Raw]:
    return {name: Raw(json.encode_plain(value)) for name, value in request.items()}


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _convert_member(name: str, value: Any, type: Any) -> Any:
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise _explain(name, error) from error
    except UnicodeEncodeError as error:
        # msgspec wants UTF-8 of a text that it would read as something else.
        raise InvalidRequest(
            f"Invalid value for '{name}': it holds half a surrogate pair.", param=name
        ) from error


def _explain(name: str, error: msgspec.ValidationError) -> InvalidRequest:
    """Turn msgspec's `Expected ... - at `$[0].role`` into a path from the body's root."""
    expectation, _, place = str(error).partition(" - at `$")
    path = name + place.rstrip("`")
    refusal = InvalidRequest(f"Invalid value for '{path}': {expectation}.", param=path)
    refusal.code = next((code for sign, code in _CODES.items() if sign in expectation), None)
    return refusal


# OpenAI's error codes for values out of bounds.
_CODES = {
    "`int` >= ": "integer_below_min_value",
    "`int` <= ": "integer_above_max_value",
    "out of range": "integer_above_max_value",
    "length <= ": "string_above_max_length",
}
