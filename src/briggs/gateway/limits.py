"""Reads from the file what each organization, its keys and its end users may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from briggs.settings import AllowanceSettings, FileSettings
from briggs.types.limits import Limits


class Rules(NamedTuple):
    """What the file says for one organization."""

    organization: Limits | None = None
    key: Limits | None = None
    user: Limits | None = None

    def override(self, others: Rules) -> Rules:
        """These rules, and those of `others` where these say nothing."""
        return Rules(
            *(
                theirs if own is None else own.override(theirs)
                for own, theirs in zip(self, others, strict=True)
            )
        )


class FileRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says for all organizations."""

    others: Rules
    """For the organizations that the file does not name."""
    named: Mapping[str, Rules]
    """By the slug or the id of an organization."""
    answer_tokens: int
    """How long an answer may be, if the request does not limit it."""
    refuses_unknown_price: bool
    exist: bool
    """Whether the file limits anybody."""


def open_rules(file: FileSettings) -> FileRules:
    """Read the limits of callers in the file."""
    settings = file.limits
    others = Rules(_read(settings.organizations), _read(settings.keys), _read(settings.users))
    named = {
        name: Rules(_read(each.limits), _read(each.key_limits), _read(each.user_limits)).override(
            others
        )
        for name, each in file.organizations.items()
    }
    return FileRules(
        others=others,
        named=named,
        answer_tokens=settings.answer_tokens_expected,
        refuses_unknown_price=settings.on_unknown_price == "refuse",
        exist=any(limits for rules in (others, *named.values()) for limits in rules),
    )


def _read(settings: AllowanceSettings | None) -> Limits | None:
    limits = msgspec.convert(settings, Limits, from_attributes=True) if settings else None
    return limits or None
