"""What messages say, as text that steers nothing."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from briggs.types.texts import message_text, printable


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_printable_text_steers_no_terminal(text: str) -> None:
    """No control character except tab and line feed is ever shown."""
    shown = printable(text)
    assert {unicodedata.category(each) for each in shown if each not in "\n\t"} & {
        "Cc",
        "Cs",
    } == set()
    shown.encode()


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cf"))))
def test_printable_keeps_what_is_harmless(text: str) -> None:
    """Text without control characters is shown unchanged."""
    assert printable(text) == text


def test_message_text() -> None:
    """Text parts are joined, other parts are named, and tool calls look like calls."""
    parts = [{"type": "text", "text": "see "}, {"type": "image_url", "image_url": {"url": "x"}}]
    assert message_text({"role": "user", "content": parts}) == "see [image_url]"
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    assert message_text({"content": None, "tool_calls": [call]}) == 'add({"a":1})'
    assert message_text({"content": None, "refusal": "no"}) == "no"
    assert message_text(None) == ""
