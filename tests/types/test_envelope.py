"""The outer members of a request, whatever their texts are."""

from __future__ import annotations

import json

import pytest

from briggs.app import FACES
from briggs.types.envelope import open_envelope
from briggs.types.errors import InvalidRequest

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_a_model_of_half_a_character() -> None:
    """A model's name stands in addresses, where half a surrogate pair has no encoding."""
    with pytest.raises(InvalidRequest, match="half a surrogate pair") as refused:
        open_envelope(json.dumps({**REQUEST, "model": "openai/\ud800"}).encode())
    assert refused.value.param == "model"


@pytest.mark.parametrize("name", ["stream", "metadata", "n", "stream_options", "logprobs"])
def test_half_a_character_for_what_is_no_text(name: str) -> None:
    """The member that is not of its type is named."""
    with pytest.raises(InvalidRequest) as refused:
        open_envelope(json.dumps({**REQUEST, name: "\ud800"}).encode())
    assert refused.value.param == name


def test_half_a_character_in_a_members_name() -> None:
    """A member that nobody knows passes with its name, and so do all others."""
    request = {**REQUEST, "\ud800": [1.5, {"a": None}], "temperature": 0.5}
    sent = json.loads(open_envelope(json.dumps(request).encode()).encode(model="other"))
    assert sent == {**request, "model": "other"}


@pytest.mark.parametrize("path", sorted(FACES))
def test_bytes_that_are_no_text(path: bytes) -> None:
    """A body with bytes that are not UTF-8 is refused in every format."""
    names = (b"input", b"prompt", b"messages")
    members = b", ".join(b'"%b": ["\xff"]' % name for name in names)
    with pytest.raises(InvalidRequest):
        FACES[path].read_request(b'{"model": "m", "max_tokens": 5, %b}' % members)
