"""Brings an upstream's stream to the specification, chunk by chunk, and folds what it passes.

A conforming chunk passes as the bytes that came. What the caller got and what the record holds
are one: the fold is fed with what is passed on, some chunks later.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from briggs.types import wire
from briggs.types.conform import (
    FINISH_REASONS,
    Asked,
    Conformed,
    Facts,
    Logprobs,
    NotConforming,
    Usage,
    check_created,
    check_indices,
    check_logprobs,
    check_usage,
    convert,
    describe_error,
    read_usage,
    restore_arguments,
    restore_call_id,
    restore_content,
    restore_created,
    restore_id,
    restore_logprobs,
    restore_model,
    restore_usage,
)
from briggs.types.fold import Fold

# Line ends to some readers of streams, though not to the standard: sent as escapes.
_SEPARATORS = {
    b"\xe2\x80\xa8": b"\\u2028",
    b"\xe2\x80\xa9": b"\\u2029",
    b"\xc2\x85": b"\\u0085",
}


class InBandError(Exception):
    """The upstream reported a failure inside of its stream, in its own words."""

    def __init__(self, message: str, *, error: Any) -> None:
        super().__init__(message)
        self.error = error


# Nearly every chunk of nearly every stream has this shape, and then it may pass: one more piece
# of text, with or without logprobs, from a choice that has begun and does not end here. Members
# whose presence means more than that must be absent, or null where null says the same.
_ABSENT = Literal["\0 only absence will do"]


class _PlainDelta(msgspec.Struct):
    content: str
    role: _ABSENT | UnsetType = UNSET
    tool_calls: _ABSENT | UnsetType = UNSET
    function_call: _ABSENT | UnsetType = UNSET


class _PlainChoice(msgspec.Struct):
    index: int
    delta: _PlainDelta
    finish_reason: None
    logprobs: Logprobs | UnsetType | None = UNSET
    error: UnsetType | None = UNSET


class _PlainChunk(msgspec.Struct):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: Annotated[list[_PlainChoice], Meta(min_length=1)]
    system_fingerprint: str | UnsetType = UNSET
    usage: UnsetType | None = UNSET
    error: UnsetType | None = UNSET
    x_groq: UnsetType | None = UNSET


# What every other chunk must be in the end.
class _DeltaFunction(msgspec.Struct):
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class _DeltaCall(msgspec.Struct):
    index: int
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: _DeltaFunction | UnsetType = UNSET


class _Delta(msgspec.Struct):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: list[_DeltaCall] | UnsetType = UNSET
    function_call: _DeltaFunction | UnsetType = UNSET


class _StreamChoice(msgspec.Struct):
    index: Annotated[int, Meta(ge=0)]
    delta: _Delta
    finish_reason: str | None
    logprobs: Logprobs | UnsetType | None = UNSET


class _StreamChunk(msgspec.Struct):
    id: str
    created: int
    model: str
    choices: list[_StreamChoice]
    system_fingerprint: str | UnsetType | None = UNSET


_PLAIN = msgspec.json.Decoder(_PlainChunk)

# A long stream is folded piece by piece, so that its end does not keep other calls waiting.
_UNFOLDED_MAX = 64


class _Choice(msgspec.Struct):
    """What has been passed on of one choice."""

    begun: bool = False
    finished: bool = False
    calls: list[str] = []
    """The ids of its tool calls; the position is the index that we pass on."""
    positions: dict[int, int] = {}
    """The upstream's index of a tool call to ours."""


class ConformStream:
    """The state of one stream: `add` every payload, then `end` it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._fold = Fold()
        self._unfolded: list[bytes | dict[str, Any]] = []
        self._choices: dict[int, _Choice] = {}
        self._identity: dict[str, Any] | None = None
        self._plain_identity: tuple[str, int, str, Any] | None = None
        self._held: list[dict[str, Any]] = []
        self._usage: dict[str, Any] | None = None
        self._usage_payload: bytes | None = None
        self.has_output = False
        """Whether a chunk that carries output has been passed on."""

    def add(self, payload: bytes) -> list[bytes]:
        """The payloads to pass on for one that came. Raises `NotConforming`, `InBandError`."""
        if self._is_plain(payload):
            self._keep_for_fold(payload)
            return [_escape(payload)]
        try:
            chunk = wire.decode(payload)
        except msgspec.DecodeError as error:
            raise NotConforming(f"a chunk is not JSON: {error}") from error
        if not isinstance(chunk, dict):
            raise NotConforming("a chunk is JSON, but no object")
        _raise_in_band_error(chunk)
        if self._identity is None and not chunk.get("id") and not chunk.get("choices"):
            # Azure's first chunk is about the prompt and names no id yet: it waits for one.
            self._held.append(chunk)
            return []
        if self._identity is None:
            self._remember_identity(chunk)
        held, self._held = self._held, []
        passed = [self._pass(early, None) for early in held]
        passed.append(self._pass(chunk, payload))
        return [payload for payload in passed if payload is not None]

    def end(self) -> list[bytes]:
        """The payloads that are left. Raises `NotConforming` if the stream is not whole."""
        indices = sorted(self._choices)
        unfinished = [index for index, choice in self._choices.items() if not choice.finished]
        if not indices or unfinished:
            raise NotConforming("it ended without a finish_reason")
        check_indices(indices, asked=self._asked.choices)
        if self._usage is None or not self._asked.include_usage:
            return []
        if self._usage_payload is not None:
            return [self._usage_payload]
        identity = {"object": "chat.completion.chunk", **(self._identity or {})}
        return [_encode({**identity, "choices": [], "usage": self._usage})]

    def keep(self, payload: bytes) -> None:
        """Keep what a payload says that is not passed on, for the record of the failure."""
        try:
            chunk = wire.decode(payload)
        except msgspec.DecodeError:
            return
        if isinstance(chunk, dict):
            self._keep_for_fold(chunk)

    def fold(self) -> Conformed | None:
        """What has been passed on so far, as a response and its facts; None for nothing."""
        if self._identity is None:
            return None
        self._catch_up()
        folded = self._fold.response()
        if self._usage is not None:
            folded["usage"] = self._usage
        return Conformed(wire.encode_plain(folded), self._read_facts(folded))

    def _is_plain(self, payload: bytes) -> bool:
        """Whether a payload is nothing but more text of choices that have begun."""
        try:
            chunk = _PLAIN.decode(payload)
        except (msgspec.DecodeError, UnicodeError):
            return False
        identity = (chunk.id, chunk.created, chunk.model, chunk.system_fingerprint)
        if identity != self._plain_identity:
            return False
        for choice in chunk.choices:
            state = self._choices.get(choice.index)
            if state is None or state.finished:
                return False
            if not self.has_output:
                if not choice.delta.content:
                    return False
                self.has_output = True
            if choice.logprobs:
                try:
                    check_logprobs(choice.logprobs, top=self._asked.top_logprobs)
                except NotConforming:
                    return False
        return True

    def _keep_for_fold(self, chunk: bytes | dict[str, Any]) -> None:
        self._unfolded.append(chunk)
        if len(self._unfolded) >= _UNFOLDED_MAX:
            self._catch_up()

    def _catch_up(self) -> None:
        for chunk in self._unfolded:
            self._fold.add(wire.decode(chunk) if isinstance(chunk, bytes) else chunk)
        self._unfolded.clear()

    def _read_facts(self, folded: dict[str, Any]) -> Facts:
        """A failed chunk is in the fold too, so its members may be of any type."""
        fingerprint = folded.get("system_fingerprint")
        reasons = [choice["finish_reason"] for choice in folded["choices"]]
        facts = Facts(
            id=folded["id"],
            model=folded["model"],
            system_fingerprint=fingerprint if isinstance(fingerprint, str) else None,
            finish_reasons=[reason for reason in reasons if isinstance(reason, str)],
        )
        if self._usage is not None:
            read_usage(msgspec.convert(self._usage, Usage), into=facts)
        return facts

    def _pass(self, chunk: dict[str, Any], payload: bytes | None) -> bytes | None:
        """One chunk as it may be passed on: as it came if it conforms, None if it is not to."""
        changed = self._restore_identity(chunk)
        is_usage_chunk = not chunk.get("choices") and isinstance(chunk.get("usage"), dict)
        if self._take_usage(chunk):
            if is_usage_chunk:
                return None
            changed = True
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise NotConforming("a chunk has no list of choices")
        if choices:
            verdicts = [self._restore_choice(choice) for choice in choices]
            kept = [choice for choice, verdict in zip(choices, verdicts, strict=True) if verdict]
            if not kept:
                return None
            changed = changed or "restored" in verdicts or None in verdicts
            chunk["choices"] = kept
        convert(chunk, _StreamChunk)
        self._keep_for_fold(chunk)
        return _encode(chunk) if changed or payload is None else _escape(payload)

    def _restore_identity(self, chunk: dict[str, Any]) -> bool:
        """S4: id, created, model, object and system_fingerprint are those of the first chunk."""
        assert self._identity is not None, "the first chunk gives the stream its identity"
        changed = False
        for name, value in self._identity.items():
            if chunk.get(name) != value or type(chunk.get(name)) is not type(value):
                chunk[name] = value
                changed = True
        if "system_fingerprint" not in self._identity and chunk.get("system_fingerprint"):
            # vLLM names it at the end only. The record keeps it; the caller's chunks agree.
            self._keep_for_fold({"system_fingerprint": chunk.pop("system_fingerprint")})
            changed = True
        return changed

    def _remember_identity(self, chunk: dict[str, Any]) -> None:
        created = restore_created(chunk.get("created"))
        if not isinstance(created, int):
            raise NotConforming(f"'created' is no time: {created!r}")
        check_created(created)
        identity: dict[str, Any] = {
            "id": restore_id(chunk.get("id"), asked=self._asked),
            "object": "chat.completion.chunk",
            "created": created,
            "model": restore_model(chunk.get("model"), asked=self._asked),
        }
        if isinstance(chunk.get("system_fingerprint"), str):
            identity["system_fingerprint"] = chunk["system_fingerprint"]
        self._identity = identity
        self._plain_identity = (
            identity["id"],
            created,
            identity["model"],
            identity.get("system_fingerprint", UNSET),
        )

    def _take_usage(self, chunk: dict[str, Any]) -> bool:
        """S8, U6: the last usage counts, and it goes out in a last chunk of its own."""
        usage = chunk.get("usage")
        if usage is None:
            groq = chunk.get("x_groq")
            usage = groq.get("usage") if isinstance(groq, dict) else None
            if not isinstance(usage, dict):
                return False
        restored = restore_usage(usage)
        conforms = restored == usage and chunk.get("choices") == []
        if restored is not None:
            check_usage(convert(restored, Usage))
            self._usage = restored
            self._usage_payload = _encode(chunk) if conforms else None
        return chunk.pop("usage", None) is not None

    def _restore_choice(self, choice: Any) -> Literal["as it came", "restored"] | None:
        """Restore a choice in place; None if it is not to be passed on."""
        if not isinstance(choice, dict) or not isinstance(choice.get("index", 0), int):
            raise NotConforming("a choice of a chunk is no object with an index")
        changed = _fill_choice(choice, top=self._asked.top_logprobs)
        state = self._choices.setdefault(choice["index"], _Choice())
        delta, reason = choice["delta"], choice["finish_reason"]
        if state.finished:
            return "as it came" if _may_follow_finish(delta) else None
        changed |= _restore_role(delta, first=not state.begun)
        changed |= _restore_delta(delta, state)
        state.begun = True
        self.has_output = self.has_output or any(
            value for name, value in delta.items() if name != "role"
        )
        if reason is not None:
            _finish(state, reason)
        return "restored" if changed else "as it came"


def _finish(state: _Choice, reason: Any) -> None:
    """C3, C4: a reason of the specification, and calls where it speaks of calls."""
    if reason not in FINISH_REASONS:
        raise NotConforming(f"a choice ends with the finish_reason {reason!r}")
    if reason == "tool_calls" and not state.calls:
        raise NotConforming("a choice ends with 'tool_calls' and has none")
    state.finished = True


def _fill_choice(choice: dict[str, Any], *, top: int) -> bool:
    """S13, C3: an index, a delta and a finish_reason in every choice; "" is no reason."""
    changed = False
    if "index" not in choice:
        choice["index"], changed = 0, True
    if not isinstance(choice.get("delta"), dict):
        choice["delta"], changed = {}, True
    if choice.get("finish_reason", "") == "":
        choice["finish_reason"], changed = None, True
    if isinstance(choice.get("logprobs"), dict):
        before = wire.encode_plain(choice["logprobs"])
        restore_logprobs(choice, top=top)
        changed |= before != wire.encode_plain(choice["logprobs"])
    return changed


def _may_follow_finish(delta: dict[str, Any]) -> bool:
    """S7: after its finish a choice may only tell when its audio expires."""
    if "audio" in delta:
        return True
    if any(value for name, value in delta.items() if name != "role"):
        raise NotConforming("a choice goes on after its finish_reason")
    return False


def _restore_role(delta: dict[str, Any], *, first: bool) -> bool:
    """S5: the role is in the first delta of a choice and nowhere else."""
    if first:
        changed = delta.get("role") != "assistant"
        delta["role"] = "assistant"
        return changed
    return delta.pop("role", UNSET) is not UNSET


def _restore_delta(delta: dict[str, Any], state: _Choice) -> bool:
    changed = isinstance(delta.get("content"), list)
    if changed:
        restore_content(delta)
    for name in ("tool_calls", "function_call"):  # M5
        if delta.get(name, UNSET) in (None, []):
            del delta[name]
            changed = True
    calls = delta.get("tool_calls", ())
    if not isinstance(calls, list | tuple):
        raise NotConforming("a delta's tool_calls are no list")
    for call in calls:
        changed |= _restore_call(call, state)
    return changed


def _restore_call(call: Any, state: _Choice) -> bool:
    """S10: calls are numbered from 0; id, type and name come once, then only arguments."""
    function = call.get("function", {}) if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise NotConforming("a delta's tool call is no object")
    before = wire.encode_plain(call)
    position = _find_call(call, state)
    if position is None:
        _begin_call(call, function, state)
    else:
        call["index"] = position
        for name in ("id", "type"):
            call.pop(name, None)
        function.pop("name", None)
    if "arguments" in function:
        function["arguments"] = restore_arguments(function["arguments"])
    return before != wire.encode_plain(call)


def _find_call(call: dict[str, Any], state: _Choice) -> int | None:
    """The call that a delta goes on with, or None for a new one.

    An id that was not seen before begins a call, whatever index it comes with: some upstreams
    number every call 0. Without an id the index tells, and without both it is the last one.
    """
    id = call.get("id")
    if id in state.calls:
        return state.calls.index(id)
    if id not in (None, "", "null"):
        return None
    if isinstance(call.get("index"), int):
        return state.positions.get(call["index"])
    return len(state.calls) - 1 if state.calls else None


def _begin_call(call: dict[str, Any], function: dict[str, Any], state: _Choice) -> None:
    if "custom" not in call and not function.get("name"):
        raise NotConforming("a tool call begins without the name of its function")
    position = len(state.calls)
    if isinstance(call.get("index"), int):
        state.positions[call["index"]] = position
    call["index"] = position
    call["id"] = restore_call_id(call.get("id"))
    call.setdefault("type", "function")
    if call["type"] == "function":
        call["function"] = function
        function.setdefault("arguments", "")
    state.calls.append(call["id"])


def _raise_in_band_error(chunk: dict[str, Any]) -> None:
    """S14: an error anywhere at the top of a chunk or in a choice."""
    error = chunk.get("error")
    choices = chunk.get("choices")
    if isinstance(choices, list):
        for choice in choices:
            error = error or (isinstance(choice, dict) and choice.get("error"))
    if error:
        raise InBandError(describe_error(error), error=error)


def _encode(chunk: dict[str, Any]) -> bytes:
    return _escape(wire.encode_plain(chunk))


def _escape(payload: bytes) -> bytes:
    if b"\xe2\x80" in payload or b"\xc2\x85" in payload:
        for separator, escape in _SEPARATORS.items():
            payload = payload.replace(separator, escape)
    # A line end inside of JSON is white space; inside of a frame it would end the line.
    if b"\n" in payload or b"\r" in payload:
        payload = payload.replace(b"\r", b" ").replace(b"\n", b" ")
    return payload
