"""The models that can be used.

https://platform.openai.com/docs/api-reference/models
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from briggs.types.json import Object


class Model(Object):
    """One model."""

    id: str
    """Its name in requests, which may contain slashes and colons."""
    object: Literal["model"]
    created: int
    """Unix time in seconds."""
    owned_by: str
    shutdown_date: str | UnsetType | None = UNSET
    """The first day, such as 2027-01-31, on which it is no longer available."""


class ListModelsResponse(Object):
    """Every model that can be used."""

    object: Literal["list"]
    data: list[Model]


class DeleteModelResponse(Object):
    """Confirms that a model was deleted."""

    id: str
    object: str
    deleted: bool
