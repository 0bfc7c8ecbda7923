"""Sign-ins: browsers that are signed in as a key, and links that sign one in."""

from __future__ import annotations

from typing import Literal

import msgspec

SignInKind = Literal["session", "link"]
"""`session`: the cookie of a browser has the secret. `link`: a link has it, and works once."""


class SignIn(msgspec.Struct, kw_only=True, frozen=True):
    """A session or a link as the store keeps it: the hash of its secret, never the secret."""

    organization_id: str
    hash: bytes
    """SHA-256 of the whole secret."""
    kind: SignInKind
    key_id: str
    """The key that it signs in."""
    created_at: int
    """Unix time in microseconds."""
    expires_at: int
    """Unix time in microseconds."""
