"""Azure's faces: those of OpenAI, with the model in the path instead of the body.

https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

from collections.abc import Sequence

from briggs.types.completions import CallKind, Completion
from briggs.types.envelope import Envelope, open_members
from briggs.types.errors import BriggsError
from briggs.wires.base import Face, Frames


class DeploymentFace:
    """Another face, for the requests of one deployment. Its name counts, whatever the body says."""

    def __init__(self, face: Face, *, model: str) -> None:
        self._face = face
        self._model = model

    @property
    def kind(self) -> CallKind:
        return self._face.kind

    @property
    def stream_type(self) -> bytes:
        return self._face.stream_type

    @property
    def id_headers(self) -> Sequence[bytes]:
        return self._face.id_headers

    @property
    def passed_headers(self) -> Sequence[str]:
        return self._face.passed_headers

    def read_request(self, body: bytes) -> Envelope:
        envelope = open_members(body, required=())
        return self._face.read_request(envelope.encode(model=self._model))

    def write_answer(self, body: bytes, *, envelope: Envelope, completion: Completion) -> bytes:
        return self._face.write_answer(body, envelope=envelope, completion=completion)

    def open_stream(self, envelope: Envelope, completion: Completion) -> Frames:
        return self._face.open_stream(envelope, completion)

    def write_error(self, error: BriggsError, *, id: str, streamed: bool) -> bytes:
        return self._face.write_error(error, id=id, streamed=streamed)
