"""API keys: 256 random bits that a person keeps, of which we keep only the hash."""

from __future__ import annotations

import hashlib
import secrets

import msgspec

PREFIX = "sk-briggs-"


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


def create_secret() -> str:
    """A new secret: `sk-briggs-` and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a secret. The secret is random, so it needs neither salt nor stretching."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def redact(secret: str) -> str:
    """What may be shown of a secret: `sk-briggs-AbC...xYz1`."""
    return f"{secret[: len(PREFIX) + 3]}...{secret[-4:]}"
