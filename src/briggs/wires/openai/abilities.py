"""What OpenAI and those who speak its API do beside chat completions."""

from __future__ import annotations

from collections.abc import Sequence

from briggs.types.envelope import Envelope
from briggs.wires.base import Ability, Encoded, Prepared, StreamDecoder
from briggs.wires.openai.text.ability import TextCompletions
from briggs.wires.openai.wire import OpenAIWire


class Passed:
    """Requests and answers that pass as they are, below the address of a wire."""

    passes = True
    stream_types = ("text/event-stream",)

    def __init__(self, wire: OpenAIWire, *, format: str, path: str) -> None:
        self.format = format
        self._wire = wire
        self._path = path

    def takes(self, model: str) -> bool:
        return True

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return self._wire.address(base_url, model=model, path=self._path)

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return Encoded(envelope.encode(model=model))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        return body

    def open_stream(self, prepared: Prepared) -> StreamDecoder:
        raise AssertionError("a forwarded call is never streamed")


def open_abilities(wire: OpenAIWire, *, texts: bool) -> Sequence[Ability]:
    """All that a server with OpenAI's API may do. What else it lacks, it refuses itself."""
    return (
        *((TextCompletions(wire),) if texts else ()),
        Passed(wire, format="embedding", path="/embeddings"),
        Passed(wire, format="moderation", path="/moderations"),
    )
