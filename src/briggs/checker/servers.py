"""Recognises the software that answers, by what it says about itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from briggs.transport import TransportError
from briggs.types import wire
from briggs.types.any_json import members

if TYPE_CHECKING:
    from briggs.checker.endpoint import Endpoint, Exchange, Model

PAGE_TIMEOUT_S = 5.0
"""For each page that is read to recognise a server."""

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
    """`header NAME`, or a member of an answer or of the list of models."""
    says: re.Pattern[str]
    """What stands there; its group, if it has one, is the version."""


class Page(NamedTuple):
    """A page beside `/v1` that only one server has."""

    server: str
    path: str
    version: str
    """The member of its JSON object that names the version."""
    proof: str
    """The member that no other server has there; it may be the version itself."""


def _sign(server: str, place: str, says: str) -> Sign:
    return Sign(server, place, re.compile(says, re.IGNORECASE))


# Patterns meet a short text only, and each can match it in one way.
SIGNS = (
    _sign("Briggs", "header x-briggs-completion-id", r".+"),
    _sign("LiteLLM", "header x-litellm-version", r"(.+)"),
    _sign("LiteLLM", "header x-litellm-call-id", r".+"),
    _sign("llama.cpp", "header server", r"llama\.cpp.*"),
    _sign("vLLM", "owned_by", r"vllm"),
    _sign("SGLang", "owned_by", r"sglang"),
    _sign("llama.cpp", "owned_by", r"llamacpp"),
    _sign("LM Studio", "owned_by", r"organization_owner"),
    _sign("Ollama", "system_fingerprint", r"fp_ollama"),
    _sign("TGI", "system_fingerprint", r"(\d+\.\d+\.\d+\S*)-(?:sha-[0-9a-f]+|native)"),
    _sign("llama.cpp", "system_fingerprint", r"(b\d+)-[0-9a-f]+"),
    # An id of at most three digits, as Ollama makes it.
    _sign("Ollama", "id", r"chatcmpl-\d{1,3}"),
)
"""In the order in which they are believed."""

PAGES = (
    Page("llama.cpp", "/props", "build_info", "default_generation_settings"),
    Page("SGLang", "/get_server_info", "version", "tokenizer_path"),
    Page("TGI", "/info", "version", "max_concurrent_requests"),
    Page("LiteLLM", "/health/readiness", "litellm_version", "litellm_version"),
    Page("LM Studio", "/api/v0/models", "version", "data"),
    Page("Ollama", "/api/version", "version", "version"),
    Page("vLLM", "/version", "version", "version"),
)
"""What others answer too comes last."""


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
    for page in PAGES:
        if found is None or page.server == found.name:
            seen = await _read_page(endpoint, page)
            if seen:
                return seen
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
    for name in ("system_fingerprint", "id"):
        if isinstance(value := answer.get(name), str):
            said[name] = [value]
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
    if not exchange.is_answered or page.proof not in answer:
        return None
    version = _read_version(answer.get(page.version))
    if page.proof == page.version and version is None:
        return None
    return Server(name=page.server, version=version, evidence=f"it has {page.path}")


def _read_object(exchange: Exchange) -> Mapping[str, Any]:
    try:
        return members(wire.decode(exchange.body))
    except msgspec.DecodeError:
        return {}


def _read_version(value: Any) -> str | None:
    return value if isinstance(value, str) and _VERSION.fullmatch(value) else None
