"""Text in the wrong place becomes the content, or the answer is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from briggs.conform import (
    Asked,
    ConformStream,
    InBandError,
    NotConforming,
    conform_response,
)

ASKED = Asked(completion_id="c", model="m")
HEAD = {"id": "1", "created": 1_790_000_000, "model": "m"}
EMPTY = {"role": "assistant", "content": "", "refusal": None}
SPOKEN = {**EMPTY, "content": "Hi"}
PARTS = {"parts": [{"text": "Hi"}]}


def answer(choice: dict[str, Any], **members: Any) -> tuple[dict[str, Any], list[str]]:
    """The message of a whole answer of one choice, and the rules of its fixes."""
    choices = [{"index": 0, "finish_reason": "stop", "logprobs": None, **choice}]
    body = {**HEAD, "object": "chat.completion", "choices": choices, **members}
    conformed = conform_response(json.dumps(body).encode(), asked=ASKED)
    message = json.loads(conformed.body)["choices"][0]["message"]
    return message, [fix.rule for fix in conformed.fixes]


def stream(*chunks: dict[str, Any], n: int = 1) -> tuple[list[Any], list[str]]:
    """The contents of a stream's choices, and the rules of its fixes."""
    conform = ConformStream(Asked(completion_id="c", model="m", choices=n))
    passed: list[bytes] = []
    for chunk in chunks:
        body = {**HEAD, "object": "chat.completion.chunk", "choices": [], **chunk}
        passed += conform.add(json.dumps(body).encode())
    conform.end()
    folded = conform.fold()
    assert folded is not None
    contents = [each["message"]["content"] for each in json.loads(folded.body)["choices"]]
    sent = ["" for _ in contents]
    for chunk in map(json.loads, passed):
        for each in chunk["choices"]:
            sent[each["index"]] += each["delta"].get("content") or ""
    assert sent == [content or "" for content in contents], "the caller got what is on record"
    return contents, [fix.rule for fix in folded.fixes]


def say(finish_reason: str | None = None, *, index: int = 0, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "finish_reason": finish_reason, **choice}]}


END = say("stop", delta={})


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "Hi"},
        {"text": "Hi", "message": EMPTY},
        {"content": "Hi"},
        {"content": PARTS},
        {"message": "Hi"},
        {"delta": SPOKEN},
        {"message": {"role": "assistant", "text": "Hi"}},
        {"message": {**EMPTY, "output": [{"type": "output_text", "text": "Hi"}]}},
        {"message": {**EMPTY, "content": [{"text": "Hi"}]}},
        {"message": {**EMPTY, "content": None}, "output_text": "Hi"},
    ],
)
def test_text_of_a_choice_becomes_its_content(choice: dict[str, Any]) -> None:
    """In a whole answer, text anywhere in its choice becomes the content, and this is noted."""
    message, rules = answer(choice)
    assert message == SPOKEN
    assert rules


@pytest.mark.parametrize(
    "chunks",
    [
        (say(text="Hi"), say(text=" you"), say("stop", text="")),
        (say(delta={"role": "assistant", "content": ""}), say(delta={}, text="Hi you"), END),
        (say(delta={"role": "assistant", "content": ""}, text="Hi you"), END),
        (say(delta="Hi"), say(delta=" you"), END),
        (say(delta={"text": "Hi"}), say(delta={"text": " you"}), END),
        (say(content="Hi you"), END),
        (say(message=SPOKEN), say(message={"content": " you"}), say("stop", message={})),
        (say(message="Hi you"), END),
        (say(delta={"content": "Hi"}), say("stop", message={"content": "Hi"})),
        (say(delta={"content": "Hi"}), say("stop", delta={}, text="Hi")),
        (say(delta={"content": "Hi"}), END, say(delta={}, text="Hi")),
        (say(delta={"content": [{"text": "Hi you"}]}), END),
        (say(delta={"content": "Hi"}), say(delta={"content": ""}, text=" you"), END),
        (say("stop", text="Hi you"),),
    ],
)
def test_text_of_a_streamed_choice_becomes_its_content(chunks: tuple[dict[str, Any], ...]) -> None:
    """In a stream too, text is moved once. A repetition at the end is left out."""
    [content], rules = stream(*chunks)
    assert content in ("Hi you", "Hi")
    assert content == ("Hi you" if " you" in json.dumps(chunks) else "Hi")
    assert rules


@pytest.mark.parametrize(
    "beside",
    [
        {"output": "Hi"},
        {"content": "Hi"},
        {"response": "Hi"},
        {"message": SPOKEN},
        {"candidates": [{"content": PARTS}]},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]},
        {"errors": ["boom"]},
    ],
)
def test_text_beside_the_choices_is_refused(beside: dict[str, Any]) -> None:
    """An empty answer is refused if there is text that belongs to no choice."""
    name = next(iter(beside))
    with pytest.raises(NotConforming, match=f"text is in '{name}'"):
        answer({"message": EMPTY}, **beside)
    with pytest.raises(NotConforming, match=f"text is in '{name}'"):
        stream({**say(delta=EMPTY), **beside}, END)
    with pytest.raises(NotConforming, match=f"text is in '{name}'"):
        stream(say(delta=EMPTY), END, beside)
    assert answer({"message": SPOKEN}, **beside)[0] == SPOKEN


def test_other_wires_are_refused() -> None:
    """Answers in Ollama's and Gemini's own formats are not empty."""
    for body in ({"message": SPOKEN, "done": True}, {"candidates": [{"content": PARTS}]}):
        with pytest.raises(NotConforming):
            conform_response(json.dumps({**HEAD, **body}).encode(), asked=ASKED)
        with pytest.raises(NotConforming):
            stream(body)


def test_one_of_two_choices_is_never_empty_in_silence() -> None:
    """The text of the second choice is moved, although the first has text."""
    both = {
        "choices": [*say(delta={"content": "A"})["choices"], *say(index=1, text="B")["choices"]]
    }
    ends = {"choices": [*END["choices"], *say("stop", index=1, delta={})["choices"]]}
    assert stream(both, ends, n=2)[0] == ["A", "B"]


def test_an_empty_answer_stays_one() -> None:
    """An answer without text anywhere passes unchanged."""
    assert answer({"message": EMPTY}) == (EMPTY, [])
    assert stream(say(delta={"role": "assistant", "content": ""}), END) == ([""], [])


def test_what_stands_beside_content_is_kept() -> None:
    """If there is content, other members with text stay unchanged."""
    message, rules = answer({"message": {**SPOKEN, "output": "other"}})
    assert (message["content"], message["output"], rules) == ("Hi", "other", [])


@pytest.mark.parametrize("error", [None, {}, [], "", False, 0, {"code": None, "message": ""}])
def test_an_error_that_says_nothing_is_ignored(error: Any) -> None:
    """An empty error next to choices is not an error."""
    assert answer({"message": SPOKEN}, error=error)[0] == SPOKEN
    assert stream({**say(delta={"content": "Hi"}), "error": error}, END)[0] == ["Hi"]


@pytest.mark.parametrize("message", [EMPTY, SPOKEN])
@pytest.mark.parametrize("error", ["boom", {"message": "boom"}, {"code": 500}, [{"msg": "boom"}]])
def test_an_error_beside_choices_is_an_error(error: Any, message: dict[str, Any]) -> None:
    """An error is raised even next to content, so that a partial answer cannot pass."""
    with pytest.raises(InBandError):
        answer({"message": message}, error=error)
    with pytest.raises(InBandError):
        stream({**say("stop", delta=message), "error": error})
