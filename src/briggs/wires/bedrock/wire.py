"""Speaks Bedrock's wire, Converse: Amazon's common format for the models of many vendors.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from briggs.types.envelope import Envelope
from briggs.wires.addresses import quote_model
from briggs.wires.base import Encoded, ErrorWords, ModelPage, Prepared
from briggs.wires.bedrock.answer import BedrockReader, split_frames
from briggs.wires.bedrock.request import encode_request
from briggs.wires.chunks import decode_answer
from briggs.wires.events import EventStream
from briggs.wires.openai.wire import read_error

# An id, an inference profile's id with its region, or an ARN that ends in one of them.
_CLAUDE = re.compile(r"(?:^|[./])(anthropic\.[^/]+)$")


class Signer(Protocol):
    """Signs requests to Bedrock with credentials that it finds."""

    async def load(self) -> None:
        """Load what signing and reading need. Raises `ProviderNotReady`."""
        ...

    async def refresh(self) -> None:
        """Find credentials, and renew them before they expire. Raises `ProviderNotReady`."""
        ...

    def sign(self, *, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
        """Add the signature to the headers."""
        ...


class BedrockWire:
    """`POST {base_url}/model/{model}/converse`, signed unless there is a key."""

    format = "bedrock"
    names_deployments = False
    stream_types = ("application/vnd.amazon.eventstream",)

    def __init__(self, signer: Signer, *, messages: bool | None = None) -> None:
        """`messages` is the setting of that name."""
        self._signer = signer
        self._messages = messages

    def speaks_anthropic(self, model: str) -> bool:
        """Whether a model is asked in Anthropic's format by callers who speak that."""
        return find_model(model) is not None if self._messages is None else self._messages

    async def refresh(self, *, key: str | None) -> None:
        """Get ready for the next request. Raises `ProviderNotReady`."""
        if key is None:
            await self._signer.refresh()
        else:
            await self._signer.load()

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/model/{quote_model(model)}/converse{'-stream' if stream else ''}"

    def authorize(
        self, *, method: str, url: str, headers: dict[str, str], body: bytes, key: str | None
    ) -> dict[str, str]:
        if key is None:
            self._signer.sign(method=method, url=url, headers=headers, body=body)
        else:
            headers["authorization"] = f"Bearer {key}"
        return headers

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return encode_request(envelope, model=model)

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        return decode_answer(body, BedrockReader(prepared).read_whole, vendor="Bedrock")

    def open_stream(self, prepared: Prepared) -> EventStream:
        return EventStream(BedrockReader(prepared), split=split_frames(), vendor="Bedrock")

    def read_error(self, body: bytes) -> ErrorWords:
        # AWS writes `message` in most places, and `Message` in some.
        return read_error(body.replace(b'"Message"', b'"message"', 1))

    def models_url(self, base_url: str) -> str:
        # Another host lists the models than the one that answers.
        return f"{base_url.replace('//bedrock-runtime', '//bedrock')}/foundation-models"

    def read_models(self, body: bytes) -> ModelPage:
        models = msgspec.json.decode(body)["modelSummaries"]
        return ModelPage(
            [
                {"id": model["modelId"], "owned_by": model.get("providerName"), **model}
                for model in models
            ]
        )


def find_model(model: str) -> str | None:
    """The id of a model of Anthropic's, without the region or the ARN around it. None if the name
    does not show one."""
    found = _CLAUDE.search(model)
    return found and found[1]
