"""What a local model does beside chat completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from briggs.types import json
from briggs.types.envelope import Envelope
from briggs.types.errors import UnsupportedParameter
from briggs.wires.base import Ability, Encoded
from briggs.wires.llama.request import require_counts
from briggs.wires.openai.abilities import Passed
from briggs.wires.openai.text.ability import TextCompletions
from briggs.wires.openai.text.face import END_OF_TEXT, MAX_TOKENS, find_unsaid, open_asked
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


class LlamaText(TextCompletions):
    """`POST {base_url}/completions`: the model continues the prompt, without a chat template.

    llama.cpp ignores what it does not know, and writes logprobs as for chats (b10549, seen
    2026-11-29). So its answers are translated.
    """

    passes = False

    def takes(self, model: str) -> bool:
        return True

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        assert envelope.original is not None, "a text completion keeps its own request"
        asked = open_asked(envelope.original.body)
        for name, advice in find_unsaid(asked.values, choices=asked.choices_asked):
            raise UnsupportedParameter(
                f"local/{model} cannot express '{name}': {advice}.", param=name
            )
        require_counts(asked)
        given = {name: raw for name, raw in asked.members.items() if raw != b"null"}
        body: dict[str, Any] = {"max_tokens": MAX_TOKENS, "prompt": END_OF_TEXT, **given}
        body["model"] = model
        if asked.values.get("logprobs") == 0:
            # It reads this as no logprobs at all. What nobody asked for is removed later.
            body["logprobs"] = 1
        if envelope.stream:
            body["stream_options"] = envelope.ask_for_usage()
        return Encoded(json.encode_plain(body))


def open_abilities(wire: OpenAIWire) -> Sequence[Ability]:
    """All that a local model does."""
    return (
        LlamaText(wire),
        LlamaEmbeddings(wire, format="embedding", path="/embeddings"),
    )
