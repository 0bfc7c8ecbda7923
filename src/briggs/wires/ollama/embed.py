"""Ollama's embeddings as callers get them: `/api/embed`, and the older `/api/embeddings`.

https://docs.ollama.com/api/embed
"""

from __future__ import annotations

from typing import Any, Literal

from briggs.types import json
from briggs.types.any_json import integer
from briggs.types.completions import Completion
from briggs.types.envelope import Envelope, Original, open_members
from briggs.types.errors import BriggsError
from briggs.wires.ollama.chat import read_model
from briggs.wires.ollama.lines import measure_total
from briggs.wires.openai.embeddings import EmbeddingsFace

_INPUTS = {"embed": "input", "embeddings": "prompt"}


class EmbedFace(EmbeddingsFace):
    """`POST /api/embed` or `POST /api/embeddings`, over OpenAI's embeddings."""

    def __init__(self, style: Literal["embed", "embeddings"]) -> None:
        self._style = style

    def read_request(self, body: bytes) -> Envelope:
        asked = open_members(body, required=("model", _INPUTS[self._style]))
        members: dict[str, Any] = {
            "model": read_model(asked.model),
            "input": asked.members[_INPUTS[self._style]],
            "encoding_format": "float",
        }
        if asked.members.get("dimensions", b"0") not in (b"0", b"null"):
            members["dimensions"] = asked.members["dimensions"]
        envelope = super().read_request(json.encode_plain(members))
        assert envelope.original is not None, "a forwarded call has its own format"
        envelope.original = Original(self.kind, body, refusal=envelope.original.refusal)
        return envelope

    def write_answer(self, body: bytes, *, envelope: Envelope, completion: Completion) -> bytes:
        answer = json.decode(body)
        items = sorted(answer["data"], key=lambda item: int(item["index"]))
        vectors = [item["embedding"] for item in items]
        if self._style == "embeddings":
            return json.encode_plain({"embedding": vectors[0]})
        written = {
            "model": answer["model"],
            "embeddings": vectors,
            "total_duration": measure_total(completion),
            "prompt_eval_count": integer(answer["usage"]["prompt_tokens"]),
        }
        return json.encode_plain(written)

    def write_error(self, error: BriggsError, *, id: str, streamed: bool) -> bytes:
        return json.encode_plain({"error": error.message})
