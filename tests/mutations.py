"""Conforming answers and streams, and what becomes of them when servers err."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from tests.processes import create_chunk, create_response

TOKEN = {
    "token": "Hello",
    "logprob": -0.1,
    "bytes": [72, 101, 108, 108, 111],
    "top_logprobs": [{"token": "Hello", "logprob": -0.1, "bytes": None}],
}
CITATION = {"start_index": 0, "end_index": 1, "url": "https://example.com", "title": "t"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}

# What tokens spell, or what a vendor left out, cannot be mended without inventing it.
UNMENDED = {"L1", "L6", "L11"}

ODD: list[Any] = [None, True, 0, -1, 1.5, 1e12, "", "x", "2026-01-18T00:00:00Z", [], {}, ["x"]]
ODD += [[{}], {"x": 1}, [{"type": "text", "text": "t"}], 2**70, "\ud83d", "stop", "tool_calls"]


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def create_full_response() -> dict[str, Any]:
    response = create_response(system_fingerprint="fp", service_tier="default")
    response["choices"][0]["logprobs"] = {"content": [copy.deepcopy(TOKEN)], "refusal": None}
    response["choices"][0]["message"]["tool_calls"] = [copy.deepcopy(CALL)]
    response["choices"][0]["finish_reason"] = "tool_calls"
    message = response["choices"][0]["message"]
    message["annotations"] = [{"type": "url_citation", "url_citation": copy.deepcopy(CITATION)}]
    message["audio"] = {"id": "a", "data": "AA==", "expires_at": 1_800_000_000, "transcript": "t"}
    response["usage"]["prompt_tokens_details"] = {"cached_tokens": 1, "audio_tokens": 0}
    response["usage"]["completion_tokens_details"] = {"reasoning_tokens": 1}
    return response


def create_stream() -> list[dict[str, Any]]:
    frames = [
        create_chunk({"role": "assistant", "content": ""}),
        create_chunk({"content": "Hello"}),
        create_chunk({"content": " you"}),
        create_chunk({"tool_calls": [{"index": 0, **copy.deepcopy(CALL)}]}),
        create_chunk({"tool_calls": [{"index": 0, "function": {"arguments": " "}}]}),
        create_chunk({}, finish_reason="tool_calls"),
    ]
    chunks = [json.loads(frame.removeprefix(b"data: ")) for frame in frames]
    chunks[1]["choices"][0]["logprobs"] = {"content": [copy.deepcopy(TOKEN)], "refusal": None}
    return [*chunks, {**chunks[0], "choices": [], "usage": create_response()["usage"]}]


def list_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [path, *(found for key, inner in items for found in list_paths(inner, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn, whole: Any) -> Any:
    """A value in which some members are gone, odd, or there twice."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in list_paths(value) if path]))
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        action = draw(st.sampled_from(["replace", "delete", "repeat"]))
        if action == "delete":
            del holder[path[-1]]
        elif action == "repeat" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[path[-1]]))
        else:
            holder[path[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
        if not value:
            break
    return value


@st.composite
def mutated_stream(draw: st.DrawFn) -> Any:
    """Chunks of which some are odd, gone, there twice or elsewhere."""
    chunks = draw(st.just(create_stream()) | mutated(create_stream()))
    action = draw(st.sampled_from(["keep", "shuffle", "cut", "repeat"]))
    if action == "shuffle":
        return draw(st.permutations(chunks))
    if action == "cut":
        return chunks[: draw(st.integers(0, len(chunks)))]
    if action == "repeat" and chunks:
        place = draw(st.integers(0, len(chunks) - 1))
        return [*chunks[:place], *copy.deepcopy(chunks[place : place + 1]), *chunks[place:]]
    return chunks
