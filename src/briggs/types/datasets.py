"""Datasets: samples with their right answers, in versions that never change."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from briggs.types.completions import create_id, current_time_us

SAMPLES_MAX = 10_000
"""The most samples of a dataset."""
SAMPLE_BYTES_MAX = 4 * 1024 * 1024
DATASET_BYTES_MAX = 64 * 1024 * 1024
MESSAGES_MAX = 1_000
REFERENCES_MAX = 100
ID_LENGTH_MAX = 200
NAME_LENGTH_MAX = 200

ReferenceSource = Literal["none", "answer", "corrected"]
"""What becomes the reference of a recorded completion: nothing, its answer, or what a reviewer
wrote instead of it."""


class Sample(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A question for a model, and what a right answer is."""

    id: str
    """Unique in its dataset."""
    messages: list[dict[str, Any]]
    references: list[str] = []
    """Right answers. One of them is enough."""
    tool_calls: list[dict[str, Any]] = []
    """The right tool calls: each an object with `name` and `arguments`, an object."""
    parameters: dict[str, Any] = {}
    """Other members of the request, such as `tools` and `temperature`."""
    metadata: dict[str, str] = {}
    completion_id: str | None = None
    """The completion that it was made of."""


class Dataset(msgspec.Struct, kw_only=True):
    """One version of a dataset. It never changes."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    name: str
    version: int = 1
    """Counts from 1 for each name."""
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    source: str = ""
    """What it was made from, in words."""
    samples: int
    """How many samples it has."""
    bytes: int
    """How large they are as JSON."""
    hash: str
    """The SHA-256 of its samples. The same samples under the same name are the same version."""
