"""Asks Anthropic how many tokens a message would have.

https://platform.claude.com/docs/en/api/messages-count-tokens
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from briggs.types import json
from briggs.types.any_json import integer
from briggs.types.envelope import Envelope, Original, open_members
from briggs.types.errors import InvalidRequest, UpstreamInvalid
from briggs.wires.anthropic.face import MESSAGE_FACE
from briggs.wires.anthropic.wire import AnthropicWire
from briggs.wires.base import Ability, Encoded, Prepared, StreamDecoder
from briggs.wires.chunks import MALFORMED

FORMAT = "anthropic-tokens"
"""The format of requests for a count."""


class TokenCounting:
    """`POST {base_url}/messages/count_tokens`: requests and answers pass as they are."""

    format = FORMAT
    passes = True
    stream_types = ()

    def takes(self, model: str) -> bool:
        return True

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/messages/count_tokens"

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return Encoded(envelope.encode(model=model))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        try:
            count = integer(json.decode(body)["input_tokens"])
        except MALFORMED:
            count = None
        if count is None:
            raise UpstreamInvalid("the upstream's answer is no count of tokens")
        return body

    def open_stream(self, prepared: Prepared) -> StreamDecoder:
        raise AssertionError("a count is never streamed")


def open_abilities(wire: AnthropicWire) -> Sequence[Ability]:
    """What Anthropic does beside its messages."""
    return (TokenCounting(),)


def read_count_request(body: bytes, headers: Mapping[str, str]) -> Envelope:
    """Read a request for a count. Raises `InvalidRequest`."""
    envelope = open_members(body)
    refusal = InvalidRequest(
        "cannot count the tokens of a message before it answers: read them in the answer's "
        "'usage', or ask a model of Anthropic's API.",
        param="model",
    )
    passed = {name: headers[name] for name in MESSAGE_FACE.passed_headers if name in headers}
    envelope.original = Original(FORMAT, body, headers=passed, refusal=refusal)
    return envelope
