"""What a caller got, made again of nothing but the record of its call."""

from __future__ import annotations

from briggs.app import FACES
from briggs.conform import Asked, ConformStream
from briggs.types.completions import Completion
from briggs.wires.openai.wire import OpenAIStream


def write_again(path: str, completion: Completion) -> bytes:
    """The answer's bytes, if an upstream that speaks OpenAI's format answered at this path."""
    face = FACES[path.encode()]
    envelope = face.read_request(completion.request)
    if not completion.stream:
        response = completion.response or b""
        return face.write_answer(response, envelope=envelope, completion=completion)
    asked = Asked(
        completion_id=completion.id,
        model=envelope.model,
        choices=1,
        logprobs=False,
        top_logprobs=0,
        names_tool=False,
        include_usage=envelope.include_usage,
    )
    conform, frames = ConformStream(asked), face.open_stream(envelope, completion)
    payloads = OpenAIStream().feed(completion.received or b"")
    written = [frames.write(conform.add(payload)) for payload in payloads]
    return b"".join([*written, frames.write(conform.end()), frames.end()])
