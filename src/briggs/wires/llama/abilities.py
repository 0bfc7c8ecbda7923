"""What a local model does beside chat completions."""

from __future__ import annotations

from collections.abc import Sequence

from briggs.types.envelope import Envelope
from briggs.types.errors import UnsupportedParameter
from briggs.wires.base import Ability, Encoded
from briggs.wires.openai.abilities import Passed
from briggs.wires.openai.wire import OpenAIWire


class LlamaEmbeddings(Passed):
    """`POST {base_url}/embeddings`. llama.cpp cannot shorten a vector."""

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        if envelope.values.get("dimensions") is not None:
            raise UnsupportedParameter(
                f"local/{model} cannot shorten its vectors: leave 'dimensions' out.",
                param="dimensions",
            )
        return super().encode(envelope, model=model)


def open_abilities(wire: OpenAIWire) -> Sequence[Ability]:
    """All that a local model does."""
    return (LlamaEmbeddings(wire, format="embedding", path="/embeddings"),)
