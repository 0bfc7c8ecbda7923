"""Azure's faces: those of OpenAI, with the model in the path instead of the body.

https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

import copy

from briggs.types.envelope import Envelope, open_members
from briggs.wires.base import Face


def open_deployment(face: Face, *, model: str) -> Face:
    """A face for the requests of one deployment. Its name counts, whatever the body says."""

    def read_request(body: bytes) -> Envelope:
        envelope = open_members(body, required=())
        return face.read_request(envelope.encode(model=model))

    # In all else it is the face itself, of the same class.
    deployed = copy.copy(face)
    deployed.read_request = read_request  # type: ignore[method-assign]
    return deployed
