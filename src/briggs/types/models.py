"""Models: what a provider can be asked to answer with.

https://platform.openai.com/docs/api-reference/models
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from briggs.types.wire import Object


class Model(Object):
    """One model."""

    id: str
    """Its name in requests, which may contain slashes and colons."""
    object: Literal["model"]
    created: int
    """Unix time in seconds."""
    owned_by: str
    shutdown_date: str | UnsetType | None = UNSET
    """The day, such as 2027-01-31, from which it is not available any more."""


class ListModelsResponse(Object):
    """Every model that can be asked."""

    object: Literal["list"]
    data: list[Model]


class DeleteModelResponse(Object):
    """Says that a model is no more."""

    id: str
    object: str
    deleted: bool
