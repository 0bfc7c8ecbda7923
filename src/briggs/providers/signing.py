"""Finds AWS credentials and signs requests with them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from briggs.settings import ProviderSettings, SettingsError
from briggs.types.errors import ProviderNotReady
from briggs.wires.bedrock.wire import BedrockWire


def find_region(row: ProviderSettings, environment: Mapping[str, str]) -> str:
    """The region in the file, else in the environment. Raises `SettingsError`."""
    found = row.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not found:
        raise SettingsError(f"{row.kind} needs a region: set region here, or AWS_REGION")
    return found


def open_bedrock(row: ProviderSettings, environment: Mapping[str, str]) -> BedrockWire:
    """The wire for a provider's settings. Raises `SettingsError` without a region."""
    region = find_region(row, environment)
    signer = AwsSigner("bedrock", region=region, environment=environment)
    return BedrockWire(signer, messages=row.messages)


class AwsSigner:
    """Signs requests with the credentials that botocore finds."""

    def __init__(self, service: str, *, region: str, environment: Mapping[str, str]) -> None:
        self._service = service
        self._region = region
        self._environment = environment
        self._lock = asyncio.Lock()
        self._credentials: Any = None
        """As botocore found them. Reading them may fetch new ones."""
        self._frozen: Any = None
        """A copy of them that can be read at any time."""

    async def load(self) -> None:
        """Import botocore in a thread. Raises `ProviderNotReady` if it is not installed."""
        await asyncio.to_thread(load_botocore)

    async def refresh(self) -> None:
        """Find credentials, and renew them before they expire. Raises `ProviderNotReady`.

        They may come from files or from another machine, so a thread looks for them.
        """
        async with self._lock:
            if self._credentials is None or _runs_out(self._credentials):
                self._credentials, self._frozen = await asyncio.to_thread(self._find)

    def sign(self, *, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
        """Add the signature to the headers."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method=method, url=url, headers=headers, data=body)
        SigV4Auth(self._frozen, self._service, self._region).add_auth(request)
        headers.update(request.headers.items())

    def _find(self) -> tuple[Any, Any]:
        load_botocore()
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            credentials = self._credentials or self._look()
            if credentials is not None:
                return credentials, credentials.get_frozen_credentials()
            reason = "none are configured"
        except (BotoCoreError, ClientError) as error:
            reason = str(error)
        raise ProviderNotReady(
            f"No AWS credentials were found ({reason}): set AWS_BEARER_TOKEN_BEDROCK, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with the AWS CLI.",
            headers={"x-should-retry": "false"},
        )

    def _look(self) -> Any:
        """The credentials in the environment, else those that botocore finds elsewhere."""
        from botocore.credentials import Credentials
        from botocore.session import get_session

        found = self._environment
        if found.get("AWS_ACCESS_KEY_ID") and found.get("AWS_SECRET_ACCESS_KEY"):
            return Credentials(
                found["AWS_ACCESS_KEY_ID"],
                found["AWS_SECRET_ACCESS_KEY"],
                found.get("AWS_SESSION_TOKEN"),
            )
        return get_session().get_credentials()


def load_botocore() -> None:
    """Import botocore, which is slow and which few users need. Raises `ProviderNotReady`."""
    try:
        import botocore.auth
        import botocore.awsrequest
        import botocore.eventstream  # noqa: F401
    except ImportError as error:
        raise ProviderNotReady(
            "Bedrock needs the package botocore: pip install 'briggs[bedrock]', then start "
            "Briggs again.",
            headers={"x-should-retry": "false"},
        ) from error


def _runs_out(credentials: Any) -> bool:
    """Whether the credentials expire soon, if they can. Sends no request."""
    return hasattr(credentials, "refresh_needed") and bool(credentials.refresh_needed())
