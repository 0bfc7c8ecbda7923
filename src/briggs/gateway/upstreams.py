"""Opens the providers and models of one reading of the file."""

from __future__ import annotations

from collections.abc import Callable

from briggs.gateway.models import open_models
from briggs.gateway.timeouts import find_longest
from briggs.providers.catalog import find_only, list_twins, open_providers
from briggs.providers.local import LocalProvider
from briggs.providers.local_children import Children, OwnChildren
from briggs.settings import Settings
from briggs.transport import Transport

OpenChildren = Callable[[], Children]
"""Opens what processes for local models are borrowed from, if this process starts none."""


class Upstreams:
    """The providers of one reading of the file, the connections to them, and the models.

    Local models are large and slow to start. The next reading takes them over from the one
    `before` it, unless their settings changed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        before: Upstreams | None = None,
        lend: OpenChildren | None = None,
    ) -> None:
        self.settings = settings
        self._lend: OpenChildren | None = lend if before is None else before._lend
        waits = find_longest(settings.file)
        self._transport = Transport(
            connect_timeout_s=waits.connect_s,
            read_timeout_s=waits.piece_s,
            answer_bytes_max=settings.file.limits.answer_bytes_max,
        )
        providers = open_providers(settings, transport=self._transport)
        self._local_settings = (settings.file.local, waits.piece_s)
        self._keeps_local = True
        self._local = self._open_local(before)
        self.models = open_models(
            {**providers, "local": self._local},
            file=settings.file,
            default_provider=settings.file.default_provider or find_only(settings),
            twins=list_twins(settings),
        )

    async def retire(self) -> None:
        """Close when the last call that uses these models has ended."""
        await self.models.wait_until_left()
        await self.close()

    async def close(self) -> None:
        """Close everything that no later reading has taken over."""
        for provider in self.models.providers.values():
            if provider is not self._local or self._keeps_local:
                await provider.close()
        await self._transport.close()

    def _open_local(self, before: Upstreams | None) -> LocalProvider:
        if before is not None and before._local_settings == self._local_settings:
            before._keeps_local = False
            return before._local
        settings, timeout_s = self._local_settings
        source = OwnChildren(data=self.settings.data) if self._lend is None else self._lend()
        return LocalProvider(settings, source=source, timeout_s=timeout_s)
