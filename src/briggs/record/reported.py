"""Reads answers that were recorded elsewhere, in any vendor's format, as chat completions.

No answer is refused: one that cannot be read becomes the text of a completion. The record also
keeps the original bytes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from briggs.conform import (
    Asked,
    Facts,
    InBandError,
    NotConforming,
    conform_plain,
    conform_response,
    conform_strict,
    restore_words,
)
from briggs.types import json
from briggs.types.any_json import integer, members, text
from briggs.types.completions import TEXTLESS, Completion
from briggs.types.envelope import LARGE_BYTES
from briggs.types.usage import COUNT_MAX
from briggs.wires.chunks import MALFORMED
from briggs.wires.recorded.answer import translate_answer
from briggs.wires.words.costs import read_cost
from briggs.wires.words.reasons import find_finish_reason

UNKNOWN_MODEL = "unknown"
"""The model of an answer if neither it nor its request names one."""

_LITERAL_LENGTH_MAX = 65_536
_TOP_LOGPROBS_MAX = 10_000


class RecordedAnswer(NamedTuple):
    """A recorded answer as a chat completion."""

    body: bytes
    """A `CreateChatCompletionResponse`: the recorded bytes themselves if they already are one."""
    facts: Facts
    """What the recorded answer says. Facts that it leaves out are None, even if `body` has them."""
    is_translated: bool
    """Whether it came in another format than OpenAI's, so that OpenAI's rules do not apply."""
    is_plain: bool = False
    """Whether a quick check has shown that it breaks no rule that an answer alone can break."""


def read_answer(recorded: bytes, *, of: Completion) -> RecordedAnswer:
    """Read the answer of a completion, whatever its shape."""
    if of.kind in TEXTLESS:
        return RecordedAnswer(recorded, _read_counts(_decode(recorded)), is_translated=True)
    if (read := _read_plain(recorded) or _read_large(recorded, of=of)) is not None:
        return read
    value = _decode(recorded)
    translated = None if value is None else translate_answer(value, model=of.model)
    answer, is_translated = translated or value or {}, translated is not None
    for draft in (_mend, _strip) if _has_choices(answer) else ():
        try:
            draft(answer)
            return _finish(recorded, answer, of=of, is_translated=is_translated)
        except (NotConforming, InBandError, RecursionError, *MALFORMED):
            continue
    return _finish(recorded, _quote(recorded, value), of=of, is_translated=is_translated)


def read_response(completion: Completion) -> bytes:
    """The response of a completion that a client posted, as a chat completion.

    What differs from what was posted was read when it came. Records of Briggs 0.1 hold the response
    as it was posted. A finished call without an answer gets one choice without content, so that
    code that reads `choices[0]` works.
    """
    if completion.response is not None and completion.received is not None:
        return name_model(completion.response, of=completion)
    if completion.response is not None:
        return read_answer(completion.response, of=completion).body
    choices: list[Any] = []
    if completion.status == "finished":
        message = {"role": "assistant", "content": None, "refusal": None}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    identity = _identify({}, completion)
    return json.encode_plain({**identity, "object": "chat.completion", "choices": choices})


def name_model(body: bytes, *, of: Completion) -> bytes:
    """Write the model of the request into an answer that was read before its request came."""
    if not of.model or f'"{UNKNOWN_MODEL}"'.encode() not in body:
        return body
    members = _MEMBERS.decode(body)
    if json.decode(bytes(members["model"])) != UNKNOWN_MODEL:
        return body
    return json.encode_plain(members | {"model": of.model})


def _read_counts(answer: dict[str, Any] | None) -> Facts:
    """What an answer without text says: no choices, but maybe its tokens."""
    usage = members(members(answer).get("usage"))
    prompt = integer(usage.get("prompt_tokens"))
    is_counted = prompt is not None and 0 <= prompt <= COUNT_MAX
    return Facts(
        id=text(members(answer).get("id")),
        model=text(members(answer).get("model")),
        prompt_tokens=prompt if is_counted else None,
        completion_tokens=0 if is_counted else None,
        total_tokens=prompt if is_counted else None,
    )


def _finish(
    recorded: bytes,
    answer: dict[str, Any],
    *,
    of: Completion,
    is_translated: bool,
    is_large: bool = False,
) -> RecordedAnswer:
    """Conform an answer and read its facts. Raises `NotConforming`, `InBandError`."""
    reasons = [choice.get("finish_reason") for choice in answer["choices"]]
    whole = {**answer, **_identify(answer, of)}
    whole["choices"] = [
        {**choice, "finish_reason": reason or _guess_reason(choice, of)}
        for choice, reason in zip(answer["choices"], reasons, strict=True)
    ]
    decode, conform = (_split, conform_strict) if is_large else (_decode, conform_response)
    same = not is_translated and decode(recorded) == whole
    asked = _ask(choices=len(whole["choices"]))
    conformed = conform(recorded if same else json.encode_plain(whole), asked=asked)
    if conformed is None:
        raise NotConforming("it must be mended within its logprobs")
    facts = conformed.facts
    facts.id, facts.model = text(answer.get("id")), text(answer.get("model"))
    facts.finish_reasons = [
        reason for reason, given in zip(facts.finish_reasons, reasons, strict=True) if given
    ]
    return RecordedAnswer(conformed.body, facts, is_translated)


def _read_plain(recorded: bytes) -> RecordedAnswer | None:
    """Read a plain answer with one decode. None for one that needs more."""
    plain = conform_plain(recorded, asked=_ask(logprobs=b'"top_logprobs"' in recorded))
    if plain is None or plain.facts.model == UNKNOWN_MODEL:
        return None
    return RecordedAnswer(recorded, plain.facts, is_translated=False, is_plain=True)


def _read_large(recorded: bytes, *, of: Completion) -> RecordedAnswer | None:
    """Read a large answer whose logprobs conform. They stay as they are written, because to make
    objects of them takes seconds. None for any other answer.
    """
    answer = _split(recorded) if len(recorded) >= LARGE_BYTES else None
    if answer is None:
        return None
    try:
        _mend(answer)
        return _finish(recorded, answer, of=of, is_translated=False, is_large=True)
    except (NotConforming, InBandError, RecursionError, *MALFORMED):
        return None


def _ask(*, choices: int = 1, logprobs: bool = True) -> Asked:
    """What an answer is checked against. Its request is not known, so it may be any."""
    return Asked(
        completion_id="",
        model=UNKNOWN_MODEL,
        choices=choices,
        logprobs=logprobs,
        top_logprobs=_TOP_LOGPROBS_MAX,
        names_tool=True,
        include_usage=True,
    )


def _identify(answer: Mapping[str, Any], completion: Completion) -> dict[str, Any]:
    """The members that every answer needs, from the answer or else from the record."""
    named = text(answer.get("model"))
    return {
        "id": answer.get("id") or completion.id,
        "created": answer.get("created") or completion.created_at // 1_000_000,
        # The request, with its model, may be posted after the answer.
        "model": (named if named != UNKNOWN_MODEL else None) or completion.model or UNKNOWN_MODEL,
    }


def _guess_reason(choice: Mapping[str, Any], completion: Completion) -> str:
    """The likely finish reason of a choice without one. A failed call's choice was cut short."""
    if completion.status == "failed":
        return "length"
    return "tool_calls" if choice["message"].get("tool_calls") else "stop"


def _has_choices(answer: Mapping[str, Any]) -> bool:
    choices = answer.get("choices")
    is_list = isinstance(choices, list) and bool(choices)
    return is_list and all(isinstance(choice, dict) for choice in choices or ())


def _mend(answer: dict[str, Any]) -> None:
    """Give an answer with choices the shape of a chat completion, in place."""
    answer.pop("error", None)
    usage = _read_usage(answer.pop("usage", None))
    if usage is not None:
        answer["usage"] = usage
    answer["choices"] = [_mend_choice(choice) for choice in answer["choices"]]


def _strip(answer: dict[str, Any]) -> None:
    """Keep only the text and tool calls of an answer that could not be read as a whole."""
    answer.pop("usage", None)
    for choice in answer["choices"]:
        message = choice["message"]
        kept = {name: message[name] for name in ("content", "tool_calls") if name in message}
        content = kept.get("content")
        if not isinstance(content, str | None):
            kept["content"] = json.encode(content).decode("utf-8", "replace")
        choice |= {"message": {"role": "assistant", **kept}, "logprobs": None}


def _quote(recorded: bytes, value: dict[str, Any] | None) -> dict[str, Any]:
    """Quote recorded bytes that are not an answer as the text of one."""
    message = {"role": "assistant", "content": recorded.decode("utf-8", "replace")}
    named = {name: (value or {}).get(name) for name in ("id", "model", "created")}
    quoted: dict[str, Any] = {name: each for name, each in named.items() if text(each)}
    quoted["choices"] = [{"index": 0, "message": message, "finish_reason": None}]
    usage = _read_usage((value or {}).get("usage"))
    return quoted if usage is None else {**quoted, "usage": usage}


def _mend_choice(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice.get("message", choice.get("text", choice.get("delta")))
    message = dict(message) if isinstance(message, dict) else {"content": message}
    for name in ("function_call", "tool_calls"):
        # Some of Log10's clients put the call beside the message.
        if message.get(name) is None and choice.get(name) is not None:
            message[name] = choice[name]
    if not isinstance(message.get("refusal"), str | None):
        del message["refusal"]
    called = members(message.get("function_call"))
    if not text(called.get("name")):
        message.pop("function_call", None)
    if "tool_calls" in message:
        message["tool_calls"] = _mend_calls(message["tool_calls"])
    mended = {**choice, "message": message}
    if "message" not in choice:
        # Its text is the content now, and would be read as a part of it the next time.
        mended.pop("text", None)
    if not isinstance(choice.get("logprobs"), dict) or "tokens" in choice["logprobs"]:
        mended["logprobs"] = None
    return {**mended, **_mend_reason(choice.get("finish_reason"), message)}


def _mend_calls(calls: Any) -> list[dict[str, Any]]:
    """Keep the calls that name a function or tool, with their arguments as JSON."""
    mended = []
    for call in calls if isinstance(calls, list) else ():
        called = members(members(call).get("function"))
        if text(called.get("name")):
            function = {**called, "arguments": _read_arguments(called.get("arguments"))}
            mended.append({**call, "function": function})
        elif text(members(members(call).get("custom")).get("name")):
            mended.append(call)
    return mended


def _read_arguments(arguments: Any) -> Any:
    """Read arguments. Log10's Anthropic client writes them as a Python literal, `{'a': 1}`."""
    if not isinstance(arguments, str) or not arguments.startswith("{'"):
        return arguments
    if len(arguments) > _LITERAL_LENGTH_MAX:
        return arguments
    try:
        return json.encode(ast.literal_eval(arguments)).decode()
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, msgspec.EncodeError):
        return arguments


def _mend_reason(given: Any, message: Mapping[str, Any]) -> dict[str, Any]:
    """The specification's finish reason, and the vendor's own if it differs."""
    known = find_finish_reason(given) if isinstance(given, str) else None
    if known == "tool_calls" and not message.get("tool_calls"):
        known = "function_call" if message.get("function_call") else "stop"
    if known == given:
        return {"finish_reason": given}
    # Without a reason, an existing `native_finish_reason` is left alone.
    return {"finish_reason": known, "native_finish_reason": given} if given else {}


def _read_usage(usage: Any) -> dict[str, Any] | None:
    """Usage in OpenAI's format; None without counts. Some clients then write -1 or 0."""
    if not isinstance(usage, dict):
        return None
    usage = restore_words(usage)
    counts = [integer(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    if any(count is not None and not 0 <= count <= COUNT_MAX for count in counts):
        return None
    return usage if any(counts) or read_cost(usage) is not None else None


def _split(body: bytes) -> dict[str, Any] | None:
    """A JSON object with choices, whose logprobs are left as they are written. None for others."""
    try:
        body.decode()
        members = _MEMBERS.decode(body)
        choices = [_split_choice(each) for each in _CHOICES.decode(members["choices"])]
        value = {
            name: choices if name == "choices" else json.decode(bytes(raw))
            for name, raw in members.items()
        }
        return value if choices else None
    except (KeyError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _split_choice(choice: dict[str, Raw]) -> dict[str, Any]:
    return {
        name: _split_logprobs(raw) if name == "logprobs" else json.decode(bytes(raw))
        for name, raw in choice.items()
    }


def _split_logprobs(raw: Raw) -> Any:
    return _MEMBERS.decode(raw) if bytes(memoryview(raw)[:1]) == b"{" else json.decode(bytes(raw))


_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_CHOICES = msgspec.json.Decoder(list[dict[str, Raw]])


def _decode(body: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        value = json.decode(body)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None
