"""Writes a message for Claude as `InvokeModel` takes it: Anthropic's own format, less a little.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import integer, list_objects, members
from briggs.types.envelope import Original
from briggs.wires.base import Encoded
from briggs.wires.requests import Mends

VERSION = "bedrock-2023-05-31"

# Bedrock refuses a request with any other beta in it, and clients such as Claude Code always name
# some. This is AWS's list, and what LiteLLM saw to work (its anthropic_beta_headers_config.json),
# 2026-11-30.
_BETAS = frozenset(
    {
        *("compact-2026-01-12", "computer-use-2025-01-24", "computer-use-2025-11-24"),
        *("context-1m-2025-08-07", "context-management-2025-06-27", "dev-full-thinking-2025-05-14"),
        *("effort-2025-11-24", "fine-grained-tool-streaming-2025-05-14"),
        *("interleaved-thinking-2025-05-14", "output-128k-2025-02-19"),
        *("token-efficient-tools-2025-02-19", "tool-examples-2025-10-29"),
        "tool-search-tool-2025-10-19",
    }
)
# The model and the stream are in the address. Bedrock has its own tiers, and Anthropic's mean its
# standard one.
_IN_ADDRESS = ("model", "stream")
_REFUSED = ("cache_control", "diagnostics", "service_tier", "speed")
_REFUSED_EDIT = "clear_thinking_20251015"
_EAGER = "eager_input_streaming"


_NULL = msgspec.Raw(b"null")


def encode_message(original: Original) -> Encoded:
    """The body of `InvokeModel`. What Bedrock refuses, and only makes an answer cheaper or faster,
    is left out and named. All else stays as it came."""
    asked: dict[str, Any] = {**original.list_members()}
    return _Fitting(asked, original.headers.get("anthropic-beta", "")).encode()


def encode_count(original: Original) -> Encoded:
    """The body of `CountTokens`: what `InvokeModel` would get, which must have a limit."""
    asked = original.list_members()
    thinking = members(json.decode(bytes(asked.get("thinking", _NULL))))
    limit = (integer(thinking.get("budget_tokens")) or 0) + 1
    counted: dict[str, Any] = {"max_tokens": limit, **asked}
    encoded = _Fitting(counted, original.headers.get("anthropic-beta", "")).encode()
    invoked = {"body": base64.b64encode(encoded.body).decode()}
    return msgspec.structs.replace(
        encoded, body=json.encode_plain({"input": {"invokeModel": invoked}})
    )


class _Fitting:
    """Rewrites one request in place."""

    def __init__(self, asked: dict[str, Any], betas: str) -> None:
        self._asked = asked
        self._betas = betas
        self._left_out: dict[str, None] = {}
        self._mends = Mends()

    def encode(self) -> Encoded:
        for name in _IN_ADDRESS:
            self._asked.pop(name, None)
        for name in _REFUSED:
            self._leave_out(name)
        self._fit_edits()
        self._fit_format()
        self._fit_blocks()
        self._asked.setdefault("anthropic_version", VERSION)
        self._add_betas()
        body = json.encode_plain(self._asked)
        return Encoded(body, mended=self._mends, left_out=[*self._left_out], headers={})

    def _leave_out(self, name: str) -> None:
        if self._asked.pop(name, _NULL) != _NULL:
            self._left_out[name] = None

    def _fit_edits(self) -> None:
        """Leave out edits of the past that Bedrock refuses."""
        management = members(self._read("context_management"))
        edits = list_objects(management.get("edits"))
        kept = [edit for edit in edits if edit.get("type") != _REFUSED_EDIT]
        if len(kept) < len(edits):
            self._left_out[f"context_management.edits: {_REFUSED_EDIT}"] = None
            self._asked["context_management"] = {**management, "edits": kept}
            if not kept:
                del self._asked["context_management"]

    def _fit_format(self) -> None:
        """Move the format of the answer from the place that it had while it was a beta."""
        format = self._read("output_format")
        self._asked.pop("output_format", None)
        if format is not None:
            config = members(self._read("output_config"))
            self._asked["output_config"] = {"format": format, **config}
            self._mends.note("output_format", "sent as output_config.format")

    def _fit_blocks(self) -> None:
        for name in ("messages", "system", "tools"):
            raw = bytes(self._asked.get(name, _NULL))
            if b'"scope"' in raw or _EAGER.encode() in raw:
                self._asked[name] = self._strip(json.decode(raw), is_tools=name == "tools")

    def _strip(self, blocks: Any, *, is_tools: bool = False) -> Any:
        for block in list_objects(blocks):
            if members(block.get("cache_control")).pop("scope", None) is not None:
                self._left_out["cache_control.scope"] = None
            if is_tools and block.pop(_EAGER, None) is not None:
                self._left_out[f"tools.{_EAGER}"] = None
            self._strip(block.get("content"))
        return blocks

    def _add_betas(self) -> None:
        """Add the betas of the header that Bedrock has, unless the body names its own."""
        if "anthropic_beta" in self._asked:
            return
        named = dict.fromkeys(beta.strip() for beta in self._betas.split(",") if beta.strip())
        self._left_out |= {f"anthropic-beta: {beta}": None for beta in named if beta not in _BETAS}
        if known := [beta for beta in named if beta in _BETAS]:
            self._asked["anthropic_beta"] = known

    def _read(self, name: str) -> Any:
        return json.decode(bytes(self._asked.get(name, _NULL)))
