"""Translates embeddings to and from Ollama's own format.

https://docs.ollama.com/api/embed
"""

from __future__ import annotations

from collections.abc import Sequence

from briggs.types import json
from briggs.types.any_json import integer
from briggs.types.envelope import Envelope
from briggs.types.errors import UpstreamInvalid
from briggs.wires.base import Ability, Encoded, Prepared
from briggs.wires.chunks import MALFORMED
from briggs.wires.ollama.generate import OllamaGenerate
from briggs.wires.ollama.wire import OllamaWire
from briggs.wires.openai.abilities import Passed
from briggs.wires.openai.embeddings import list_texts, list_unknown, write_vectors


class OllamaEmbeddings(Passed):
    """`POST {base_url}/embed`."""

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        body = {"model": model, "input": list_texts(envelope, vendor="Ollama")}
        if dimensions := envelope.values.get("dimensions"):
            body["dimensions"] = dimensions
        return Encoded(json.encode_plain({**list_unknown(envelope), **body}))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        try:
            answer = json.decode(body)
            return write_vectors(
                answer["embeddings"],
                model=answer.get("model") or prepared.model,
                tokens=integer(answer.get("prompt_eval_count")),
            )
        except MALFORMED as error:
            raise UpstreamInvalid("the upstream's answer is not in Ollama's format") from error


def open_abilities(wire: OllamaWire) -> Sequence[Ability]:
    """All that Ollama does beside its chats."""
    return (
        OllamaGenerate(wire),
        OllamaEmbeddings(wire, format="embedding", path="/embed"),
    )
