"""Makes the bodies of the demonstration's calls, with plausible tokens and probabilities.

Everything is decided by a seeded generator, so that two demonstrations look the same.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from briggs.cli.demonstration.scenes import Scene, SceneTurn

TOP = 4
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABgAAAAYCAIAAABvFaqvAAAAL0lEQVR42mPQ8UrCha"
    "ZV2GAiXIoZ8BiEZhx+ZUPLoNEwGg2j0TAaDaPRMBpcBgEA0LsQ3wTSSagAAAAASUVORK5CYII="
)
_TOKEN = re.compile(r"\s?[^\W\d_]{1,11}|\s?\d{1,3}|\s*[^\w\s]|\s+|.", re.DOTALL)
_OTHERS = (" the", " a", " is", " and", " it", " of", " you", " not", " for", " within", " will")
_DIGITS = ("3", "7", "14", "30", "2", "5", "10", "21")


class SceneVendor(NamedTuple):
    """Who answers for a model, and how."""

    provider: str
    answers_as: str
    """The model as the answer names it."""
    target: str
    share: float
    first_ms: float
    token_ms: float
    has_logprobs: bool
    fingerprint: str | None = None


VENDORS: Mapping[str, SceneVendor] = {
    "gpt-4.1-mini": SceneVendor(
        "azure", "gpt-4.1-mini-2025-04-14", "azure/gpt-4.1-mini", 9, 280, 9, True, "fp_7c233bf9d1"
    ),
    "Qwen/Qwen3-8B": SceneVendor("vllm", "Qwen/Qwen3-8B", "vllm/Qwen/Qwen3-8B", 5, 110, 12, True),
    "claude-sonnet-4-5": SceneVendor(
        "anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5", 4, 920, 34, False
    ),
    "llama-3.3-70b": SceneVendor(
        "fireworks", "llama-v3p3-70b-instruct", "fireworks/llama-v3p3-70b-instruct", 3, 190, 7, True
    ),
    "gpt-4.1": SceneVendor(
        "openai", "gpt-4.1-2025-04-14", "openai/gpt-4.1", 2.5, 700, 26, True, "fp_b3f1157249"
    ),
}


def write_request(
    scene: Scene, messages: Sequence[Any], *, model: str, logprobs: bool, stream: bool
) -> dict[str, Any]:
    """The body that a caller sent."""
    request: dict[str, Any] = {"model": model, "messages": list(messages), **scene.parameters}
    if logprobs:
        request |= {"logprobs": True, "top_logprobs": TOP}
    if stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    names = {name: arguments for turn in scene.turns for name, arguments, _ in turn.tools}
    if names:
        request["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": name,
                    "description": name.replace("_", " "),
                    "parameters": {
                        "type": "object",
                        "properties": {each: {"type": "string"} for each in arguments},
                        "required": list(arguments),
                    },
                },
            }
            for name, arguments in names.items()
        ]
    return request


def write_response(
    messages: Sequence[dict[str, Any]],
    *,
    scene: Scene,
    vendor: SceneVendor,
    created: int,
    prompt_tokens: int,
    logprobs: bool,
    rng: random.Random,
) -> dict[str, Any]:
    """The answer with one choice for each message."""
    choices: list[dict[str, Any]] = []
    completion_tokens = 0
    for index, message in enumerate(messages):
        text = message["content"] or ""
        tokens = read_tokens(text, doubt=scene.doubt, rng=rng)
        completion_tokens += len(tokens) + 12 * len(message.get("tool_calls", ()))
        content = tokens if logprobs and text else None
        choices.append(
            {
                "index": index,
                "message": message,
                "logprobs": {"content": content, "refusal": None} if logprobs else None,
                "finish_reason": "tool_calls" if "tool_calls" in message else scene.finish_reason,
            }
        )
    reasoning = len(read_tokens(scene.reasoning, doubt=0, rng=rng))
    completion_tokens += reasoning
    response: dict[str, Any] = {
        "id": f"chatcmpl-{rng.getrandbits(96):024x}",
        "object": "chat.completion",
        "created": created,
        "model": vendor.answers_as,
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {
                "cached_tokens": prompt_tokens // 128 * 128,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
        },
    }
    if vendor.fingerprint:
        response["system_fingerprint"] = vendor.fingerprint
    return response


def write_answer(text: str, *, reasoning: str = "") -> dict[str, Any]:
    """A message of the model."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if reasoning:
        message["reasoning_content"] = reasoning
    return message


def write_question(turn: SceneTurn, *, picture: bool) -> dict[str, Any]:
    """A message of the user, perhaps with a picture."""
    if not picture:
        return {"role": "user", "content": turn.asked}
    return {
        "role": "user",
        "content": [
            {"type": "text", "text": turn.asked},
            {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
        ],
    }


def count_tokens(messages: Sequence[Any]) -> int:
    """About how many tokens these messages have."""
    return 4 + sum(4 + len(_TOKEN.findall(str(each.get("content") or ""))) for each in messages)


def read_tokens(text: str, *, doubt: float, rng: random.Random) -> list[dict[str, Any]]:
    """The tokens of a text. A share of them is uncertain, and more so after the first words."""
    tokens = []
    for place, piece in enumerate(_TOKEN.findall(text)):
        is_doubtful = place > 1 and rng.random() < doubt * (2 if piece.strip().isdigit() else 1)
        logprob = -rng.expovariate(1 / 0.9) if is_doubtful else -rng.expovariate(1 / 0.012)
        tokens.append(_write_token(piece, max(logprob, -7.5), rng=rng))
    return tokens


def _write_token(piece: str, logprob: float, *, rng: random.Random) -> dict[str, Any]:
    token = _entry(piece, logprob)
    pool = _DIGITS if piece.strip().isdigit() else _OTHERS
    others = [each for each in rng.sample(pool, len(pool)) if each.strip() != piece.strip()]
    left = 1 - math.exp(logprob)
    entries = [token]
    for other in others[: TOP - 1]:
        share = max(left * rng.uniform(0.35, 0.75), 1e-6)
        left -= share
        entries.append(_entry(other, math.log(share)))
    entries.sort(key=lambda entry: -entry["logprob"])
    return {**token, "top_logprobs": entries}


def _entry(piece: str, logprob: float) -> dict[str, Any]:
    return {"token": piece, "logprob": round(logprob, 6), "bytes": list(piece.encode())}
