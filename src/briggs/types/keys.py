"""API keys: 256 random bits that a person keeps, of which we keep only the hash."""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal, get_args

import msgspec

PREFIX = "sk-briggs-"

Scope = Literal["answer", "read", "grade", "admin"]
"""What a key may do: have calls answered and recorded, read the record, give feedback, and
look after keys, feedback tasks and what is deleted."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
SCOPES_DEFAULT: tuple[Scope, ...] = ("answer", "read", "grade")
"""What a key may do that is made without scopes: everything but look after the rest."""


class Key(msgspec.Struct, kw_only=True):
    """A key as the store knows it: never the secret, only what recognises it."""

    id: str
    organization_id: str = "default"
    name: str
    hash: bytes
    """SHA-256 of the whole secret."""
    redacted_value: str
    """The first and last characters, for people to tell keys apart."""
    created_at: int
    """Unix time in microseconds."""
    last_used_at: int | None = None
    scopes: list[Scope] = msgspec.field(default_factory=lambda: list(SCOPES))
    expires_at: int | None = None
    """Unix time in microseconds; None for a key that does not expire."""


def create_secret() -> str:
    """A new secret: `sk-briggs-` and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a secret. The secret is random, so it needs neither salt nor stretching."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def redact(secret: str) -> str:
    """What may be shown of a secret: `sk-briggs-AbC...xYz1`."""
    return f"{secret[: len(PREFIX) + 3]}...{secret[-4:]}"
