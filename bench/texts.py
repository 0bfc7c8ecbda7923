"""Makes bodies of varied texts from a seed, for large records in which something can be found."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from briggs.storage.bodies import Bodies
from briggs.types.probabilities import read_certainty

SENTENCES = 200_000
RARE, RARER, OFTEN = "quixotry", "zymurgical", "haberdasher"
"""In one row of 1,000, of 100,000, and of 20."""

SHARES = {RARE: 1_000, RARER: 100_000, OFTEN: 20}
"""Each of these words is in one row of so many."""

SHARED = 20_000
"""So many bodies are shared by the rows of a `SharedBodies`."""


class Model(NamedTuple):
    """A model that the callers of the record use."""

    name: str
    provider: str
    share: float
    median_ms: float
    usd_a_token: float | None
    has_logprobs: bool = True


RARE_MODEL = "gpt-4.5-preview"
MODELS = (
    Model("gpt-4.1-mini", "azure", 50, 840, 8e-7),
    Model("Qwen/Qwen3-8B", "vllm", 17, 710, None),
    Model("claude-sonnet-4-5", "anthropic", 12, 3_900, 9e-6, has_logprobs=False),
    Model("llama-3.3-70b", "fireworks", 8, 620, 9e-7),
    Model("gpt-4.1", "openai", 5, 3_200, 4e-6),
    Model("local/briggs-tiny", "local", 4, 40, None),
    Model("gpt-4o", "openai", 2, 1_400, 5e-6),
    Model("mistral-small", "mistral", 1.97, 900, 2e-7, has_logprobs=False),
    Model(RARE_MODEL, "openai", 0.03, 6_000, 9e-5),
)


class Body(NamedTuple):
    """A request and its answer, and what is derived from them."""

    model: Model
    request: bytes
    response: bytes
    frames: tuple[bytes, bytes]
    certainty: tuple[float, float] | None
    tokens: int


class Length(NamedTuple):
    """How many sentences are asked and answered, and how many tokens have logprobs."""

    asked: int
    answered: int
    logprobs: int


LONG, SHORT = Length(8, 5, 20), Length(3, 2, 6)

CHINESE = (
    "的一是不了人在有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后"
    "小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
)
_STARTS = "b c d f g h j k l m n p r s t v w st tr ch sh pl br".split()  # noqa: SIM905
_VOWELS = "a e i o u ea ou ai".split()  # noqa: SIM905


class VariedBodies(Sequence[Body]):
    """Bodies that are made when they are asked for, by a seed. None is like another."""

    def __init__(self, seed: int, *, length: Length = LONG) -> None:
        self._random = random.Random(seed)
        self._length = length
        vocabulary = [self._make_word() for _ in range(300_000)]
        self._words = list(dict.fromkeys(vocabulary))
        weights = list(accumulate(1 / (place + 2.7) ** 1.05 for place in range(len(self._words))))
        self._tokens = self._random.choices(self._words, cum_weights=weights, k=10_000)
        self._sentences = [
            " ".join(self._random.choices(self._words, cum_weights=weights, k=12)).capitalize()
            for _ in range(SENTENCES)
        ]
        self._prompts = [self._make_text(5) for _ in range(20)]
        self._compress = Bodies().compress

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, number: int) -> Body:  # type: ignore[override]
        return self.make(
            number, [word for word, one_in in SHARES.items() if not self._random.randrange(one_in)]
        )

    def make(self, number: int, words: Sequence[str]) -> Body:
        """A body that has these words too."""
        chance = self._random
        [model] = chance.choices(MODELS, [each.share for each in MODELS])
        asked = f"{self._make_text(self._length.asked)} Order {number}."
        for word in words:
            asked += f" A {word} asked."
        request = {
            "model": model.name,
            "messages": [
                {"role": "system", "content": chance.choice(self._prompts)},
                {"role": "user", "content": asked},
            ],
            "temperature": chance.random(),
        }
        scale = 0.02 + chance.random() ** 4
        logprobs: list[dict[str, Any]] = [
            {
                "token": token,
                "logprob": -chance.random() * 4 * scale,
                "bytes": list(token.encode()),
            }
            for token in chance.choices(self._tokens, k=self._length.logprobs)
        ]
        response = {
            "id": f"chatcmpl-{number:032x}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": model.name,
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": self._make_text(self._length.answered),
                    },
                    "logprobs": {"content": logprobs} if model.has_logprobs else None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 260},
        }
        is_ascii = chance.random() < 0.5
        written = [json.dumps(each, ensure_ascii=is_ascii).encode() for each in (request, response)]
        certainty = read_certainty([each["logprob"] for each in logprobs])
        return Body(
            model,
            written[0],
            written[1],
            (self._compress(written[0]), self._compress(written[1])),
            certainty if model.has_logprobs else None,
            chance.randrange(40, 900),
        )

    def _make_word(self) -> str:
        count = self._random.choice((1, 2, 2, 3, 3, 4))
        return "".join(
            self._random.choice(_STARTS) + self._random.choice(_VOWELS) for _ in range(count)
        )

    def _make_text(self, sentences: int) -> str:
        if self._random.random() < 0.1:
            some = (self._random.choices(CHINESE, k=12) for _ in range(2 * sentences))
            return "，".join("".join(each) for each in some) + "。🎉"
        return ". ".join(self._random.choices(self._sentences, k=sentences)) + "."


class SharedBodies(Sequence[Body]):
    """Varied bodies that rows share, so that they are made and compressed once. Those with a rare
    word are made for one row each.
    """

    def __init__(self, seed: int, *, count: int = SHARED) -> None:
        self._varied = VariedBodies(seed, length=SHORT)
        chance = random.Random(seed)
        self._shared = [
            self._varied.make(number, [] if chance.randrange(SHARES[OFTEN]) else [OFTEN])
            for number in range(count)
        ]

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, number: int) -> Body:  # type: ignore[override]
        for word in (RARER, RARE):
            if number % SHARES[word] == 0:
                return self._varied.make(number, [word])
        return self._shared[number % len(self._shared)]
