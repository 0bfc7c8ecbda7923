"""Speaks Bedrock's wire, Converse: Amazon's common format for the models of many vendors.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from briggs.providers.addresses import quote_model
from briggs.providers.aws import Signer, find_region, load_botocore
from briggs.providers.base import Encoded, ErrorWords, ModelPage, Prepared
from briggs.providers.bedrock_answer import BedrockReader, split_frames
from briggs.providers.bedrock_request import encode_request
from briggs.providers.chunks import decode_answer
from briggs.providers.events import EventStream
from briggs.providers.openai import read_error
from briggs.settings import ProviderSettings
from briggs.types.envelope import Envelope


def open_bedrock(row: ProviderSettings, environment: Mapping[str, str]) -> BedrockWire:
    """The wire for a provider's settings. Raises `SettingsError` without a region."""
    region = find_region(row, environment)
    return BedrockWire(Signer("bedrock", region=region, environment=environment))


class BedrockWire:
    """`POST {base_url}/model/{model}/converse`, signed unless there is a key."""

    translates = True
    names_deployments = False
    stream_types = ("application/vnd.amazon.eventstream",)

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def refresh(self, *, key: str | None) -> None:
        """Get ready for the next request. Raises `ProviderNotReady`."""
        if key is None:
            await self._signer.refresh()
        else:
            await asyncio.to_thread(load_botocore)

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
