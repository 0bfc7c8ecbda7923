"""Mends an upstream's stream chunk by chunk, and folds the chunks that it passes on.

A conforming chunk passes unchanged. The record holds exactly what the caller got, because the fold
gets the chunks that are passed on, some chunks later.
"""

from __future__ import annotations

import json as stdlib_json
import re
import sys
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET

from briggs.conform.chunks import PlainChunk, StrictChunk
from briggs.conform.drafts import Draft, Fixes
from briggs.conform.finish import raise_in_band_error, restore_finish_reason
from briggs.conform.logprobs import are_cut, restore_logprobs
from briggs.conform.message import (
    restore_absent,
    restore_annotations,
    restore_text,
)
from briggs.conform.response import read_object, restore_identity, restore_service_tier
from briggs.conform.stray import find_stray, has_text, restore_stray, says_nothing
from briggs.conform.strict import (
    Asked,
    Conformed,
    Facts,
    NotConforming,
    check_indices,
    check_logprobs,
    convert,
    read_usage,
)
from briggs.conform.tool_calls import Calls
from briggs.conform.usage import restore_usage
from briggs.rules.specification import StrictUsage
from briggs.types import json
from briggs.types.fold import Fold
from briggs.types.probabilities import read_certainty
from briggs.types.tokens import list_logprobs
from briggs.wires.chunks import USAGE_SO_FAR
from briggs.wires.words.costs import read_cost
from briggs.wires.words.places import GROQ

_PLAIN = msgspec.json.Decoder(PlainChunk)
_STRING = msgspec.json.Decoder(str)

_RUN = re.compile(rb'(.*"content": ?")[^"\\]*(?:\\.[^"\\]*)*(".*)', re.DOTALL)
_PADDED = re.compile(rb'(.*"obfuscation": ?")[A-Za-z0-9]*(".*)', re.DOTALL)
_TEXT_MEMBERS = frozenset({"index", "delta", "finish_reason", "logprobs"})
# How often to look for a run. The chunks of some streams are never alike: they have padding.
_RUNS_MAX = 20

# Members that must be the same in every chunk, with the rule for each.
_RULES = {"id": "E2", "created": "E3", "model": "E4", "system_fingerprint": "E7"}
_IDENTITY = tuple(_RULES)

# These members are repeated in every mended chunk, so their length is limited.
_IDENTITY_CHARACTERS_MAX = 1000
# The most chunks that wait for the first one with an id.
_HELD_MAX = 64

# The most chunks that get the full check, which takes a hundred times as long as plain text.
_LOOKED_AT_MAX = 500_000

# A long stream is folded in parts, so that its end does not delay other calls.
_UNFOLDED_MAX = 64

# Some readers of streams treat these as line ends, against the standard. So they are escaped.
_SEPARATORS = {
    b"\xe2\x80\xa8": b"\\u2028",
    b"\xe2\x80\xa9": b"\\u2029",
    b"\xc2\x85": b"\\u0085",
}


class _ChoiceState(msgspec.Struct):
    """The state of one choice, after the chunks that were passed on."""

    calls: Calls = msgspec.field(default_factory=Calls)
    function: bool = False
    """Whether the name of a `function_call` has come."""
    begun: bool = False
    finished: bool = False


class _Run:
    """A run of chunks that differ only in the text of one content. Most chunks are in one.

    Slices are compared, because they cost less than `startswith` and `endswith`.
    """

    __slots__ = (
        "_after",
        "_after_size",
        "_before",
        "_before_size",
        "_contents",
        "_others",
        "_padding",
    )

    def __init__(
        self, before: bytes, after: bytes, *, contents: list[Any], is_padded: bool
    ) -> None:
        """`contents` is the list to which the texts are added. Its last is that of this chunk."""
        padded = _PADDED.fullmatch(after) if is_padded else None
        self._padding = b"" if padded is None else padded[1]
        """The bytes between the text and OpenAI's random padding, if it has some."""
        after = after if padded is None else padded[2]
        self._before, self._after = before, after
        self._before_size, self._after_size = len(before), len(after)
        self._contents = contents
        self._others = len(contents) - 1

    @property
    def size(self) -> int:
        """The number of its chunks, with the one that began it."""
        return len(self._contents) - self._others

    def take(self, payload: bytes) -> bool:
        """Add a chunk if it belongs to the run."""
        begin, end = self._before_size, len(payload) - self._after_size
        if payload[:begin] != self._before or payload[end:] != self._after or begin > end:
            return False
        if self._padding:
            at = payload.find(self._padding, begin)
            if at < 0 or not (payload[at + len(self._padding) : end] + b"x").isalnum():
                return False
            end = at
        text = read_text(payload[begin:end])
        if text is None:
            return False
        self._contents.append(text)
        return True


def read_text(raw: bytes) -> str | None:
    """Read what is between the quotes of a JSON string. None if a chunk with it may not pass."""
    try:
        text = raw.decode()
        if text.isprintable() and '"' not in text and "\\" not in text:
            return text
        is_whole = raw.isascii() or _escape(raw) is raw
        return _STRING.decode(b'"%b"' % raw) if is_whole else None
    except (msgspec.DecodeError, UnicodeError):
        return None


class ConformStream:
    """The state of one stream. Call `add` with every payload, then `end`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._fixes = Fixes()
        self._fold = Fold()
        self._unfolded: list[bytes | dict[str, Any]] = []
        self._choices: dict[int, _ChoiceState] = {}
        self._given: dict[str, Any] = {}
        """The first chunk's identity, before it was mended."""
        self._identity: dict[str, Any] | None = None
        self._plain_identity: tuple[str, int, str, str | None] | None = None
        self._looked_at = 0
        self._held: list[dict[str, Any]] = []
        self._usage: dict[str, Any] | None = None
        self._usage_payload: bytes | None = None
        self._counted: dict[str, Any] | None = None
        """The last usage that came, even if it counted only a part."""
        self._cost_usd: float | None = None
        self._pieces_counted = -1
        """The number of pieces that the last usage includes."""
        self._stray: str | None = None
        """The name of a member that had text outside of any choice."""
        self._number = 0
        """The upstream's index of the choice, if only one was requested."""
        self.has_output = False
        """Whether a chunk with output has been passed on."""
        self._run: _Run | None = None
        """The current run, if there is one."""
        self.alike = 0
        """The number of chunks in the last run that has ended."""
        self._runs = 0

    @property
    def is_finished(self) -> bool:
        """Whether every requested choice has its finish_reason."""
        choices = self._choices.values()
        return len(choices) == self._asked.choices and all(each.finished for each in choices)

    @property
    def has_usage(self) -> bool:
        """Whether there is a usage that includes everything so far."""
        self._catch_up()
        return self._usage is not None and self._pieces_counted == self._fold.pieces

    def add(self, payload: bytes) -> list[bytes]:
        """Check a payload, and return those to pass on. Raises `NotConforming`, `InBandError`."""
        if self._run is not None:
            if self._run.take(payload):
                return [payload]
            self.alike, self._run = self._run.size, None
        if self._is_plain(payload):
            self._keep_for_fold(payload)
            escaped = _escape(payload)
            if self.has_output and self._runs < _RUNS_MAX and escaped is payload:
                self._begin_run(payload)
            return [escaped]
        self._looked_at += 1
        if self._looked_at > _LOOKED_AT_MAX:
            raise NotConforming(f"it has more than {_LOOKED_AT_MAX} chunks that are not plain text")
        before = self._fixes.made
        chunk = read_object(payload, self._fixes)
        if chunk.keys() == {USAGE_SO_FAR}:
            self._usage = _restore_usage(Draft({"usage": chunk[USAGE_SO_FAR]}, Fixes()))
            self._note_counted()
            return []
        draft = Draft(chunk, self._fixes)
        raise_in_band_error(draft)
        if self._identity is None:
            if not chunk.get("id") and not chunk.get("choices"):
                # Azure's first chunk describes the prompt and has no id. It waits for one.
                if len(self._held) >= _HELD_MAX:
                    raise NotConforming(f"its first {_HELD_MAX} chunks have no id and no choice")
                self._held.append(chunk)
                return []
            self._begin(draft)
        passed: list[bytes] = []
        if self._restore(draft):
            passed = [_encode(chunk) if self._fixes.made > before else _escape(payload)]
        held, self._held = self._held, []
        early = [_encode(one) for one in held if self._restore(Draft(one, self._fixes))]
        return early + passed

    def end(self) -> list[bytes]:
        """The payloads that are left. Raises `NotConforming` if the stream is incomplete."""
        indices = sorted(self._choices)
        unfinished = [index for index, choice in self._choices.items() if not choice.finished]
        if not indices or unfinished:
            raise NotConforming("it ended without a finish_reason")
        check_indices(indices, asked=self._asked.choices)
        if self._stray:
            for index in indices:
                self._require_text(index, {})
        if self._usage is None or not self._asked.include_usage:
            return []
        if self._usage_payload is not None:
            return [self._usage_payload]
        identity = {"object": "chat.completion.chunk", **(self._identity or {})}
        return [_encode({**identity, "choices": [], "usage": self._usage})]

    def keep(self, payload: bytes) -> None:
        """Keep the content of a payload that is not passed on, for the record of the failure."""
        try:
            chunk = json.decode(payload)
        except msgspec.DecodeError:
            return
        if isinstance(chunk, dict):
            self._keep_for_fold(chunk)

    def fold(self) -> Conformed | None:
        """What was passed on so far, as a response with its facts. None if that is nothing."""
        if self._identity is None:
            return None
        self._catch_up()
        folded = self._fold.response()
        if self._usage is not None:
            folded["usage"] = self._usage
        return Conformed(
            json.encode_plain(folded), self._read_facts(folded), fixes=self._fixes.noted
        )

    def _is_plain(self, payload: bytes) -> bool:
        """Whether a payload only adds text to choices that have begun."""
        try:
            chunk = _PLAIN.decode(payload)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
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
            if choice.logprobs is not UNSET and choice.logprobs is not None:
                if are_cut(choice.logprobs):
                    return False
                try:
                    check_logprobs(choice.logprobs, self._asked)
                except NotConforming:
                    return False
        return True

    def _begin_run(self, payload: bytes) -> None:
        """Begin a run with this chunk, if it has only one choice and that has only text."""
        self._runs += 1
        parts = _RUN.fullmatch(payload)
        if parts is None or payload.count(b'"content"') != 1:
            return
        chunk = _read_passed(payload)
        [choice, *others] = chunk["choices"]
        is_text = choice["delta"].keys() == {"content"} and choice.get("logprobs") is None
        if is_text and not others and choice.keys() <= _TEXT_MEMBERS:
            self._catch_up()
            contents = self._fold.contents(choice["index"])
            is_padded = "obfuscation" in chunk and payload.count(b'"obfuscation"') == 1
            self._run = _Run(parts[1], parts[2], contents=contents, is_padded=is_padded)

    def _keep_for_fold(self, chunk: bytes | dict[str, Any]) -> None:
        self._unfolded.append(chunk)
        if len(self._unfolded) >= _UNFOLDED_MAX:
            self._catch_up()

    def _catch_up(self) -> None:
        for chunk in self._unfolded:
            self._fold.add(_read_passed(chunk) if isinstance(chunk, bytes) else chunk)
        self._unfolded.clear()

    def _read_facts(self, folded: dict[str, Any]) -> Facts:
        """Read the facts of a folded response. After a failed chunk it may have any types."""
        tier = folded.get("service_tier") or folded.get("native_service_tier")
        reasons = [choice["finish_reason"] for choice in folded["choices"]]
        facts = Facts(
            id=_text(folded["id"]),
            model=_text(folded["model"]),
            system_fingerprint=_text(folded.get("system_fingerprint")),
            service_tier=_text(tier),
            finish_reasons=[reason for reason in reasons if isinstance(reason, str)],
            cost_usd=self._cost_usd,
        )
        if self._usage is not None:
            read_usage(convert(self._usage, StrictUsage), into=facts)
        logprobs = [each for choice in folded["choices"] for each in list_logprobs(choice)]
        if logprobs:
            facts.p_mean, facts.p_least = read_certainty(logprobs)
        return facts

    def _begin(self, chunk: Draft) -> None:
        """Take the identity of the stream from its first chunk."""
        self._given = {name: chunk.get(name) for name in _IDENTITY}
        restore_identity(chunk, self._asked)
        self._identity = {name: chunk.get(name) for name in _IDENTITY if chunk.get(name)}
        for name, value in self._identity.items():
            if isinstance(value, str) and len(value) > _IDENTITY_CHARACTERS_MAX:
                raise NotConforming(f"its {name} has more than {_IDENTITY_CHARACTERS_MAX} letters")
        self._plain_identity = (
            chunk.get("id"),
            chunk.get("created"),
            chunk.get("model"),
            self._identity.get("system_fingerprint"),
        )

    def _restore(self, chunk: Draft) -> bool:
        """Mend a chunk in place. Returns whether to pass it on."""
        self._restore_identity(chunk)
        if not isinstance(chunk.get("choices"), list):
            chunk.set("choices", [], rule="E5")
        self._stray = self._stray or find_stray(chunk.members)
        before = self._usage
        if self._take_usage(chunk):
            self._note_counted()
            return False
        if not self._restore_choices(chunk):
            return False
        convert(chunk.members, StrictChunk)
        self._keep_for_fold(chunk.members)
        if self._usage is not before:
            self._note_counted()
        return True

    def _note_counted(self) -> None:
        """Note that the usage includes everything so far."""
        self._catch_up()
        self._pieces_counted = self._fold.pieces

    def _restore_identity(self, chunk: Draft) -> None:
        """S4: id, created, model and system_fingerprint are those of the first chunk."""
        assert self._identity is not None, "the first chunk gives the stream its identity"
        chunk.set("object", "chat.completion.chunk", rule="E1" if chunk.get("object") else "S4")
        for name, value in self._identity.items():
            # A fault that is the same in every chunk was noted in the first.
            is_noted = chunk.get(name) == self._given[name] != value
            chunk.set(name, value, rule=_RULES[name] if is_noted else "S4")
        restore_service_tier(chunk)
        if "system_fingerprint" not in self._identity:
            # vLLM sends it only at the end. The record keeps it, but the caller's chunks must be
            # the same throughout.
            fingerprint = chunk.get("system_fingerprint")
            if fingerprint and isinstance(fingerprint, str):
                self._keep_for_fold({"system_fingerprint": fingerprint})
            if fingerprint is not None:
                rule = "S4" if isinstance(fingerprint, str) else "E7"
                chunk.remove("system_fingerprint", rule=rule)

    def _take_usage(self, chunk: Draft) -> bool:
        """S8, U6: keep the last usage for the end. Returns whether the chunk has nothing else."""
        if self._usage_payload is not None:
            self._note_usage(chunk)
        places = (chunk, chunk.object(GROQ), *chunk.objects("choices"))
        holder = next((one for one in places if one and one.get("usage") is not None), None)
        if holder is None:
            return False
        given = holder.get("usage")
        cost_usd = read_cost(given)
        if cost_usd or self._cost_usd is None:
            self._cost_usd = cost_usd
        usage = _restore_usage(holder, before=self._counted)
        if isinstance(given, dict):
            self._counted = given
        if usage is None:
            return False
        self._usage, self._usage_payload = usage, None
        if holder is not chunk:
            self._note_usage(holder)
            return False
        if chunk.get("choices") == []:
            self._usage_payload = _encode(chunk.members)
            self._keep_for_fold(chunk.members)
            return True
        chunk.remove("usage", rule="S8")
        return False

    def _note_usage(self, place: Draft) -> None:
        """S8: note that the usage moves to another chunk, if it is passed on at all."""
        if self._asked.include_usage:
            place.note("S8", "usage")

    def _restore_choices(self, chunk: Draft) -> bool:
        """Mend a chunk's choices. Returns whether to pass the chunk on."""
        came = list(chunk.objects("choices"))
        if len(came) < len(chunk.get("choices")):
            raise NotConforming("a choice of a chunk is not an object")
        kept = []
        for position, choice in enumerate(came):
            if self._restore_choice(choice, position):
                kept.append(choice.members)
            else:
                chunk.note("S7", f"choices[{position}]")
        chunk.members["choices"] = kept
        return bool(kept) or not came

    def _restore_choice(self, choice: Draft, position: int) -> bool:
        """Mend a choice in place. Returns whether to pass it on."""
        state = self._find_state(choice, position)
        if isinstance(choice.get("delta"), dict) and has_text(choice.get("message")):
            # Perplexity repeats the text so far in `message`.
            self._stray = self._stray or "message"
        restore_stray(choice, "delta", is_said=partial(self._is_said, choice))
        if not isinstance(choice.get("delta"), dict):
            choice.set("delta", {}, rule="S13", absent="S13")
        delta = choice.object("delta")
        assert delta is not None, "it was set above"
        if state.finished:
            if not _may_follow_finish(delta.members):
                return False
            if "finish_reason" in choice.members:
                choice.set("finish_reason", None, rule="S6")
            return True
        _restore_delta(delta, state)
        restore_logprobs(choice, delta, asked=self._asked)
        reason = restore_finish_reason(choice, calls=bool(state.calls), asked=self._asked)
        if reason is not None or "finish_reason" in choice.members:
            choice.set("finish_reason", reason, rule="C3")
        if reason is not None and self._stray:
            self._require_text(choice.get("index"), delta.members)
        state.finished = reason is not None
        self.has_output = self.has_output or any(
            value for name, value in delta.members.items() if name != "role"
        )
        return True

    def _is_said(self, choice: Draft, text: str) -> bool:
        """Whether a text only repeats, at the end, everything that a choice has said."""
        index = 0 if self._asked.choices == 1 else choice.get("index")
        state = self._choices.get(index)
        if state is None or not (state.finished or choice.get("finish_reason")):
            return False
        self._catch_up()
        said = [piece for piece in self._fold.contents(index) if isinstance(piece, str)]
        return "".join(said).strip() == text.strip()

    def _require_text(self, index: int, delta: dict[str, Any]) -> None:
        """Raise `NotConforming` if a choice is empty but text came elsewhere."""
        self._catch_up()
        choices = self._fold.response()["choices"]
        said = [choice["message"] for choice in choices if choice["index"] == index]
        if all(map(says_nothing, [*said, delta])):
            raise NotConforming(f"its choice is empty, and its text is in '{self._stray}'")

    def _find_state(self, choice: Draft, position: int) -> _ChoiceState:
        """C2: the choice with an index. Without one, its place in the list counts."""
        index = choice.get("index")
        if type(index) is not int or index < 0:
            index = position
        if self._asked.choices == 1 and not self._choices:
            self._number = index
        if self._asked.choices == 1 and index == self._number:
            # The only choice has index 0, whatever the upstream's index is.
            index = 0
        choice.set("index", index, rule="C2")
        state = self._choices.get(index)
        if state is None:
            if len(self._choices) >= self._asked.choices:
                check_indices([*self._choices, index], asked=self._asked.choices)
            state = self._choices[index] = _ChoiceState()
        return state


def _may_follow_finish(delta: dict[str, Any]) -> bool:
    """S7: after its finish_reason, a choice may only have audio, such as its expiry time."""
    if "audio" in delta:
        return True
    if any(value for name, value in delta.items() if name != "role"):
        raise NotConforming("a choice continues after its finish_reason")
    return False


def _restore_delta(delta: Draft, state: _ChoiceState) -> None:
    """S5, S10, M2, M5: the role comes first and once. The rest is mended as in a message."""
    if state.begun:
        delta.remove("role", rule="S5")
    else:
        delta.set("role", "assistant", rule="S5", absent="S5")
    state.begun = True
    restore_absent(delta)
    restore_annotations(delta)
    function = delta.object("function_call")
    if function is not None:
        if function.get("name") is None:
            function.remove("name", rule="M5")
        state.function |= bool(function.get("name"))
        if not state.function:
            raise NotConforming("a function_call begins without the name of its function")
        if "arguments" in function.members:
            restore_text(function, "arguments")
    for call in delta.objects("tool_calls"):
        state.calls.restore(call)


def _restore_usage(holder: Draft, *, before: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Restore a usage, and raise `NotConforming` here if the record could not read it later."""
    usage = restore_usage(holder, before=before)
    if usage is not None:
        convert(usage, StrictUsage)
    return usage


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _read_passed(payload: bytes) -> Any:
    """Read a chunk that was passed on as it came, with unchecked members.

    JSON allows numbers that no float can hold. They are read as the largest float.
    """
    try:
        return json.decode(payload)
    except msgspec.DecodeError as error:
        try:
            return stdlib_json.loads(payload, parse_float=_clamp)
        except (ValueError, RecursionError):
            raise NotConforming(str(error)) from error


def _clamp(digits: str) -> float:
    return max(-sys.float_info.max, min(float(digits), sys.float_info.max))


def _encode(chunk: dict[str, Any]) -> bytes:
    return _escape(json.encode_plain(chunk))


def _escape(payload: bytes) -> bytes:
    if b"\xe2\x80" in payload or b"\xc2\x85" in payload:
        for separator, escape in _SEPARATORS.items():
            payload = payload.replace(separator, escape)
    # A line end is white space in JSON, but would end a line of the stream.
    if 10 in payload or 13 in payload:
        payload = payload.replace(b"\r", b" ").replace(b"\n", b" ")
    return payload
