"""The servers that the checker knows, and the signs that identify each of them."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec


class Software(msgspec.Struct, kw_only=True, frozen=True):
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
    """Something in an answer that identifies a server."""

    server: str
    place: str
    """Such as `header server`, `owned_by` of the first model, or `member` for the names of an
    answer's members."""
    says: re.Pattern[str]
    """The text at that place. Its group, if it has one, is the version."""


class ServerPage(NamedTuple):
    """A page next to `/v1` that only one server has."""

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
"""The most reliable first."""

PAGES = (
    ServerPage("llama.cpp", "/props", "build_info", proof="default_generation_settings"),
    ServerPage("SGLang", "/server_info", "version", proof="tokenizer_path"),
    ServerPage("SGLang", "/get_server_info", "version", proof="tokenizer_path"),
    ServerPage("TGI", "/info", "version", proof="max_concurrent_requests"),
    ServerPage("LiteLLM", "/health/readiness", "litellm_version", proof="litellm_version"),
    ServerPage("Ollama", "/api/version", "version", proof="version"),
    ServerPage("vLLM", "/version", "version", proof="version", is_alone=True),
)
"""The most specific first: many servers may have a /version."""
