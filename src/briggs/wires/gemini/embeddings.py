"""Translates embeddings to and from Gemini's format.

https://ai.google.dev/api/embeddings
"""

from __future__ import annotations

from collections.abc import Sequence

from briggs.types import json
from briggs.types.any_json import integer, members
from briggs.types.envelope import Envelope
from briggs.types.errors import UpstreamInvalid
from briggs.wires.base import Ability, Encoded, Prepared
from briggs.wires.chunks import MALFORMED
from briggs.wires.gemini.wire import GeminiWire, place_model
from briggs.wires.openai.abilities import Passed
from briggs.wires.openai.embeddings import list_texts, list_unknown, write_vectors


class GeminiEmbeddings(Passed):
    """`POST {base_url}/models/{model}:batchEmbedContents`."""

    def __init__(self) -> None:
        self.format = "embedding"

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/{place_model(model)}:batchEmbedContents"

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        asked = {**list_unknown(envelope), "model": place_model(model)}
        if dimensions := envelope.values.get("dimensions"):
            asked["outputDimensionality"] = dimensions
        texts = list_texts(envelope, vendor="Gemini")
        requests = [{**asked, "content": {"parts": [{"text": text}]}} for text in texts]
        return Encoded(json.encode_plain({"requests": requests}))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        try:
            answer = json.decode(body)
            vectors = [each["values"] for each in answer["embeddings"]]
            usage = members(answer.get("usageMetadata"))
            tokens = integer(usage.get("promptTokenCount"))
            return write_vectors(vectors, model=prepared.model, tokens=tokens)
        except MALFORMED as error:
            raise UpstreamInvalid("the upstream's answer is not in Gemini's format") from error


def open_abilities(wire: GeminiWire) -> Sequence[Ability]:
    """All that Gemini does beside its chats."""
    return (GeminiEmbeddings(),)
