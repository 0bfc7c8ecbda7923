"""Messages of any shape are shown, within the room of a page."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from briggs.types.tokens import ChoiceTokens, Token
from briggs.web.messages import (
    CHARACTERS_OF_PAGE,
    PARTS_MAX,
    SHOWN_MAX,
    cut_text,
    find_image,
    find_text,
    view_answer,
    view_messages,
)
from briggs.web.tint import mark, normalise
from tests.types.strategies import json_values

CALL = {"id": "c1", "function": {"name": "get_charges", "arguments": '{"order": 1, "to": ["a"]}'}}


def view(*messages: Any) -> Any:
    return view_messages(messages).messages


def test_a_call_is_paired_with_its_result() -> None:
    """The result is shown below the call, indented, and not again as a message."""
    [called] = view(
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": '[{"a":1}]'},
    )
    [call] = called.calls
    assert (call.tool, call.id) == ("get_charges", "c1")
    assert call.fields == [("order", "1"), ("to", '["a"]')]
    assert call.result.text == '[{"a": 1}]' and call.result.bytes == 9


def test_a_result_without_its_call_is_a_message() -> None:
    """Nothing is hidden because something else is missing."""
    [message] = view({"role": "tool", "tool_call_id": "c9", "content": "lost"})
    assert (message.role, message.note) == ("tool", "c9")
    assert message.parts[0].text.text == "lost"


def test_arguments_that_are_no_object_are_shown_as_they_came() -> None:
    """A model may write invalid JSON."""
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": '}}
    [message] = view({"role": "assistant", "tool_calls": [call]})
    assert message.calls[0].text == '{"a": ' and message.calls[0].fields == []


def test_system_messages_are_folded() -> None:
    """A folded message shows how it begins."""
    [message] = view({"role": "system", "content": "Be\nbrief."})
    assert message.is_folded and message.summary == "Be brief."


def test_parts_keep_their_kinds() -> None:
    """Images, files, audio, refusals and reasoning are told apart."""
    pixel = "data:image/png;base64,AAAA"
    content = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": pixel}},
        {"type": "image_url", "image_url": {"url": "https://x.y/z.png"}},
        {"type": "image_url", "image_url": {"url": "javascript:1"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf"}},
        {"type": "made_up", "x": 1},
    ]
    message = {"role": "user", "content": content, "reasoning_content": "hm", "refusal": "no"}
    [shown] = view(message)
    kinds = [part.kind for part in shown.parts]
    assert kinds == [
        "reasoning", "text", "image", "link", "note", "note", "note", "note", "refusal"
    ]  # fmt: skip
    assert find_image([message], (0, 1)) == pixel
    assert find_image([message], (0, 0)) is find_image([message], (9, 9)) is None


def test_the_answer_has_its_tokens() -> None:
    """Each token of the answer can be found in its text."""
    answer = ChoiceTokens(
        finish_reason="stop",
        message={"content": "Hi you"},
        tokens=[Token("Hi", -0.0), Token(" you", -1.0)],
    )
    shown = view_answer(answer, place=0)
    assert shown.note == "finish: stop"
    assert mark(shown.parts[0].text).count("data-t") == 2
    assert find_text([], [answer], (-1, 0)) == "Hi you"


def test_citations_that_are_no_web_addresses_are_left_out() -> None:
    """A link leads to the web, or there is none."""
    cited = [
        {"type": "url_citation", "url_citation": {"url": url, "title": "t"}}
        for url in ("https://a.b", "javascript:1", None)
    ]
    shown = view_answer(ChoiceTokens(message={"content": "x", "annotations": cited}), place=0)
    assert shown.citations == [("t", "https://a.b")]


def test_a_page_has_bounded_room() -> None:
    """Of a thousand long messages the last are shown, each with its beginning."""
    long = {"role": "user", "content": "word " * 20_000}
    shown = view_messages([long] * 1000)
    assert shown.earlier == 1000 - SHOWN_MAX and len(shown.messages) == SHOWN_MAX
    sizes = [len(message.parts[0].text.text) for message in shown.messages]
    assert sum(sizes) < 2 * CHARACTERS_OF_PAGE and all(size > 100 for size in sizes)
    assert all(message.parts[0].is_cut for message in shown.messages)
    assert len(view_messages([long] * 1000, first=5).messages) == SHOWN_MAX


@given(st.text(max_size=50), st.integers(1, 2000))
def test_the_parts_of_a_text_are_the_text(unit: str, times: int) -> None:
    """A long text is shown in parts, and nothing is lost between them."""
    said = unit * times
    first, count = cut_text(said, 0)
    shown = [first, *(cut_text(said, part)[0] for part in range(1, count))]
    assert "".join(part.text for part in shown) == normalise(said)
    assert cut_text(said, count)[0].text == ""


@given(st.lists(json_values(), max_size=3), st.integers(-4, 3), st.integers(-4, 3))
def test_messages_of_any_shape_are_shown(messages: list[Any], place: int, at: int) -> None:
    """A program may have logged anything; no part of it is an error."""
    view_messages(messages)
    view_messages([{"role": "user", "content": messages, "tool_calls": messages}])
    for each in (messages, [{"content": messages}], [{"content": each} for each in messages]):
        find_text(each, [], (place, at))
        find_image(each, (place, at))


def test_a_message_of_many_parts_is_cut() -> None:
    """A page shows some of the parts and the calls of a message, and how many there are more."""
    content = [{"type": "text", "text": "x"}] * (PARTS_MAX + 2)
    [message] = view(
        {"role": "assistant", "content": content, "tool_calls": [CALL] * (PARTS_MAX + 1)}
    )
    assert len(message.calls) == PARTS_MAX and len(message.parts) == PARTS_MAX + 2
    notes = [part.text.text for part in message.parts if part.kind == "note"]
    assert notes == ["2 more parts, not shown here", "1 more call, not shown here"]
