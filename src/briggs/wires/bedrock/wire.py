"""Speaks Bedrock's wire, Converse: Amazon's common format for the models of many vendors.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

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

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

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
