"""Sign-in links: each opens the pages once, as the key that made it, within a few minutes.

A link is a file in the data folder, which every process of the server reads. Removing the file
uses the link, and a file can be removed only once.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from briggs.types.errors import AuthenticationFailed, StoreUnavailable
from briggs.types.keys import Key

PATH = "/sign-in"
EXPIRES_IN_S = 15 * 60
LINKS_MAX = 1000
"""Of all keys together. Older ones are dropped."""


class SignInLinks:
    """The links of one data folder."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "sign_in_links"

    def create(self, key: Key) -> str:
        """Make a link that signs in as this key. Returns its path. Raises `StoreUnavailable`."""
        secret = secrets.token_urlsafe(24)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._sweep()
            path = self._find(secret)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(key.id)
        except OSError as error:
            raise StoreUnavailable(
                f"A sign-in link cannot be written in {self._folder}: {error.strerror}."
            ) from error
        return f"{PATH}/{secret}"

    def take(self, secret: str) -> str:
        """Use a link. Returns the id of its key. Raises `AuthenticationFailed`."""
        path = self._find(secret)
        try:
            is_over = time.time() - path.stat().st_mtime > EXPIRES_IN_S
            key_id = path.read_text()
            path.unlink()
        except OSError:
            is_over = True
        if is_over or not key_id:
            raise AuthenticationFailed(
                "This link was used already, or is older than "
                f"{EXPIRES_IN_S // 60} minutes. `briggs open` makes another."
            )
        return key_id

    def _find(self, secret: str) -> Path:
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass"))
        return self._folder / digest.hexdigest()

    def _sweep(self) -> None:
        dated = []
        for path in self._folder.iterdir():
            with suppress(OSError):
                dated.append((path.stat().st_mtime, path))
        dated.sort(reverse=True)
        oldest = time.time() - EXPIRES_IN_S
        for place, (at, path) in enumerate(dated):
            if at < oldest or place >= LINKS_MAX - 1:
                path.unlink(missing_ok=True)
