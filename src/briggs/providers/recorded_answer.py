"""Answers that a program recorded elsewhere, in any vendor's words, as chat completions.

Nothing is refused here: what cannot be read as an answer becomes the text of one. What was
recorded stays beside it, byte for byte.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from briggs.providers.base import Prepared
from briggs.providers.bedrock_answer import BedrockReader
from briggs.providers.chunks import MALFORMED, decode_answer
from briggs.providers.cohere_answer import CohereReader
from briggs.providers.gemini_answer import GeminiReader
from briggs.providers.ollama import OllamaWire
from briggs.providers.recorded_message import decode_message
from briggs.types import wire
from briggs.types.any_json import integer, members, text
from briggs.types.completions import Completion
from briggs.types.conform import (
    COUNT_MAX,
    Asked,
    Conformed,
    Facts,
    InBandError,
    NotConforming,
    conform_response,
    find_finish_reason,
    read_cost,
    restore_words,
)
from briggs.types.envelope import Envelope
from briggs.types.errors import BriggsError

UNKNOWN_MODEL = "unknown"
"""The model of an answer where neither it nor its request names one."""

_LITERAL_LENGTH_MAX = 65_536
_NOTHING_ASKED = Envelope(body=b"", members={}, values={"model": UNKNOWN_MODEL})
_TOP_LOGPROBS_MAX = 10_000


class RecordedAnswer(NamedTuple):
    """A recorded answer as a chat completion."""

    body: bytes
    """A `CreateChatCompletionResponse`: the recorded bytes themselves if they are one."""
    facts: Facts
    """What the recorded answer says. What it leaves out is None, whatever `body` has instead."""
    is_translated: bool
    """Whether it came in other words than OpenAI's, so that OpenAI's rules say nothing of it."""


def read_answer(recorded: bytes, *, of: Completion) -> RecordedAnswer:
    """The answer of a completion, whatever its shape."""
    value = _decode(recorded)
    translated = None if value is None else _translate(value, model=of.model)
    answer, is_translated = translated or value or {}, translated is not None
    for draft in (_mend, _strip) if _has_choices(answer) else ():
        try:
            draft(answer)
            return _finish(recorded, answer, of=of, is_translated=is_translated)
        except (NotConforming, InBandError, RecursionError, *MALFORMED):
            continue
    return _finish(recorded, _quote(recorded, value), of=of, is_translated=is_translated)


def read_response(completion: Completion) -> bytes:
    """The response of a completion that a client told of, as a chat completion.

    Records of Briggs 0.1 hold it as it was told. A finished call without an answer has one
    choice without content, so that whoever reads `choices[0]` may go on.
    """
    if completion.response is not None:
        return read_answer(completion.response, of=completion).body
    choices: list[Any] = []
    if completion.status == "finished":
        message = {"role": "assistant", "content": None, "refusal": None}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    identity = _identify({}, completion)
    return wire.encode_plain({**identity, "object": "chat.completion", "choices": choices})


def _finish(
    recorded: bytes, answer: dict[str, Any], *, of: Completion, is_translated: bool
) -> RecordedAnswer:
    """The conforming answer and what was said of it. Raises `NotConforming`, `InBandError`."""
    reasons = [choice.get("finish_reason") for choice in answer["choices"]]
    told = {**answer, **_identify(answer, of)}
    told["choices"] = [
        {**choice, "finish_reason": reason or _guess_reason(choice, of)}
        for choice, reason in zip(answer["choices"], reasons, strict=True)
    ]
    same = not is_translated and _decode(recorded) == told
    conformed = _conform(recorded if same else wire.encode_plain(told), told)
    facts = conformed.facts
    facts.id, facts.model = text(answer.get("id")), text(answer.get("model"))
    facts.finish_reasons = [
        reason for reason, given in zip(facts.finish_reasons, reasons, strict=True) if given
    ]
    return RecordedAnswer(conformed.body, facts, is_translated)


def _conform(body: bytes, answer: dict[str, Any]) -> Conformed:
    asked = Asked(
        completion_id="",
        model=UNKNOWN_MODEL,
        choices=len(answer["choices"]),
        logprobs=True,
        top_logprobs=_TOP_LOGPROBS_MAX,
        names_tool=True,
        include_usage=True,
    )
    return conform_response(body, asked=asked)


def _identify(answer: Mapping[str, Any], completion: Completion) -> dict[str, Any]:
    """The members that every answer has, from the record where the answer has none."""
    named = text(answer.get("model"))
    return {
        "id": answer.get("id") or completion.id,
        "created": answer.get("created") or completion.created_at // 1_000_000,
        # Which model was asked may be told after the answer.
        "model": (named if named != UNKNOWN_MODEL else None) or completion.model or UNKNOWN_MODEL,
    }


def _guess_reason(choice: Mapping[str, Any], completion: Completion) -> str:
    """Why a choice ended that does not say so: one of a call that failed was cut short."""
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
    """Leave of an answer what is said in it, after all of it could not be read."""
    answer.pop("usage", None)
    for choice in answer["choices"]:
        message = choice["message"]
        said = {name: message[name] for name in ("content", "tool_calls") if name in message}
        content = said.get("content")
        if not isinstance(content, str | None):
            said["content"] = wire.encode(content).decode("utf-8", "replace")
        choice |= {"message": {"role": "assistant", **said}, "logprobs": None}


def _quote(recorded: bytes, value: dict[str, Any] | None) -> dict[str, Any]:
    """What is no answer, as the text of one."""
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
        # Some of Log10's writers put the call beside the message.
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
    if not isinstance(choice.get("logprobs"), dict) or "tokens" in choice["logprobs"]:
        mended["logprobs"] = None
    return {**mended, **_mend_reason(choice.get("finish_reason"), message)}


def _mend_calls(calls: Any) -> list[dict[str, Any]]:
    """The calls that say what they call, their arguments as JSON."""
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
    """Arguments; Log10's Anthropic client writes them as Python does, `{'a': 1}`."""
    if not isinstance(arguments, str) or not arguments.startswith("{'"):
        return arguments
    if len(arguments) > _LITERAL_LENGTH_MAX:
        return arguments
    try:
        return wire.encode(ast.literal_eval(arguments)).decode()
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, msgspec.EncodeError):
        return arguments


def _mend_reason(given: Any, message: Mapping[str, Any]) -> dict[str, Any]:
    """The reason in the specification's words, and beside it the word that is none of them."""
    known = find_finish_reason(given) if isinstance(given, str) else None
    if known == "tool_calls" and not message.get("tool_calls"):
        known = "function_call" if message.get("function_call") else "stop"
    if known == given:
        return {"finish_reason": given}
    # `native_finish_reason` is left to what knows the word; this one says nothing to it.
    return {"finish_reason": known, "native_finish_reason": given} if given else {}


def _read_usage(usage: Any) -> dict[str, Any] | None:
    """Counts in OpenAI's words; None where nobody counted: some clients write -1 or 0 then."""
    if not isinstance(usage, dict):
        return None
    usage = restore_words(usage)
    counts = [integer(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    if any(count is not None and not 0 <= count <= COUNT_MAX for count in counts):
        return None
    return usage if any(counts) or read_cost(usage) is not None else None


def _translate(value: dict[str, Any], *, model: str) -> dict[str, Any] | None:
    """An answer that is in another vendor's words, in OpenAI's; None for any other."""
    translate = next((translate for recognises, translate in _VENDORS if recognises(value)), None)
    if translate is None or isinstance(value.get("choices"), list):
        return None
    try:
        answer: dict[str, Any] = wire.decode(translate(value, Prepared(_NOTHING_ASKED, model, b"")))
    except (BriggsError, RecursionError, *MALFORMED):
        return None
    # What the value does not say was made up on the way.
    for name, names in (("model", {"model", "modelVersion"}), ("created", {"created_at"})):
        if not names & value.keys():
            answer.pop(name, None)
    return answer


def _decode_ollama(value: dict[str, Any], prepared: Prepared) -> bytes:
    return OllamaWire().decode(wire.encode(value), prepared=prepared)


def _decode_bedrock(value: dict[str, Any], prepared: Prepared) -> bytes:
    usage = {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0, **members(value.get("usage"))}
    answer = {"stopReason": "end_turn", **value, "usage": usage}
    reader = BedrockReader(prepared)
    return decode_answer(wire.encode(answer), reader.read_whole, vendor="Bedrock")


def _decode_cohere(value: dict[str, Any], prepared: Prepared) -> bytes:
    reader = CohereReader(prepared)
    return decode_answer(wire.encode(value), reader.read_whole, vendor="Cohere")


def _decode_gemini(value: dict[str, Any], prepared: Prepared) -> bytes:
    answer = _write_camel(value)
    for candidate in answer.get("candidates") or ():
        if candidate.get("finishReason") is None:
            candidate["finishReason"] = "STOP"
    return decode_answer(wire.encode(answer), GeminiReader(prepared).read, vendor="Gemini")


def _write_camel(value: Any, *, levels: int = 8) -> Any:
    """Gemini's members as its API names them; Google's Python package writes `finish_reason`."""
    if levels and isinstance(value, list):
        return [_write_camel(each, levels=levels - 1) for each in value]
    if not levels or not isinstance(value, dict):
        return value
    written = {}
    for name, member in value.items():
        first, *rest = name.split("_")
        kept = member if name == "args" else _write_camel(member, levels=levels - 1)
        if kept is not None:
            written[first + "".join(part.capitalize() for part in rest)] = kept
    return written


def _decode_responses(value: dict[str, Any], prepared: Prepared) -> bytes:
    """An answer of OpenAI's other API. https://platform.openai.com/docs/api-reference/responses"""
    said: list[str] = []
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    calls = []
    for item in value["output"]:
        if item.get("type") == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            calls.append({"id": item["call_id"], "type": "function", "function": function})
        elif item.get("type") == "message":
            for part in item["content"]:
                if part.get("type") == "refusal":
                    message["refusal"] = part["refusal"]
                else:
                    said.append(part["text"])
    if said:
        message["content"] = "".join(said)
    if calls:
        message["tool_calls"] = calls
    reason = "length" if value.get("status") == "incomplete" else "tool_calls" if calls else "stop"
    answer = {name: value.get(name) for name in ("id", "model", "usage")}
    answer["created"] = value.get("created_at")
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return wire.encode({**answer, "object": "chat.completion", "choices": [choice]})


def _is_bedrock(value: Mapping[str, Any]) -> bool:
    return isinstance(members(value.get("output")).get("message"), dict)


def _is_anthropic(value: Mapping[str, Any]) -> bool:
    if value.get("type") == "message" or "stop_reason" in value:
        return "content" in value or isinstance(value.get("completion"), str)
    return _holds_blocks(value.get("content"))


def _holds_blocks(content: Any) -> bool:
    """Whether the content is Anthropic's typed blocks: a program may have kept little else."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(block, dict) and isinstance(block.get("type"), str) for block in content)
    )


_VENDORS: tuple[
    tuple[Callable[[Mapping[str, Any]], bool], Callable[[dict[str, Any], Prepared], bytes]], ...
] = (
    (_is_anthropic, decode_message),
    (lambda value: "candidates" in value or "promptFeedback" in value, _decode_gemini),
    (_is_bedrock, _decode_bedrock),
    (
        lambda value: value.get("object") == "response" and isinstance(value.get("output"), list),
        _decode_responses,
    ),
    (lambda value: "message" in value and "done" in value, _decode_ollama),
    (lambda value: "message" in value and "finish_reason" in value, _decode_cohere),
)
"""How each vendor's answers are recognised, and how they are read."""


def _decode(body: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        value = wire.decode(body)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None
