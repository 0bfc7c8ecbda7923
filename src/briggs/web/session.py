"""The session of a browser: a signed cookie with the id of a key, never the key itself."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from briggs.types.completions import current_time_us

DAYS = 30
"""How long a session lasts."""

_FILE = "session.secret"
_SECRET_BYTES = 32


class Session(NamedTuple):
    """Who uses this browser. A visitor who has not signed in has no key."""

    key_id: str
    created_at: int
    """Unix time in microseconds."""
    nonce: str

    @property
    def expires_at(self) -> int:
        """When it has lasted for `DAYS`."""
        return self.created_at + DAYS * 86_400_000_000


class Sessions:
    """Reads and writes the cookies of one server, which knows its own by their signatures."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # Browsers send a host's cookies to every port, and each port may be another Briggs.
        self.cookie = f"briggs_{self._sign('cookie')[:8]}"

    def begin(self, key_id: str = "") -> Session:
        """A new session, of a key or of a visitor."""
        return Session(key_id, current_time_us(), secrets.token_urlsafe(12))

    def write(self, session: Session) -> str:
        """The value of the session's cookie."""
        text = f"{session.key_id}.{session.created_at}.{session.nonce}"
        return f"{text}.{self._sign('session', text)}"

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session of a request, unless it has none, or it is over or forged."""
        text, _, signature = cookies.get(self.cookie, "").rpartition(".")
        if not _is_same(signature, self._sign("session", text)):
            return None
        key_id, created_at, nonce = text.split(".")
        session = Session(key_id, int(created_at), nonce)
        return session if current_time_us() < session.expires_at else None

    def write_token(self, session: Session) -> str:
        """The token that proves that a form came from a page of this session."""
        return self._sign("form", session.nonce, session.key_id)

    def is_token(self, token: str, session: Session) -> bool:
        """Whether this is the session's token."""
        return _is_same(token, self.write_token(session))

    def _sign(self, *parts: str) -> str:
        message = "\n".join(parts).encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._secret, message, hashlib.sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def open_secret(data: Path) -> bytes:
    """The secret of the data folder, which is made once and can be read by its owner alone."""
    path = data / _FILE
    with suppress(FileNotFoundError):
        return _read_secret(path)
    draft = data / f"{_FILE}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(_SECRET_BYTES))
    # Two processes may start at once. The first one's secret is everyone's.
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return _read_secret(path)


def _read_secret(path: Path) -> bytes:
    secret = path.read_bytes()
    if len(secret) < _SECRET_BYTES:
        path.unlink()
        raise FileNotFoundError(path)
    return secret


def _is_same(given: str, own: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), own.encode())
