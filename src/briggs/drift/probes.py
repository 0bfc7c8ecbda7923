"""The questions that drift is measured with, and what is read of their answers."""

from __future__ import annotations

from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects, members, number, text
from briggs.types.drift import DriftEvidence

TOP_LOGPROBS = 5
"""All vendors that have logprobs allow as many."""
TEXT_TOKENS = 8
TEXT_CHARACTERS = 100

_WORD = "Answer with one word, and nothing else."
PROBES = (
    f"{_WORD} Name a colour.",
    f"{_WORD} Name an animal.",
    f"{_WORD} Name a city in Europe.",
    f"{_WORD} Name a fruit.",
    f"{_WORD} Name a river.",
    f"{_WORD} Name a musical instrument.",
    f"{_WORD} Name a metal.",
    f"{_WORD} Name a day of the week.",
    f"{_WORD} Name a writer.",
    f"{_WORD} Name a tool.",
    "Pick a number between 1 and 10. Answer with the number only.",
    "Pick a letter of the alphabet. Answer with the letter only.",
    "Complete the sentence with one word: The weather today is",
    "Complete the sentence with one word: On Sundays she likes to",
    "Complete the sentence with one word: The old house was",
    "Is it better to be early or late? Answer with one word.",
    "Is 'The food was fine, I suppose.' positive or negative? Answer with one word.",
    "Is a tomato a fruit or a vegetable? Answer with one word.",
    "Nenne ein Tier. Antworte mit einem Wort.",
    "def add(a, b):\n    return",
)
"""Fixed for ever: answers are compared over months. Each leaves the model a choice."""


class DriftAnswer(msgspec.Struct, frozen=True):
    """What is read of one answer."""

    text: str
    logprobs: dict[str, float]
    """The logprob of the first token and of its alternatives. Empty if there are none."""

    @property
    def token(self) -> str | None:
        """The likeliest first token. None without logprobs."""
        return max(self.logprobs, key=self.logprobs.__getitem__) if self.logprobs else None

    def find_logprob(self, token: str | None) -> float | None:
        """The logprob of a token. If it is not among the listed ones, that of the least of them.

        None without logprobs.
        """
        if not self.logprobs or token is None:
            return None
        return self.logprobs.get(token, min(self.logprobs.values()))


def write_probe(probe: str, *, target: str, evidence: DriftEvidence) -> bytes:
    """The request of a probe: one token with logprobs, or a few tokens without."""
    request: dict[str, Any] = {
        "model": target,
        "messages": [{"role": "user", "content": probe}],
    }
    if evidence == "logprobs":
        request |= {
            "max_completion_tokens": 1,
            "temperature": 0,
            "seed": 7,
            "logprobs": True,
            "top_logprobs": TOP_LOGPROBS,
        }
    else:
        request["max_completion_tokens"] = TEXT_TOKENS
    return json.encode(request)


def read_answer(body: bytes) -> DriftAnswer | None:
    """What a recorded `CreateChatCompletionResponse` says. None if it has no text."""
    try:
        answer = members(json.decode(body))
    except msgspec.DecodeError:
        return None
    choice = next(iter(list_objects(answer.get("choices"))), {})
    said = text(members(choice.get("message")).get("content"))
    tokens = list_objects(members(choice.get("logprobs")).get("content"))
    if said is None and not tokens:
        return None
    logprobs: dict[str, float] = {}
    for each in (*list_objects(tokens[0].get("top_logprobs")), tokens[0]) if tokens else ():
        name, logprob = each.get("token"), number(each.get("logprob"))
        if isinstance(name, str) and logprob is not None:
            logprobs[name[:TEXT_CHARACTERS]] = logprob
    return DriftAnswer((said or "").strip()[:TEXT_CHARACTERS], logprobs)
