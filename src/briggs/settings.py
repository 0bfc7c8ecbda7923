"""`briggs.toml` and the environment, read once and checked as a whole."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Durability = Literal["strict", "fsync", "relaxed"]
Positive = Annotated[int, Meta(gt=0)]
Seconds = Annotated[float, Meta(gt=0)]


class SettingsError(ValueError):
    """The file or the environment cannot be understood; the message says where and why."""


class ProviderSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME]`: somebody who answers, under a name of your own."""

    kind: str = "openai"
    """A name of the catalog; `openai` for any server that speaks its wire."""
    base_url: str | None = None
    """Where it answers, up to and including `/v1`. Absent: where the catalog says."""
    key_variable: str | None = None
    """The environment variable that holds its key. Absent: the catalog's, or with a
    `base_url` of your own, no key is sent."""
    drop_unsupported: bool = False
    """Whether parameters that its wire has no word for are left out, and named in the answer's
    `x-briggs-dropped`, instead of refused."""


class ModelSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[models.NAME]`: a name that callers may ask for."""

    targets: Annotated[list[str], Meta(min_length=1)]
    """`provider/model`, asked in this order until one answers."""


class LimitSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: how much of everything at most."""

    body_bytes_max: Positive = 32 * 1024 * 1024
    in_flight_max: Positive = 1000
    header_timeout_s: Seconds = 15
    """For a connection to send a request's headers."""
    body_timeout_s: Seconds = 60
    """Between two pieces of a request's body."""
    keep_alive_timeout_s: Seconds = 75
    """For an idle connection to send the next request."""
    shutdown_timeout_s: Seconds = 60
    """For the answers in flight when Briggs is asked to stop."""
    connect_timeout_s: Seconds = 10
    """For a connection to an upstream."""
    upstream_timeout_s: Seconds = 600
    """Between two pieces of an upstream's answer, the first included."""
    queue_bytes_max: Positive = 256 * 1024 * 1024
    """Of records that wait to be written; past it callers wait."""
    wal_bytes_max: Positive = 64 * 1024 * 1024
    """Of SQLite's write-ahead log; past it callers wait for a checkpoint."""


class LocalSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`[local]`: the GGUF files that the provider `local` runs on this machine."""

    models: dict[str, str] = {}
    """A name for each file, besides the built-in `briggs-tiny`."""
    memory_bytes_max: Positive = 8 * 1024 * 1024 * 1024
    """Of one model's process; it is started anew when it has grown past this."""
    context_tokens: Positive | None = None
    """Of one conversation. Absent: as the model was made for."""
    parallel: Positive = 4
    """Conversations that one model answers at once."""
    threads: Positive | None = None
    """Absent: one a processor."""


class FileSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What `briggs.toml` may say."""

    store: str = "sqlite"
    durability: Durability = "strict"
    on_store_failure: Literal["refuse", "answer"] = "refuse"
    """Whether calls are refused with 503 while the record cannot be written, or answered
    without a record and counted."""
    default_provider: str | None = None
    """Who answers a bare model name; absent: the only provider there is."""
    hosts: list[str] = []
    """Host names, besides localhost and bare addresses, by which Briggs may be called."""
    origins: list[str] = []
    """Origins, besides Briggs's own, whose pages may call it, such as `https://app.example`."""
    providers: dict[str, ProviderSettings] = {}
    models: dict[str, ModelSettings] = {}
    limits: LimitSettings = msgspec.field(default_factory=LimitSettings)
    local: LocalSettings = msgspec.field(default_factory=LocalSettings)


class Settings(msgspec.Struct, kw_only=True):
    """Everything that a server is told."""

    data: Path
    config: Path | None = None
    """The file that was read, if one was."""
    file: FileSettings = msgspec.field(default_factory=FileSettings)
    environment: Mapping[str, str] = {}
    """Where keys come from. Never written anywhere."""


def default_data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`BRIGGS_DATA`, else `briggs` in the user's data folder (`XDG_DATA_HOME`)."""
    if given := environment.get("BRIGGS_DATA"):
        return Path(given)
    home = environment.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "briggs"


def open_settings(
    *,
    data: Path | None = None,
    config: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Read the file, if there is one, and check all of it. Raises `SettingsError`.

    The file is `config`, else `BRIGGS_CONFIG`, else `briggs.toml` in the working folder.
    """
    if config is None and (given := environment.get("BRIGGS_CONFIG")):
        config = Path(given)
    if config is None and Path("briggs.toml").is_file():
        config = Path("briggs.toml")
    return Settings(
        data=data or default_data_folder(environment),
        config=config,
        file=FileSettings() if config is None else read_file(config),
        environment=environment,
    )


def read_file(path: Path) -> FileSettings:
    """Read a `briggs.toml`. Raises `SettingsError` that names the file and the member."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error
    try:
        settings = msgspec.convert(content, FileSettings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {_explain(error)}") from error
    for problem in _find_problems(settings):
        raise SettingsError(f"{path}: {problem}")
    return settings


def _explain(error: msgspec.ValidationError) -> str:
    """Turn msgspec's `... - at `$.providers[...].kind`` into the file's own words."""
    expectation, _, place = str(error).partition(" - at `$.")
    return f"{place.rstrip('`')}: {expectation}" if place else expectation


def _find_problems(settings: FileSettings) -> list[str]:
    problems = []
    if settings.store != "sqlite":
        problems.append(f'store = "{settings.store}": only "sqlite" is known so far')
    for name, provider in settings.providers.items():
        if not name or "/" in name or name == "local":
            problems.append(f"providers.{name!r}: 'local' is taken, and a name holds no slash")
        url = provider.base_url
        if url is not None and not url.startswith(("http://", "https://")):
            problems.append(f"providers.{name}.base_url: {url!r} is no http(s) address")
    for name, path in settings.local.models.items():
        if not Path(path).is_file():
            problems.append(f"local.models.{name}: there is no file {path}")
    known = {*settings.providers, "local"}
    if settings.default_provider not in (None, *known):
        problems.append(
            f"default_provider: there is no provider {settings.default_provider!r}; "
            f"there are {', '.join(sorted(known))}"
        )
    for name, model in settings.models.items():
        problems.extend(
            f"models.{name}.targets: {target!r} names no provider; there are "
            f"{', '.join(sorted(known))}"
            for target in model.targets
            if target.partition("/")[0] not in known or not target.partition("/")[2]
        )
    return problems
