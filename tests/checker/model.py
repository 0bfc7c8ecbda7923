"""A model that answers every probe as the specification says, for tests to spoil its answers."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

Json = dict[str, Any]

CREATED = 1_790_000_000
_numbers = itertools.count()


class Refused(Exception):
    """The request is wrong."""

    def __init__(self, status: int, message: str, *, param: str | None, code: str | None) -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        self.body: Json = {"error": error}


def read_request(body: bytes) -> Json:
    """The request. Raises `Refused` for what a right server refuses."""
    try:
        request = json.loads(body)
    except ValueError:
        raise Refused(400, "This is no JSON.", param=None, code=None) from None
    if not isinstance(request.get("messages"), list):
        raise Refused(400, "messages is missing, or no list.", param="messages", code=None)
    if not isinstance(request.get("temperature", 1), int | float):
        raise Refused(400, "temperature is no number.", param="temperature", code=None)
    if not 1 <= request.get("n", 1) <= 128:
        raise Refused(400, "n is not from 1 to 128.", param="n", code=None)
    if request["model"] != "m-1":
        raise Refused(404, "There is no such model.", param="model", code="model_not_found")
    return dict(request)


def create_response(request: Json) -> Json:
    """The whole answer."""
    choices = [_create_choice(request, index) for index in range(request.get("n", 1))]
    spent = sum(choice.pop("spent") for choice in choices)
    return {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": "chat.completion",
        "created": CREATED,
        "model": "m-1",
        "choices": choices,
        "usage": {"prompt_tokens": 9, "completion_tokens": spent, "total_tokens": 9 + spent},
    }


def create_chunks(request: Json) -> list[Json]:
    """The same answer as the chunks of a stream."""
    response = create_response(request)
    same = {name: response[name] for name in ("id", "created", "model")}
    chunks = [
        {**same, "object": "chat.completion.chunk", "choices": [piece]}
        for choice in response["choices"]
        for piece in _cut_choice(choice)
    ]
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks = [{**chunk, "usage": None} for chunk in chunks]
        chunks.append({**chunks[0], "choices": [], "usage": response["usage"]})
    return chunks


def write_stream(chunks: list[Json]) -> bytes:
    """The events of a whole stream."""
    data = [*(json.dumps(chunk, ensure_ascii=False) for chunk in chunks), "[DONE]"]
    return "".join(f"data: {each}\n\n" for each in data).encode()


def _create_choice(request: Json, index: int) -> Json:
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    choice = {"index": index, "message": message, "logprobs": None, "finish_reason": "stop"}
    asked = request["messages"][-1]["content"]
    if calls := _create_calls(request):
        named = isinstance(request.get("tool_choice"), dict)
        message["tool_calls"] = calls
        return {**choice, "finish_reason": "stop" if named else "tool_calls", "spent": 20}
    tokens = _cut_at_stop(_say(asked, request), request.get("stop") or [])
    if len(tokens) > request.get("max_completion_tokens", math.inf):
        tokens = tokens[: request["max_completion_tokens"]]
        choice["finish_reason"] = "length"
    said, silent = ("refusal", "content") if "break into" in asked else ("content", "refusal")
    message[said] = b"".join(tokens).decode()
    if request.get("logprobs"):
        entries = [_create_token(token, request.get("top_logprobs", 0)) for token in tokens]
        choice["logprobs"] = {said: entries, silent: None}
    return {**choice, "spent": len(tokens)}


def _say(asked: str, request: Json) -> list[bytes]:
    if "response_format" in request:
        return [b'{"answer"', b":", b" ", b"42", b"}"]
    if "Count" in asked:
        return [f"{number} ".encode() for number in range(1, 21)]
    if "Repeat" in asked:
        return [bytes([byte]) for byte in asked.removeprefix("Repeat: ").encode()]
    if "break into" in asked:
        return [b"I", b" cannot", b" help."]
    return [b"It", b" is", b" 42"]


def _cut_at_stop(tokens: list[bytes], stops: list[str]) -> list[bytes]:
    for position in range(len(tokens)):
        said = b"".join(tokens[: position + 1])
        if any(stop.encode() in said for stop in stops):
            return tokens[:position]
    return tokens


def _create_calls(request: Json) -> list[Json]:
    choice = request.get("tool_choice", "auto")
    if "tools" not in request or choice == "none" or request["messages"][-1]["role"] == "tool":
        return []
    if isinstance(choice, dict):
        return [_create_call(0, choice["function"]["name"], {"zone": "CET"})]
    calls = [
        _create_call(place, "get_weather", {"city": city})
        for place, city in enumerate(("Paris", "London"))
    ]
    return calls if request.get("parallel_tool_calls", True) else calls[:1]


def _create_call(place: int, name: str, arguments: Json) -> Json:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"call_{place}", "type": "function", "function": function}


def _create_token(token: bytes, alternatives: int) -> Json:
    others = [token, b"~a", b"~b"][:alternatives]
    top = [_spell(other) | {"logprob": -0.1 - 3 * rank} for rank, other in enumerate(others)]
    return {**_spell(token), "logprob": -0.1, "top_logprobs": top}


def _spell(token: bytes) -> Json:
    try:
        text = token.decode()
    except UnicodeDecodeError:
        # As OpenAI writes a part of a character.
        text = "".join(f"\\x{byte:02x}" for byte in token)
    return {"token": text, "bytes": list(token)}


def _cut_choice(choice: Json) -> list[Json]:
    """The pieces of a choice, each with the index, a delta, logprobs and a finish_reason."""
    message = choice["message"]
    content = message["content"]
    first = {"role": "assistant", "content": content and "", "refusal": None}
    pieces = [_create_piece(choice, first)]
    if choice["logprobs"]:
        for tokens in _group_tokens(choice["logprobs"]["content"]):
            text = b"".join(bytes(token["bytes"]) for token in tokens).decode()
            logprobs = {"content": tokens, "refusal": None}
            pieces.append(_create_piece(choice, {"content": text}, logprobs=logprobs))
    elif "tool_calls" in message:
        for place, call in enumerate(message["tool_calls"]):
            pieces += [_create_piece(choice, delta) for delta in _cut_call(place, call)]
    elif content is None:
        pieces.append(_create_piece(choice, {"refusal": message["refusal"]}))
    else:
        texts = [content[start : start + 4] for start in range(0, len(content), 4)]
        pieces += [_create_piece(choice, {"content": text}) for text in texts]
    return [*pieces, {**_create_piece(choice, {}), "finish_reason": choice["finish_reason"]}]


def _create_piece(choice: Json, delta: Json, *, logprobs: Json | None = None) -> Json:
    return {"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": None}


def _cut_call(place: int, call: Json) -> list[Json]:
    function = call["function"]
    first = {**call, "index": place, "function": {"name": function["name"], "arguments": ""}}
    half = len(function["arguments"]) // 2
    pieces = [function["arguments"][:half], function["arguments"][half:]]
    rest = [{"index": place, "function": {"arguments": piece}} for piece in pieces]
    return [{"tool_calls": [delta]} for delta in (first, *rest)]


def _group_tokens(tokens: list[Json]) -> list[list[Json]]:
    """The tokens of each piece of text: those of one character stay together."""
    groups: list[list[Json]] = [[]]
    for token in tokens:
        groups[-1].append(token)
        try:
            b"".join(bytes(each["bytes"]) for each in groups[-1]).decode()
        except UnicodeDecodeError:
            continue
        groups.append([])
    return groups[:-1]
