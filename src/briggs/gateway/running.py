"""What one reading of the file decided. A reload replaces it as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from briggs.gateway.limits import FileRules, open_rules
from briggs.gateway.models import Models
from briggs.gateway.upstreams import OpenChildren, Upstreams
from briggs.providers.catalog import check_providers
from briggs.record.prices import Prices
from briggs.record.redaction import check_redaction
from briggs.settings import FileSettings, LimitSettings, Problem, Settings
from briggs.transport.callers.connection import Patience


class Running(msgspec.Struct, kw_only=True, frozen=True):
    """The settings of one reading, and what they opened. A call keeps to it after a reload."""

    settings: Settings
    limits: LimitSettings
    rules: FileRules
    """The limits of callers."""
    upstreams: Upstreams
    models: Models
    prices: Prices
    patience: Patience


def check_file(file: FileSettings, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Find the problems of a file that only show above the settings."""
    yield from check_providers(file, environment)
    yield from check_redaction(file)


def open_running(
    settings: Settings, *, before: Running | None = None, lend: OpenChildren | None = None
) -> Running:
    """Open what the settings name. What must outlive a reload is taken over from `before`."""
    file, limits = settings.file, settings.file.limits
    upstreams = Upstreams(settings, before=before.upstreams if before else None, lend=lend)
    models = upstreams.models
    return Running(
        settings=settings,
        limits=limits,
        rules=open_rules(file),
        upstreams=upstreams,
        models=models,
        prices=Prices(
            file.prices,
            providers=models.providers.values(),
            before=before.prices if before else None,
        ),
        patience=Patience(
            head_s=limits.header_timeout_s,
            body_s=limits.body_timeout_s,
            idle_s=limits.keep_alive_timeout_s,
            write_s=limits.write_timeout_s,
        ),
    )
