"""Translates embeddings to and from Cohere's format.

https://docs.cohere.com/reference/embed
"""

from __future__ import annotations

from collections.abc import Sequence

from briggs.types import json
from briggs.types.any_json import integer, members
from briggs.types.envelope import Envelope
from briggs.types.errors import UpstreamInvalid
from briggs.wires.base import Ability, Encoded, Prepared
from briggs.wires.chunks import MALFORMED
from briggs.wires.cohere.wire import CohereWire
from briggs.wires.openai.abilities import Passed
from briggs.wires.openai.embeddings import list_texts, list_unknown, write_vectors

# Cohere requires the purpose of a vector, and OpenAI's API has none. Callers can send their own
# `input_type` beside the other members.
_PURPOSE = "search_document"


class CohereEmbeddings(Passed):
    """`POST {base_url}/embed`."""

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        body = {
            "input_type": _PURPOSE,
            **list_unknown(envelope),
            "model": model,
            "texts": list_texts(envelope, vendor="Cohere"),
            "embedding_types": ["float"],
        }
        if dimensions := envelope.values.get("dimensions"):
            body["output_dimension"] = dimensions
        return Encoded(json.encode_plain(body))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        try:
            answer = json.decode(body)
            billed = members(members(answer.get("meta")).get("billed_units"))
            tokens = integer(billed.get("input_tokens"))
            return write_vectors(answer["embeddings"]["float"], model=prepared.model, tokens=tokens)
        except MALFORMED as error:
            raise UpstreamInvalid("the upstream's answer is not in Cohere's format") from error


def open_abilities(wire: CohereWire) -> Sequence[Ability]:
    """All that Cohere does beside its chats."""
    return (CohereEmbeddings(wire, format="embedding", path="/embed"),)
