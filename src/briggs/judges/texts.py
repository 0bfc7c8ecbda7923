"""The text of a completion as a judge reads it, and how near two texts are."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from briggs.record.bodies import read_answered, read_asked
from briggs.types import json
from briggs.types.any_json import list_objects
from briggs.types.completions import Completion
from briggs.types.texts import message_text, read_message

TEXT_CHARACTERS_MAX = 60_000
WORDS_MAX = 5_000
"""How many words of a text are compared."""

_WORD = re.compile(r"\w+")
# What the chat templates of models write between messages. In a text that is graded it would be
# read as the end of the text.
_CONTROLS = re.compile(
    r"<(?=\|)|<(?=/?(?:s|bos|eos|think|start_of_turn|end_of_turn|sys|assistant|user|system)>)"
    r"|<(?=<SYS>>)|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS)\])",
    re.IGNORECASE,
)


def write_subject(completion: Completion, *, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """A completion as JSON: what was asked and what was answered. Empty if there is no text.

    JSON keeps what was written within its quotes. What would control a model is escaped, which
    JSON reads as the same text. The model that answered is not named.
    """
    answers = [message_text(read_message(each)) for each in _list_choices(completion)]
    if not any(answer.strip() for answer in answers):
        return ""
    asked = [
        {"role": str(each.get("role", "")), "content": message_text(each)}
        for each in list_objects(read_asked(completion).get("messages"))
    ]
    # What was answered is graded, so it gets at least half of the room.
    answered = [shorten(answer, characters_max // 2 // len(answers)) for answer in answers]
    room = characters_max - sum(map(len, answered))
    shown = [
        {**each, "content": shorten(each["content"], room // max(len(asked), 1))} for each in asked
    ]
    return escape(
        json.encode(
            {"asked": shown, "answered": answered[0] if len(answered) == 1 else answered}
        ).decode()
    )


def read_answer_text(completion: Completion) -> str:
    """The text of the answer alone."""
    return "\n".join(message_text(read_message(each)) for each in _list_choices(completion))


def escape(text: str) -> str:
    """JSON in which no text looks like a control token of a model's template."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shorten(text: str, characters_max: int) -> str:
    """A text without its middle if it is too long; what is left out is counted."""
    left_out = len(text) - characters_max
    if left_out <= 0:
        return text
    half = characters_max // 2
    return f"{text[:half]} [... {left_out} characters left out ...] {text[len(text) - half :]}"


class Texts:
    """Some texts to compare others with: words weighted by how rare they are (TF-IDF)."""

    def __init__(self, texts: Sequence[str]) -> None:
        counted = [count_words(text) for text in texts]
        documents = Counter(word for words in counted for word in words)
        self._total = len(texts)
        self._rarity = {
            word: math.log((1 + len(texts)) / (1 + count)) + 1 for word, count in documents.items()
        }
        self.vectors = [self._weigh(words) for words in counted]
        """Each text's weights, of the length 1."""

    def read(self, text: str) -> dict[str, float]:
        """The weights of another text. Words of no known text have none."""
        return self._weigh(count_words(text))

    def measure(self, text: str) -> list[float]:
        """How near a text is to each of them: 1 for the same words, 0 for no common one."""
        vector = self.read(text)
        return [_multiply(vector, other) for other in self.vectors]

    def _weigh(self, words: Mapping[str, int]) -> dict[str, float]:
        weights = {
            word: (1 + math.log(count)) * self._rarity[word]
            for word, count in words.items()
            if word in self._rarity
        }
        length = math.sqrt(math.fsum(weight**2 for weight in weights.values()))
        return {word: weight / length for word, weight in weights.items()} if length else {}


def count_words(text: str) -> Counter[str]:
    """How often each word comes."""
    words: Counter[str] = Counter()
    for place, found in enumerate(_WORD.finditer(text.lower())):
        if place == WORDS_MAX:
            break
        words[found[0]] += 1
    return words


def _multiply(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    if len(one) > len(other):
        one, other = other, one
    return math.fsum(weight * other[word] for word, weight in one.items() if word in other)


def _list_choices(completion: Completion) -> list[dict[str, Any]]:
    return list_objects(read_answered(completion).get("choices"))
