"""The session of a browser: a cookie with a random secret, whose hash is on record."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from briggs.accounts.sign_ins import create_secret, is_secret


class Cookies:
    """Reads the cookie of the servers of one record, and proves that a form is theirs."""

    def __init__(self, record_made_at: int) -> None:
        # Browsers send a host's cookies to every port, and each port may be another Briggs.
        name = hashlib.sha256(str(record_made_at).encode()).hexdigest()[:8]
        self.name = f"briggs_{name}"

    def read(self, cookies: Mapping[str, str]) -> str | None:
        """The secret of a request's session. Whether somebody is signed in, the record knows."""
        secret = cookies.get(self.name, "")
        return secret if is_secret(secret) else None


def create_visit() -> str:
    """The secret of a browser that is not signed in. Its forms have tokens too."""
    return create_secret("")


def write_token(secret: str) -> str:
    """The token that proves that a form came from a page of this session.

    Any server can check it, and it does not tell the secret.
    """
    digest = hmac.digest(secret.encode(), b"form", hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_token(token: str, secret: str) -> bool:
    """Whether this is the session's token."""
    return hmac.compare_digest(token.encode("utf-8", "surrogatepass"), write_token(secret).encode())
