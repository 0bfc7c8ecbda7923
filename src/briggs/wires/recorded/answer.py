"""Reads answers that were recorded elsewhere, in any vendor's format, as chat completions.

No answer is refused: one that cannot be read becomes the text of a completion. The record also
keeps the original bytes.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from briggs.conform import (
    COUNT_MAX,
    Asked,
    Conformed,
    Facts,
    InBandError,
    NotConforming,
    conform_plain,
    conform_response,
    find_finish_reason,
    read_cost,
    restore_words,
)
from briggs.types import json
from briggs.types.any_json import integer, members, text
from briggs.types.completions import Completion
from briggs.types.envelope import Envelope
from briggs.types.errors import BriggsError
from briggs.wires.base import Prepared
from briggs.wires.bedrock.answer import BedrockReader
from briggs.wires.chunks import MALFORMED, decode_answer
from briggs.wires.cohere.answer import CohereReader
from briggs.wires.gemini.answer import GeminiReader
from briggs.wires.ollama.wire import OllamaWire
from briggs.wires.recorded.message import decode_message

UNKNOWN_MODEL = "unknown"
"""The model of an answer if neither it nor its request names one."""

_LITERAL_LENGTH_MAX = 65_536
_NOTHING_ASKED = Envelope(body=b"", members={}, values={"model": UNKNOWN_MODEL})
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
    if (plain := _read_plain(recorded)) is not None:
        return plain
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
    """The response of a completion that a client posted, as a chat completion.

    Records of Briggs 0.1 hold the response as it was posted. A finished call without an answer
    gets one choice without content, so that code that reads `choices[0]` works.
    """
    if completion.response is not None:
        return read_answer(completion.response, of=completion).body
    choices: list[Any] = []
    if completion.status == "finished":
        message = {"role": "assistant", "content": None, "refusal": None}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    identity = _identify({}, completion)
    return json.encode_plain({**identity, "object": "chat.completion", "choices": choices})


def _finish(
    recorded: bytes, answer: dict[str, Any], *, of: Completion, is_translated: bool
) -> RecordedAnswer:
    """Conform an answer and read its facts. Raises `NotConforming`, `InBandError`."""
    reasons = [choice.get("finish_reason") for choice in answer["choices"]]
    whole = {**answer, **_identify(answer, of)}
    whole["choices"] = [
        {**choice, "finish_reason": reason or _guess_reason(choice, of)}
        for choice, reason in zip(answer["choices"], reasons, strict=True)
    ]
    same = not is_translated and _decode(recorded) == whole
    conformed = _conform(recorded if same else json.encode_plain(whole), whole)
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


def _conform(body: bytes, answer: dict[str, Any]) -> Conformed:
    return conform_response(body, asked=_ask(choices=len(answer["choices"])))


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


def _translate(value: dict[str, Any], *, model: str) -> dict[str, Any] | None:
    """Translate an answer from another vendor's format; None if it is not in one."""
    translate = next((translate for recognises, translate in _VENDORS if recognises(value)), None)
    if translate is None or isinstance(value.get("choices"), list):
        return None
    try:
        answer: dict[str, Any] = json.decode(translate(value, Prepared(_NOTHING_ASKED, model, b"")))
    except (BriggsError, RecursionError, *MALFORMED):
        return None
    # If the value does not have these members, the translation made them up.
    for name, names in (("model", {"model", "modelVersion"}), ("created", {"created_at"})):
        if not names & value.keys():
            answer.pop(name, None)
    return answer


def _decode_ollama(value: dict[str, Any], prepared: Prepared) -> bytes:
    return OllamaWire().decode(json.encode(value), prepared=prepared)


def _decode_bedrock(value: dict[str, Any], prepared: Prepared) -> bytes:
    usage = {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0, **members(value.get("usage"))}
    answer = {"stopReason": "end_turn", **value, "usage": usage}
    reader = BedrockReader(prepared)
    return decode_answer(json.encode(answer), reader.read_whole, vendor="Bedrock")


def _decode_cohere(value: dict[str, Any], prepared: Prepared) -> bytes:
    reader = CohereReader(prepared)
    return decode_answer(json.encode(value), reader.read_whole, vendor="Cohere")


def _decode_gemini(value: dict[str, Any], prepared: Prepared) -> bytes:
    answer = _write_camel(value)
    for candidate in answer.get("candidates") or ():
        if candidate.get("finishReason") is None:
            candidate["finishReason"] = "STOP"
    return decode_answer(json.encode(answer), GeminiReader(prepared).read, vendor="Gemini")


def _write_camel(value: Any, *, levels: int = 8) -> Any:
    """Rename Gemini's members as in its API. Google's Python package writes `finish_reason`."""
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
    """Read an answer of OpenAI's Responses API.

    https://platform.openai.com/docs/api-reference/responses
    """
    texts: list[str] = []
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
                    texts.append(part["text"])
    if texts:
        message["content"] = "".join(texts)
    if calls:
        message["tool_calls"] = calls
    reason = "length" if value.get("status") == "incomplete" else "tool_calls" if calls else "stop"
    answer = {name: value.get(name) for name in ("id", "model", "usage")}
    answer["created"] = value.get("created_at")
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return json.encode({**answer, "object": "chat.completion", "choices": [choice]})


def _decode_alone(value: dict[str, Any], prepared: Prepared) -> bytes:
    """Read a message that came without the answer around it."""
    return json.encode({"choices": [{"message": value}]})


def _decode_generated(value: dict[str, Any], prepared: Prepared) -> bytes:
    """Read an answer of Ollama's `/api/generate`."""
    return _decode_ollama({**value, "message": {"content": value["response"]}}, prepared)


def _is_response(value: Mapping[str, Any]) -> bool:
    output = value.get("output")
    is_named = value.get("object") == "response" and isinstance(output, list)
    return is_named or _holds_blocks(output)


def _is_bedrock(value: Mapping[str, Any]) -> bool:
    return isinstance(members(value.get("output")).get("message"), dict)


def _is_anthropic(value: Mapping[str, Any]) -> bool:
    if value.get("type") == "message" or "stop_reason" in value:
        return "content" in value or isinstance(value.get("completion"), str)
    return _holds_blocks(value.get("content"))


def _holds_blocks(content: Any) -> bool:
    """Whether the content is Anthropic's typed blocks. Some programs record little else."""
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
    (_is_response, _decode_responses),
    (lambda value: "message" in value and "done" in value, _decode_ollama),
    (lambda value: "message" in value and "finish_reason" in value, _decode_cohere),
    (lambda value: isinstance(value.get("response"), str) and "done" in value, _decode_generated),
    (lambda value: value.get("role") == "assistant", _decode_alone),
)
"""How each vendor's answers are recognised, and how they are read."""


def _decode(body: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        value = json.decode(body)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None
