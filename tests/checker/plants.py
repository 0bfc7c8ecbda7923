"""One planted violation for each rule that can be seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.checker.model import CREATED, Json

INVISIBLE = dict.fromkeys(
    ("R1", "R2", "R3", "R4", "R5"), "it is about what callers ask, which no answer tells"
)
"""The rules that no answer can break, and why."""


class Plant(NamedTuple):
    """How one rule is broken: each function spoils what it is given, if it has a place for it."""

    whole: Callable[[Json], object] = lambda response: None
    """A whole answer."""
    chunks: Callable[[list[Json]], object] = lambda chunks: None
    """The chunks of a stream."""
    error: Callable[[Json], object] = lambda body: None
    """The body of an error."""
    body: Callable[[bytes], bytes] = lambda body: body
    """The bytes of a whole answer."""
    stream: Callable[[bytes], bytes] = lambda body: body
    """The bytes of a stream."""
    error_type: str = "application/json"
    stream_type: str = "text/event-stream"
    also: frozenset[str] = frozenset()
    """The rules that cannot be kept where this one is broken so."""


def in_response(**members: Any) -> Plant:
    """In whole answers."""
    return Plant(whole=lambda response: response.update(members))


def in_choice(spoil: Callable[[Json], object]) -> Plant:
    """In their first choice."""
    return Plant(whole=lambda response: spoil(response["choices"][0]))


def in_message(spoil: Callable[[Json], object]) -> Plant:
    """In its message."""
    return in_choice(lambda choice: spoil(choice["message"]))


def in_calls(spoil: Callable[[list[Json]], object]) -> Plant:
    """In its tool calls, of which there may be none."""
    return in_message(lambda message: spoil(message.get("tool_calls", [])))


def in_logprobs(spoil: Callable[[list[Json]], object], *, of: str = "content") -> Plant:
    """In the list of tokens, which is empty where none were asked for."""
    return in_choice(lambda choice: spoil((choice["logprobs"] or {}).get(of) or []))


def in_token(**members: Any) -> Plant:
    return in_logprobs(lambda tokens: [token.update(members) for token in tokens[:1]])


def in_alternatives(spoil: Callable[[list[Json]], object]) -> Plant:
    """In the list of the three alternatives to the first token."""

    def spoil_tokens(tokens: list[Json]) -> None:
        if tokens and len(tokens[0]["top_logprobs"]) == 3:
            spoil(tokens[0]["top_logprobs"])

    return in_logprobs(spoil_tokens)


def in_usage(*, also: frozenset[str] = frozenset(), **members: Any) -> Plant:
    return Plant(whole=lambda response: response["usage"].update(members), also=also)


def _spend(usage: Json, completion_tokens: int) -> None:
    usage["completion_tokens"] = completion_tokens
    usage["total_tokens"] = usage["prompt_tokens"] + completion_tokens


def _end(choice: Json, *, by: str) -> None:
    """End an answer of text by another reason."""
    if choice["message"]["content"] and choice["finish_reason"] == "stop":
        choice["finish_reason"] = by


def _say(message: Json, text: str | None, *, instead_of: str) -> None:
    """Say something else where what is said begins in that way."""
    if (message["content"] or "").startswith(instead_of):
        message["content"] = text


def _say_nothing(choice: Json) -> None:
    if not choice["logprobs"]:
        _say(choice["message"], None, instead_of="It is")


def _say_nul(choice: Json) -> None:
    if not choice["logprobs"]:
        _say(choice["message"], "It is\0", instead_of="It is")


def _talk_instead(choice: Json) -> None:
    """Say something where two tools are called."""
    if len(choice["message"].get("tool_calls", [])) == 2:
        del choice["message"]["tool_calls"]
        choice["message"]["content"] = "Sunny."
        choice["finish_reason"] = "stop"


def _call_another(calls: list[Json]) -> None:
    if [call["function"]["name"] for call in calls] == ["get_weather"]:
        calls.append({**calls[0], "id": "call_1"})


def _count_too_few(response: Json) -> None:
    if response["choices"][0]["logprobs"]:
        _spend(response["usage"], 1)


def _count_none(response: Json) -> None:
    [choice, *_] = response["choices"]
    if not choice["logprobs"] and choice["finish_reason"] == "stop":
        _spend(response["usage"], 0)


def _count_one_choice(response: Json) -> None:
    if len(response["choices"]) > 1:
        _spend(response["usage"], 1)


def _count_past_the_limit(response: Json) -> None:
    if response["choices"][0]["finish_reason"] == "length":
        _spend(response["usage"], 5)


def _count_down(chunks: list[Json]) -> None:
    if chunks[-1].get("usage"):
        chunks[-2]["usage"] = {**chunks[-1]["usage"], "prompt_tokens": 10}


def _count_early(chunks: list[Json]) -> None:
    if chunks[-1].get("usage"):
        chunks[-2]["usage"] = chunks.pop()["usage"]


def _count_unasked(chunks: list[Json]) -> None:
    if "usage" not in chunks[0] and not any(_list_tokens(chunks)):
        usage = {"prompt_tokens": 9, "completion_tokens": 20, "total_tokens": 29}
        chunks.append({**chunks[0], "choices": [], "usage": usage})


def _never_end(chunks: list[Json]) -> None:
    for chunk in chunks:
        for choice in chunk["choices"]:
            choice["finish_reason"] = None


def _go_on(chunks: list[Json]) -> None:
    last = max(place for place, chunk in enumerate(chunks) if chunk["choices"])
    [choice] = chunks[last]["choices"]
    if choice["finish_reason"] == "stop" and not any(_list_tokens(chunks)):
        more = {**choice, "delta": {"content": "!"}, "finish_reason": None}
        chunks.insert(last + 1, {**chunks[last], "choices": [more]})


def _end_without_delta(chunks: list[Json]) -> None:
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["finish_reason"]:
                del choice["delta"]


def _list_tokens(chunks: list[Json]) -> list[Any]:
    return [choice["logprobs"] for chunk in chunks for choice in chunk["choices"]]


def _list_call_deltas(chunks: list[Json]) -> list[Json]:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return [call for delta in deltas for call in delta.get("tool_calls", [])]


def _repeat_name(chunks: list[Json]) -> None:
    for call in _list_call_deltas(chunks)[1:2]:
        call["function"]["name"] = "get_weather"


def _cut_arguments(chunks: list[Json]) -> None:
    for call in _list_call_deltas(chunks)[-1:]:
        call["function"]["arguments"] = ""


def _merge_beginnings(chunks: list[Json]) -> None:
    """Let one chunk begin two choices."""
    begin = [each for each in chunks if any("role" in one["delta"] for one in each["choices"])]
    if len(begin) > 1:
        begin[0]["choices"] += begin[1]["choices"]
        chunks.remove(begin[1])


def _fail(chunks: list[Json]) -> None:
    error = {"message": "Out of memory.", "type": "server_error", "param": None, "code": None}
    chunks.append({"error": error})


def _replace(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(old, new, 1)


_AUDIO = {"id": "audio_1", "expires_at": CREATED + 60, "data": "", "transcript": ""}
_CITATION = {"start_index": 0, "end_index": 999, "url": "https://example.org", "title": "?"}
_ANNOTATION = {"type": "url_citation", "url_citation": _CITATION}
_MODERATION = {"input": {"type": "moderation_results"}, "output": {"type": "moderation_results"}}
_FOURTH = {"token": "~c", "bytes": [126, 99], "logprob": -9.1}

PLANTS = {
    "J1": Plant(body=_replace(b'{"id"', b'{"score": NaN, "id"')),
    "J2": Plant(body=_replace(b'{"id"', b'{"object": "chat.completion", "id"')),
    "E1": in_response(object="completion"),
    "E2": in_response(id=""),
    "E3": in_response(created=161309),
    "E4": in_response(model=""),
    "E5": in_message(lambda message: message["refusal"] or message.pop("refusal")),
    "E6": in_response(service_tier="on_demand"),
    "E7": in_response(system_fingerprint=None),
    "E8": in_response(x_groq={}),
    "C1": Plant(whole=lambda response: response.update(choices=response["choices"][:1])),
    "C2": Plant(whole=lambda response: response["choices"][-1].update(index=0)),
    "C3": in_choice(lambda choice: choice.update(finish_reason="eos")),
    "C4": in_choice(lambda choice: _end(choice, by="tool_calls")),
    "C5": in_choice(lambda choice: _end(choice, by="length")),
    "C6": in_choice(lambda choice: _end(choice, by="function_call")),
    "C7": Plant(whole=_count_past_the_limit),
    "C8": in_message(lambda message: _say(message, "1 2 3 4 5 6 7", instead_of="1 2 3 4 5 6 ")),
    "M1": in_message(lambda message: message.update(role="user")),
    "M2": in_message(lambda message: message.update(content=[message["content"]])),
    "M3": in_choice(_say_nothing),
    "M4": in_message(lambda message: message.update(content="No.") if message["refusal"] else 0),
    "M5": in_message(lambda message: message.setdefault("tool_calls", [])),
    "M6": in_calls(lambda calls: [call.update(id="call_0") for call in calls]),
    "M7": in_calls(lambda calls: [call["function"].update(arguments={}) for call in calls]),
    "M8": in_calls(lambda calls: [call["function"].update(name="find") for call in calls[1:]]),
    "M9": in_calls(_call_another),
    "M10": in_choice(_talk_instead),
    "M11": in_message(lambda message: _say(message, "It is 42", instead_of="{")),
    "M12": in_message(lambda message: message.update(annotations=[_ANNOTATION])),
    "M13": in_message(lambda message: message.update(audio=_AUDIO)),
    "M14": in_choice(_say_nul),
    "L1": in_choice(lambda choice: choice.update(logprobs=None)),
    "L2": in_choice(lambda choice: (choice["logprobs"] or {}).pop("refusal", None)),
    "L3": in_token(logprob=75.67),
    "L4": in_token(bytes="SXQ="),
    "L5": in_token(token="?"),
    "L6": in_logprobs(lambda tokens: tokens[-1:] and tokens.pop()),
    "L7": in_alternatives(lambda alternatives: alternatives.append(_FOURTH)),
    "L8": in_alternatives(lambda alternatives: alternatives.reverse()),
    "L9": in_alternatives(lambda alternatives: [one.update(logprob=-0.1) for one in alternatives]),
    "L10": in_token(logprob=-0.2),
    "L11": in_logprobs(lambda tokens: tokens[-1:] and tokens.pop(), of="refusal"),
    "L12": Plant(whole=_count_too_few),
    "L13": in_token(token="token_id:42"),
    "U1": in_usage(prompt_tokens=9.0),
    "U2": in_usage(total_tokens=1),
    "U3": in_usage(prompt_tokens_details={"cached_tokens": 10}),
    "U4": Plant(whole=_count_none),
    "U5": Plant(whole=_count_one_choice),
    "U6": Plant(chunks=_count_down, also=frozenset({"S8"})),
    "U7": in_usage(also=frozenset({"E8"}), prompt_cache_hit_tokens=5),
    "S1": Plant(stream_type="text/plain"),
    "S2": Plant(stream=_replace(b"data: ", b"id: 1\ndata: ")),
    "S3": Plant(stream=_replace(b"data: [DONE]\n\n", b"")),
    "S4": Plant(chunks=lambda chunks: chunks[1].update(created=CREATED + 1)),
    "S5": Plant(chunks=lambda chunks: chunks[1]["choices"][0]["delta"].update(role="assistant")),
    "S6": Plant(chunks=_never_end),
    "S7": Plant(chunks=_go_on, also=frozenset({"S6"})),
    "S8": Plant(chunks=_count_early),
    "S9": Plant(chunks=_count_unasked),
    "S10": Plant(chunks=_repeat_name),
    "S11": Plant(chunks=_cut_arguments),
    "S12": Plant(chunks=_merge_beginnings),
    "S13": Plant(chunks=_end_without_delta),
    "S14": Plant(chunks=_fail),
    "S15": Plant(chunks=lambda chunks: chunks[0].update(obfuscation=5)),
    "S16": Plant(chunks=lambda chunks: chunks[0].update(moderation=_MODERATION)),
    "S17": Plant(chunks=lambda chunks: chunks[0].update(metadata=5), also=frozenset({"E8"})),
    "H1": Plant(error_type="text/plain"),
    "H2": Plant(error=lambda body: body["error"].update(code=400)),
}
