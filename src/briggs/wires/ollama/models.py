"""Writes lists of models as Ollama's clients read them.

https://docs.ollama.com/api/tags and https://docs.ollama.com/api-reference/show-model-details
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

VERSION = "0.13.0"
"""The version of Ollama whose requests Briggs reads. Clients ask for it."""
_DETAILS: dict[str, Any] = {
    **dict.fromkeys(("parent_model", "format", "family"), ""),
    "families": [],
    **dict.fromkeys(("parameter_size", "quantization_level"), ""),
}
"""How a model is built, which providers do not say."""
_TEXTS = ("license", "modelfile", "parameters", "template", "system")


def write_models(models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A list of models, given as OpenAI's."""
    return {"models": [_describe(model) for model in models]}


def write_model(model: dict[str, Any]) -> dict[str, Any]:
    """All about one model. What it can do is up to its provider."""
    return {
        **dict.fromkeys(_TEXTS, ""),
        "details": _DETAILS,
        "model_info": {"general.architecture": "", "general.basename": model["id"]},
        "capabilities": ["completion", "tools", "vision"],
        "modified_at": _write_time(model),
    }


def _describe(model: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": model["id"],
        "model": model["id"],
        "modified_at": _write_time(model),
        "size": 0,
        "digest": "",
        "details": _DETAILS,
    }


def _write_time(model: dict[str, Any]) -> str:
    try:
        created = datetime.fromtimestamp(model["created"], UTC)
    except (OverflowError, OSError, ValueError):
        created = datetime.fromtimestamp(0, UTC)
    return f"{created:%Y-%m-%dT%H:%M:%SZ}"
