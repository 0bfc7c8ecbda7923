"""OpenAI's text completions as callers get them, over chat completions of any vendor.

https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta

from briggs.types import json
from briggs.types.completions import CallKind, Completion
from briggs.types.envelope import (
    CHOICES_MAX,
    TOP_LOGPROBS_MAX,
    Envelope,
    Original,
    open_envelope,
    open_members,
    read_members,
)
from briggs.types.errors import BriggsError, InvalidRequest, UnsupportedParameter
from briggs.wires.openai.text.answer import TextFrames, write_text

FORMAT = "completion"
MAX_TOKENS = 16
"""The specification's default."""
END_OF_TEXT = "<|endoftext|>"
"""The specification's default prompt."""

_Count = Annotated[int, Meta(ge=0)]
_TYPES: dict[str, Any] = {
    "prompt": str | list[str | _Count | list[_Count]] | None,
    "best_of": Annotated[int, Meta(ge=1, le=CHOICES_MAX)] | None,
    "echo": bool | None,
    "logprobs": Annotated[int, Meta(ge=0, le=TOP_LOGPROBS_MAX)] | None,
    "max_tokens": _Count | None,
    "suffix": str | None,
}
_NOT_A_TEXT = "send one text"
_LEFT_OUT = "leave it out"


class TextFace:
    """`POST /v1/completions`. A prompt becomes one message of the user."""

    kind: CallKind = "completion"
    stream_type = b"text/event-stream; charset=utf-8"
    id_headers: Sequence[bytes] = (b"x-request-id",)
    passed_headers: Sequence[str] = ()
    names: Mapping[str, str] = {
        "max_completion_tokens": "max_tokens",
        "messages": "prompt",
        "top_logprobs": "logprobs",
    }

    def read_request(self, body: bytes) -> Envelope:
        asked = open_asked(body)
        prompts = list_prompts(asked.values.get("prompt"))
        wanted = asked.choices_asked * len(prompts)
        if wanted > CHOICES_MAX:
            raise InvalidRequest(
                f"The answer would have more than {CHOICES_MAX} choices: send fewer prompts, or a "
                "smaller n.",
                param="prompt",
            )
        envelope = open_envelope(_write_chat(asked, prompts))
        envelope.original = Original(FORMAT, body, refusal=_find_unsaid(asked, prompts))
        # Only a vendor with text completions answers several prompts.
        envelope.values["n"] = wanted
        return envelope

    def write_answer(self, body: bytes, *, envelope: Envelope, completion: Completion) -> bytes:
        return write_text(body)

    def open_stream(self, envelope: Envelope, completion: Completion) -> TextFrames:
        return TextFrames()

    def write_error(self, error: BriggsError, *, id: str, streamed: bool) -> bytes:
        body = error.encode()
        return b"data: %b\n\n" % body if streamed else body


def open_asked(body: bytes) -> Envelope:
    """Decode the request of a text completion. Raises `InvalidRequest`."""
    asked = open_members(body)
    read_members(asked, _TYPES)
    return asked


def list_prompts(given: Any) -> list[Any]:
    """The prompts of a request, each a text or a list of tokens. Raises `InvalidRequest`."""
    if not isinstance(given, list):
        return [END_OF_TEXT if given is None else given]
    if not given or len({*map(type, given)}) > 1:
        raise InvalidRequest(
            "Invalid value for 'prompt': send a text, texts, tokens, or lists of tokens.",
            param="prompt",
        )
    return [given] if isinstance(given[0], int) else given


def find_unsaid(values: dict[str, Any], *, choices: int) -> list[tuple[str, str]]:
    """The members that most servers do not know, and what to do about each."""
    return [
        (name, advice)
        for name, advice, is_given in (
            ("suffix", _LEFT_OUT, values.get("suffix") is not None),
            ("echo", _LEFT_OUT, values.get("echo")),
            ("best_of", "set it to n, or leave it out", (values.get("best_of") or 1) > choices),
        )
        if is_given
    ]


def _find_unsaid(asked: Envelope, prompts: Sequence[Any]) -> UnsupportedParameter | None:
    """What a chat completion cannot express, if there is something."""
    unsaid = find_unsaid(asked.values, choices=asked.choices_asked)
    if len(prompts) > 1 or not isinstance(prompts[0], str):
        unsaid.append(("prompt", _NOT_A_TEXT))
    if not unsaid:
        return None
    name, advice = unsaid[0]
    what = "several prompts, or tokens" if name == "prompt" else f"'{name}'"
    return UnsupportedParameter(
        f"answers a text completion with a chat completion, which cannot express {what}: {advice}, "
        "or use a provider with text completions.",
        param=name,
    )


def _write_chat(asked: Envelope, prompts: Sequence[Any]) -> bytes:
    chat: dict[str, Any] = {k: raw for k, raw in asked.members.items() if k not in _TYPES}
    prompt = prompts[0] if isinstance(prompts[0], str) else json.encode(prompts[0]).decode()
    chat["messages"] = [{"role": "user", "content": prompt}]
    limit = asked.values.get("max_tokens")
    chat["max_completion_tokens"] = MAX_TOKENS if limit is None else limit
    if (logprobs := asked.values.get("logprobs")) is not None:
        chat |= {"logprobs": True, "top_logprobs": logprobs}
    return json.encode_plain(chat)
