"""The request and the answer of a record, in OpenAI's words."""

from __future__ import annotations

from briggs.record.bodies import find_response, read_answered, read_asked
from briggs.types.completions import Completion


def test_another_vendors_words_are_read() -> None:
    """A call that was answered elsewhere is read as a chat completion."""
    logged = Completion(
        organization_id="o",
        source="client",
        request=b'{"system":"Be brief.","messages":[]}',
        response=b'{"role":"assistant","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn"}',
    )
    assert read_asked(logged)["messages"] == [{"role": "system", "content": "Be brief."}]
    assert read_answered(logged)["choices"][0]["message"]["content"] == "Hi"


def test_bytes_that_are_no_json_are_read_as_nothing() -> None:
    """What cannot be read is empty, and no error."""
    broken = Completion(organization_id="o", request=b"\xff{", response=b"[1]")
    assert read_asked(broken).get("messages", []) == [] and read_answered(broken) == {}
    assert find_response(Completion(organization_id="o")) is None
