"""Recognises the software that answers, by what it says about itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from briggs.transport import TransportError
from briggs.types import wire
from briggs.types.any_json import members, objects

if TYPE_CHECKING:
    from briggs.checker.endpoint import Endpoint, Exchange, Model

PAGE_TIMEOUT_S, PAGES_TIMEOUT_S = 5.0, 10.0
"""For each page that is read to recognise a server, and for all of them."""

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")
_TEXT_LENGTH_MAX = 200


class Server(msgspec.Struct, kw_only=True, frozen=True):
    """The software behind an endpoint."""

    name: str
    """`vLLM`, `llama.cpp`, `Ollama`, `SGLang`, `LM Studio`, `TGI`, `LiteLLM`, ..."""
    version: str | None = None
    evidence: str
    """What it was recognised by, such as `owned_by is vllm`."""

    def describe(self) -> str:
        """`vLLM 0.11.0`."""
        return f"{self.name} {self.version}" if self.version else self.name


class Sign(NamedTuple):
    """Something that only one server says."""

    server: str
    place: str
    """Such as `header server`, `owned_by` of the first model, or `member` for the names of an
    answer's members."""
    says: re.Pattern[str]
    """What it says there. Its group, if it has one, is the version."""


class Page(NamedTuple):
    """A page beside `/v1` that only one server has."""

    server: str
    path: str
    version: str
    """The member of its JSON object that names the version."""
    proof: str
    """The member that no other server has there; it may be the version itself."""
    is_alone: bool = False
    """Whether the page has no other member."""


def _sign(server: str, place: str, says: str) -> Sign:
    return Sign(server, place, re.compile(says, re.IGNORECASE))


# Each pattern can match a text in one way only.
SIGNS = (
    _sign("Briggs", "header x-briggs-completion-id", r".+"),
    _sign("LiteLLM", "header x-litellm-version", r"(.+)"),
    _sign("LiteLLM", "header x-litellm-call-id", r".+"),
    _sign("llama.cpp", "header server", r"llama\.cpp.*"),
    _sign("vLLM", "owned_by", r"vllm"),
    _sign("SGLang", "owned_by", r"sglang"),
    _sign("llama.cpp", "owned_by", r"llamacpp"),
    _sign("LM Studio", "owned_by", r"organization_owner"),
    _sign("Ollama", "owned_by", r"library"),
    _sign("Ollama", "system_fingerprint", r"fp_ollama"),
    _sign("TGI", "system_fingerprint", r"(\d+\.\d+\.\d+\S*)-(?:sha-[0-9a-f]+|native)"),
    _sign("llama.cpp", "system_fingerprint", r"(b\d+)-[0-9a-f]+"),
    _sign("vLLM", "member", r"prompt_logprobs|kv_transfer_params"),
    _sign("llama.cpp", "member", r"timings"),
    _sign("SGLang", "choice member", r"matched_stop"),
)
"""In the order in which they are believed."""

PAGES = (
    Page("llama.cpp", "/props", "build_info", proof="default_generation_settings"),
    Page("SGLang", "/server_info", "version", proof="tokenizer_path"),
    Page("SGLang", "/get_server_info", "version", proof="tokenizer_path"),
    Page("TGI", "/info", "version", proof="max_concurrent_requests"),
    Page("LiteLLM", "/health/readiness", "litellm_version", proof="litellm_version"),
    Page("Ollama", "/api/version", "version", proof="version"),
    Page("vLLM", "/version", "version", proof="version", is_alone=True),
)
"""The most particular first: many servers may have a /version."""


async def recognise(
    endpoint: Endpoint, *, exchange: Exchange, models: Sequence[Model]
) -> Server | None:
    """The software that answers; None if it says nothing that only one server says.

    A server that is recognised by its answer is asked for its version only. Pages that do not
    come in time are passed over: no check fails because of them.
    """
    found = _read_signs(exchange, models)
    if found and (found.version or found.name == "Briggs"):
        return found
    pages = [page for page in PAGES if found is None or page.server == found.name]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PAGES_TIMEOUT_S):
            for page in pages:
                if seen := await _read_page(endpoint, page):
                    return msgspec.structs.replace(found or seen, version=seen.version)
    return found


def _read_signs(exchange: Exchange, models: Sequence[Model]) -> Server | None:
    said = _list_said(exchange, models)
    for sign in SIGNS:
        for text in said.get(sign.place, ()):
            if match := sign.says.fullmatch(text):
                version = _read_version(match[1]) if sign.says.groups else None
                evidence = f"{sign.place} is {text[:40]}"
                return Server(name=sign.server, version=version, evidence=evidence)
    return None


def _list_said(exchange: Exchange, models: Sequence[Model]) -> Mapping[str, list[str]]:
    """What stands at each place where a server may say who it is."""
    said = {f"header {name}": [value] for name, value in exchange.headers.items()}
    said["owned_by"] = [model.owned_by for model in models[:1] if model.owned_by]
    answer = _read_object(exchange)
    if isinstance(fingerprint := answer.get("system_fingerprint"), str):
        said["system_fingerprint"] = [fingerprint]
    said["member"] = list(answer)
    said["choice member"] = [name for _, one in objects(answer.get("choices"), "") for name in one]
    return {
        place: [text for text in texts if len(text) <= _TEXT_LENGTH_MAX]
        for place, texts in said.items()
    }


async def _read_page(endpoint: Endpoint, page: Page) -> Server | None:
    try:
        exchange = await endpoint.get(page.path, at_root=True, timeout_s=PAGE_TIMEOUT_S)
    except TransportError:
        return None
    answer = _read_object(exchange)
    is_page = exchange.is_answered and page.proof in answer
    if not is_page or (page.is_alone and len(answer) > 1):
        return None
    version = _read_version(answer.get(page.version))
    if page.proof == page.version and version is None:
        return None
    return Server(name=page.server, version=version, evidence=f"its {page.path} says so")


def _read_object(exchange: Exchange) -> Mapping[str, Any]:
    try:
        return members(wire.decode(exchange.body))
    except msgspec.DecodeError:
        return {}


def _read_version(value: Any) -> str | None:
    return value if isinstance(value, str) and _VERSION.fullmatch(value) else None
