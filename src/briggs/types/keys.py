"""API keys: secrets of 256 random bits, of which Briggs keeps only the hash."""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal, get_args

import msgspec

from briggs.types.limits import Limits

PREFIX = "sk-briggs-"

Scope = Literal["answer", "read", "grade", "admin"]
"""What a key may do. `answer`: make and record calls. `read`: read the record. `grade`: give
feedback. `admin`: manage keys and feedback tasks, and delete data."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
SCOPES_DEFAULT: tuple[Scope, ...] = ("answer", "read", "grade")
"""The scopes of a key that is created without any: all except `admin`."""


class Key(msgspec.Struct, kw_only=True):
    """A key as the store keeps it: the hash of its secret, never the secret."""

    id: str
    organization_id: str
    name: str
    hash: bytes
    """SHA-256 of the whole secret."""
    redacted_value: str
    """The first and last characters, so that people can tell keys apart."""
    created_at: int
    """Unix time in microseconds."""
    last_used_at: int | None = None
    scopes: list[Scope] = msgspec.field(default_factory=lambda: list(SCOPES))
    expires_at: int | None = None
    """Unix time in microseconds. None if the key does not expire."""
    task_id: str | None = None
    """The only task that the key may grade. Such a key is an invitation: it works on the pages."""
    limits: Limits | None = None
    """Its own limits. The file's apply where it has none."""


def create_secret() -> str:
    """A new secret: `sk-briggs-` and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a secret. The secret is random, so it needs neither salt nor stretching."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def redact(secret: str) -> str:
    """The part of a secret that may be shown, such as `sk-briggs-AbC...xYz1`."""
    return f"{secret[: len(PREFIX) + 3]}...{secret[-4:]}"
