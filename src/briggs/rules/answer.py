"""What the rules check: answers and requests, read from JSON of any shape."""

from __future__ import annotations

import json as stdlib_json
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from briggs.types import json
from briggs.types.any_json import Members, integer, members, objects
from briggs.types.envelope import CHOICES_MAX

# RFC 8259, section 9, lets readers set a limit.
DEPTH_MAX = 100


class CheckedBody:
    """Bytes that should be JSON."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.value: Any = None
        self.fault: str | None = None
        """Why it is not valid JSON; None if it is."""
        try:
            self.value = json.decode(data)
        except msgspec.DecodeError as error:
            self.fault = str(error)
        if data.count(b"[") + data.count(b"{") > DEPTH_MAX and is_too_deep(self.value):
            self.value, self.fault = None, f"it is nested deeper than {DEPTH_MAX} levels"

    @property
    def members(self) -> Members:
        """The members of the object; empty if it is something else."""
        return members(self.value)

    def read_leniently(self) -> Members:
        """The object that it would be if JSON allowed NaN and Infinity."""
        try:
            value = stdlib_json.loads(self.data)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


class CheckedChoice(NamedTuple):
    """A choice, and its message or delta."""

    path: str
    value: Members
    message: Members
    """Empty if there is none."""
    message_path: str

    @property
    def calls(self) -> list[tuple[str, Members]]:
        """The tool calls with their paths."""
        return list(objects(self.message.get("tool_calls"), f"{self.message_path}.tool_calls"))

    @property
    def has_output(self) -> bool:
        """Whether the message has any text or call."""
        spoken = ("content", "refusal", "tool_calls", "function_call", "audio")
        return any(self.message.get(name) for name in spoken)


class CheckedToken(NamedTuple):
    """A token of the output, and the alternatives to it with their paths."""

    path: str
    value: Members
    others: list[tuple[str, Members]]


class CheckedAnswer:
    """A response, the response that a stream's chunks form, or one chunk, with its request."""

    def __init__(
        self, value: Members, request: CheckedRequest | None, *, member: str = "message"
    ) -> None:
        self.value = value
        self.request = request
        self.member = member
        """`message` or, in a chunk, `delta`."""
        # If an answer has more choices, it breaks C1, and the rest are not read.
        self.choices = [
            CheckedChoice(path, choice, members(choice.get(member)), f"{path}.{member}")
            for path, choice in islice(objects(value.get("choices"), "choices"), CHOICES_MAX)
        ]

    @property
    def usage(self) -> Members:
        return members(self.value.get("usage"))

    @cached_property
    def tokens(self) -> list[CheckedToken]:
        """Every token that has log probabilities."""
        return [
            CheckedToken(path, value, [*objects(value.get("top_logprobs"), f"{path}.top_logprobs")])
            for choice in self.choices
            for name in ("content", "refusal")
            for path, value in objects(
                members(choice.value.get("logprobs")).get(name), f"{choice.path}.logprobs.{name}"
            )
        ]

    @cached_property
    def entries(self) -> list[tuple[str, Members]]:
        """Every token and every alternative to it, with their paths."""
        return [
            entry for token in self.tokens for entry in ((token.path, token.value), *token.others)
        ]


class CheckedRequest:
    """A request, as far as the rules compare answers with it."""

    def __init__(self, value: Members) -> None:
        self.value = value

    @property
    def choices(self) -> int:
        """`n`, or 1 if it is not given."""
        return integer(self.value.get("n")) or 1

    @property
    def wants_logprobs(self) -> bool:
        """Older servers take a number of alternatives as `logprobs`; 0 asks for them too."""
        logprobs = self.value.get("logprobs")
        return logprobs is True or integer(logprobs) is not None

    @property
    def top_logprobs(self) -> int:
        older = integer(self.value.get("logprobs"))
        return integer(self.value.get("top_logprobs")) or older or 0

    @property
    def tokens_max(self) -> int | None:
        """The most tokens that a choice may have."""
        value = self.value
        newer = integer(value.get("max_completion_tokens"))
        return integer(value.get("max_tokens")) if newer is None else newer

    @property
    def stops(self) -> list[str]:
        """The stop sequences."""
        stop = self.value.get("stop")
        given = stop if isinstance(stop, list) else [stop]
        return [text for text in given if isinstance(text, str) and text]

    @property
    def tool_choice(self) -> str | None:
        """`none`, `auto` or `required`; `function` or `custom` if it names a tool."""
        choice = self.value.get("tool_choice")
        named = members(choice)
        allowed = members(named.get("allowed_tools"))
        kind = allowed.get("mode") or named.get("type") or choice
        return kind if isinstance(kind, str) else None

    @property
    def stream_options(self) -> Members:
        return members(self.value.get("stream_options"))

    @property
    def includes_usage(self) -> bool:
        return self.stream_options.get("include_usage") is True


def read_request(body: bytes | None) -> CheckedRequest | None:
    """The request; None if it is missing or is not a JSON object."""
    value = None if body is None else CheckedBody(body).value
    return CheckedRequest(value) if isinstance(value, dict) else None


def is_too_deep(value: Any) -> bool:
    """Whether JSON is nested deeper than `DEPTH_MAX`."""
    level: list[Any] = [[value]]
    for _ in range(DEPTH_MAX + 1):
        within = [each.values() if isinstance(each, dict) else each for each in level]
        level = [item for items in within for item in items if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def join(path: str, name: str) -> str:
    """The path of a member."""
    return f"{path}.{name}" if path else name


def utf8(text: str) -> bytes:
    """The bytes of a string, half surrogate pairs included."""
    return text.encode("utf-8", "surrogatepass")
