"""Prompts that people have named, and their versions."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from briggs.types.completions import create_id, current_time_us

PROMPTS_MAX = 100
"""The most named prompts of an organization."""
VERSIONS_MAX = 50
"""The most versions of a prompt."""
WORDS_MAX = 2_000
"""So many words of a prompt are looked at."""

DecidedBy = Literal["person", "distance"]
Template = list[str | None]
"""The fixed words of a prompt, each with the blanks before it. None stands for a variable."""


class NamedPrompt(msgspec.Struct, kw_only=True):
    """A prompt with a name."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    name: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    sorted_to: int = 0
    """Calls that began before then have been looked at, in Unix microseconds."""


class PromptVersion(msgspec.Struct, kw_only=True):
    """One wording of a named prompt. Only a person changes it, by saying that two are the same."""

    organization_id: str
    prompt_id: str
    version: int
    """Counts from 1 for each prompt. No number is used again."""
    created_at: int = msgspec.field(default_factory=current_time_us)
    template: Template
    decided_by: DecidedBy
    of_version: int | None = None
    """The nearest version when it was made by its distance."""
    distance: float | None = None
    """From that version, from 0 to 1."""


class PromptPlace(NamedTuple):
    """A version of a prompt, by the keys of both."""

    prompt_id: str
    version: int


def split_name(named: str) -> tuple[str, int | None]:
    """The name and the version of `NAME` or `NAME@VERSION`."""
    name, at, version = named.rpartition("@")
    if at and version.isascii() and version.isdecimal() and len(version) < 10:
        return name, int(version)
    return named, None
