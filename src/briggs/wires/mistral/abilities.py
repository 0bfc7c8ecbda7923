"""What Mistral does beside chat completions: embeddings and moderations, almost as OpenAI does.

https://docs.mistral.ai/api/#tag/embeddings
"""

from __future__ import annotations

from collections.abc import Sequence

from briggs.types import json
from briggs.types.envelope import Envelope
from briggs.wires.base import Ability, Encoded
from briggs.wires.mistral.wire import MistralWire
from briggs.wires.openai.abilities import Passed


class MistralEmbeddings(Passed):
    """`POST {base_url}/embeddings`, with Mistral's name for `dimensions`. It knows no users."""

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        members = {**envelope.members, "model": model}
        members.pop("user", None)
        if "dimensions" in members:
            members["output_dimension"] = members.pop("dimensions")
        return Encoded(json.encode_plain(members))


def open_abilities(wire: MistralWire) -> Sequence[Ability]:
    """All that Mistral does."""
    return (
        MistralEmbeddings(wire, format="embedding", path="/embeddings"),
        Passed(wire, format="moderation", path="/moderations"),
    )
