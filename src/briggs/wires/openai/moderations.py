"""OpenAI's moderations, which pass as they are.

https://platform.openai.com/docs/api-reference/moderations
"""

from __future__ import annotations

from typing import Any

import msgspec

from briggs.types.completions import CallKind
from briggs.types.envelope import Envelope, read_members
from briggs.types.errors import InvalidRequest, UpstreamInvalid
from briggs.wires.forwarded import Forwarded, ForwardedFace

MODEL = "omni-moderation-latest"
"""The specification's default."""


class _Answer(msgspec.Struct):
    id: str
    model: str
    results: list[dict[str, object]]


class ModerationsFace(ForwardedFace):
    """`POST /v1/moderations`."""

    kind: CallKind = "moderation"
    required = ("input",)
    absence = f"has no moderations: use a model of another provider, such as openai/{MODEL}."

    def check(self, envelope: Envelope) -> None:
        read_members(envelope, {"input": Any})
        if envelope.values["input"] in (None, [], {}):
            raise InvalidRequest("'input' is empty: send a text or parts.", param="input")
        envelope.values.setdefault("model", MODEL)

    def read_answer(self, body: bytes, *, envelope: Envelope) -> Forwarded:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise UpstreamInvalid("the upstream's answer is not a moderation") from error
        return Forwarded(body=body, id=answer.id, model=answer.model)
