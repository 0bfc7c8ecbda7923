"""Finds all problems in a `briggs.toml` at once."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from briggs.settings.file import (
    STORE_PASSWORD,
    STORE_SCHEMES,
    FileSettings,
    LakeSettings,
    LocalModelSettings,
    ModelSettings,
    OtelSettings,
    ProviderSettings,
    RetentionSettings,
    TargetSettings,
)
from briggs.settings.lines import MemberPath

_BROKEN: Any = object()

# How many names may lead to one another. Each is tried in turn, so the number of attempts can grow
# with every step.
_NAMES_MAX = 8


class Problem(NamedTuple):
    """A problem with one member."""

    place: MemberPath
    message: str
    is_error: bool = True
    """False if the file is allowed to say this, but probably does not mean it."""


def clean(content: Mapping[str, Any]) -> tuple[FileSettings, list[Problem]]:
    """Read what is valid in a file, and list what is not.

    An invalid member counts as absent, so that the others are checked too.
    """
    problems: list[Problem] = []
    cleaned = _clean(content, FileSettings, (), problems)
    return msgspec.convert(cleaned, FileSettings), problems


def _check_store(store: str) -> Iterator[Problem]:
    if store == "sqlite":
        return
    try:
        parts = urlsplit(store)
        has_password = parts.password is not None
        hosts = parts.netloc.rpartition("@")[2].split(",")
        ports = [urlsplit(f"//{host}").port for host in hosts]
        is_known = parts.scheme in STORE_SCHEMES and 0 not in ports
    except ValueError:
        is_known = has_password = False
    if has_password:
        # The value is not quoted, because it has the password.
        yield Problem(("store",), f"must have no password: put it into {STORE_PASSWORD}")
    elif not is_known:
        yield Problem(
            ("store",),
            f'unknown store {store!r}: use "sqlite", or "postgresql://USER@HOST:PORT/DATABASE"',
        )


def find_problems(file: FileSettings, *, names: Collection[str]) -> Iterator[Problem]:
    """Find the problems that only show when several members are seen together.

    `names` are those of `[models]`, including the invalid ones.
    """
    yield from _check_store(file.store)
    for name, provider in file.providers.items():
        yield from _check_provider(name, provider)
    for name, listed in file.local.models.items():
        yield from _check_local_model(("local", "models", name), read_local_model(listed))
    if file.otel is not None:
        yield from _check_otel(file.otel)
    providers = {*file.providers, "local"}
    if file.default_provider not in (None, *providers):
        message = f"unknown provider {file.default_provider!r}"
        yield Problem(("default_provider",), message + suggest(file.default_provider, providers))
    if file.retries.backoff_max_s < file.retries.backoff_s:
        yield Problem(("retries", "backoff_max_s"), "must not be shorter than backoff_s")
    for name, model in file.models.items():
        yield from _check_model(name, model, providers=providers, names=names)
    yield from _find_loops(file.models, providers=providers)
    yield from _check_retention(file.retention)
    if file.lake is not None:
        yield from _check_lake(file.lake)
    for name in file.prices:
        if is_name(name, providers=providers):
            message = "not a provider/model" + suggest(name.partition("/")[0], providers)
            yield Problem(("prices", name), message)


def _check_retention(retention: RetentionSettings) -> Iterator[Problem]:
    for place, rule in enumerate(retention.rules):
        path = ("retention", "rules", place)
        if rule.bodies is None and rule.metadata is None:
            yield Problem(path, "the rule says neither bodies nor metadata")
        if rule.organization is None and rule.tag is None:
            yield Problem(path, "the rule names neither an organization nor a tag")


def _check_lake(lake: LakeSettings) -> Iterator[Problem]:
    if "://" in lake.warehouse and not re.fullmatch(r"s3://[a-z0-9.-]+(/.*)?", lake.warehouse):
        message = f"{lake.warehouse!r} must be a folder, or s3://BUCKET/PREFIX"
        yield Problem(("lake", "warehouse"), message)
    if lake.endpoint is not None:
        instead = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        yield from _check_url(("lake", "endpoint"), lake.endpoint, instead=instead)
    if not all(map(_is_installed, ("duckdb", "pyarrow", "pyiceberg"))):
        yield Problem(("lake",), "needs a library: pip install 'briggs[lake]'")


def suggest(name: str | None, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the most similar names, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name or "", known, n=2, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    return f"; use one of {', '.join(known)}" if known else ""


def read_target(listed: str | TargetSettings) -> TargetSettings:
    """A target as a table, in whichever form it was written."""
    return listed if isinstance(listed, TargetSettings) else TargetSettings(target=listed)


def read_local_model(listed: str | LocalModelSettings) -> LocalModelSettings:
    """A local model as a table, in whichever form it was written."""
    return listed if isinstance(listed, LocalModelSettings) else LocalModelSettings(path=listed)


def is_name(target: str, *, providers: Collection[str]) -> bool:
    """Whether a target is another name in the file, and not `provider/model`."""
    provider, _, model = target.partition("/")
    return not (model and provider in providers)


def _clean(value: Any, type: Any, path: MemberPath, problems: list[Problem]) -> Any:
    """The value without its invalid parts, or `_BROKEN`."""
    for part in _split_union(type):
        origin = get_origin(part)
        if isinstance(value, dict) and hasattr(part, "__struct_fields__"):
            return _clean_table(value, part, path, problems)
        if isinstance(value, dict) and origin is dict:
            inner = get_args(part)[1]
            pairs = {
                name: _clean(one, inner, (*path, name), problems) for name, one in value.items()
            }
            return {name: one for name, one in pairs.items() if one is not _BROKEN}
        if isinstance(value, list) and origin is list:
            [inner] = get_args(part)
            value = [
                _clean(one, inner, (*path, place), problems) for place, one in enumerate(value)
            ]
            if _BROKEN in value:
                return _BROKEN
    try:
        msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        problems.append(Problem(path, _explain(error, value, type)))
        return _BROKEN
    return value


def _clean_table(
    value: dict[str, Any], type: Any, path: MemberPath, problems: list[Problem]
) -> Any:
    fields = {field.name: field for field in msgspec.structs.fields(type)}
    for name in value.keys() - fields.keys():
        message = "unknown setting" + suggest(name, fields)
        problems.append(Problem((*path, name), message))
    cleaned = {
        name: _clean(value[name], field.type, (*path, name), problems)
        for name, field in fields.items()
        if name in value
    }
    cleaned = {name: one for name, one in cleaned.items() if one is not _BROKEN}
    missing = [name for name, field in fields.items() if field.required and name not in cleaned]
    problems.extend(Problem(path, f"{name} is missing") for name in missing if name not in value)
    return _BROKEN if missing else cleaned


def _split_union(type: Any) -> Iterator[Any]:
    """The plain types in a type, without annotations."""
    if get_origin(type) is Annotated:
        yield from _split_union(get_args(type)[0])
    elif get_origin(type) in (Union, UnionType):
        for part in get_args(type):
            yield from _split_union(part)
    else:
        yield type


def _explain(error: msgspec.ValidationError, value: Any, type: Any) -> str:
    """msgspec's message in TOML's terms."""
    choices = [
        one for part in _split_union(type) if get_origin(part) is Literal for one in get_args(part)
    ]
    if choices and isinstance(value, str):
        return f"{value!r} is not allowed{suggest(value, choices)}"
    words = str(error).partition(" - at ")[0]
    if "matching regex" in words:
        return f"{value!r} is not a span of time: write 90min, 12h, 30d or 52w"
    for theirs, ours in ((" | null", ""), ("object", "table"), ("array", "list")):
        words = words.replace(theirs, ours)
    return words[0].lower() + words[1:] + ("" if "got" in words else f", not {value}")


def _check_provider(name: str, provider: ProviderSettings) -> Iterator[Problem]:
    path = ("providers", name)
    if name == "local":
        yield Problem(path, "the name 'local' is reserved for models on this machine; see [local]")
    if not name or "/" in name or not name.isprintable():
        yield Problem(path, "a provider's name must be printable, without a slash")
    if provider.base_url is not None:
        yield from _check_url((*path, "base_url"), provider.base_url, instead="key_variable")
    if provider.key_variable is not None:
        yield from _check_variable((*path, "key_variable"), provider.key_variable)


def _check_otel(otel: OtelSettings) -> Iterator[Problem]:
    yield from _check_url(("otel", "endpoint"), otel.endpoint, instead="headers_variable")
    if otel.headers_variable is not None:
        yield from _check_variable(("otel", "headers_variable"), otel.headers_variable)
    if not all(map(_is_installed, ("opentelemetry.sdk", "opentelemetry.exporter"))):
        yield Problem(("otel",), "needs a library: pip install 'briggs[otel]'")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _check_url(path: MemberPath, given: str, *, instead: str) -> Iterator[Problem]:
    try:
        url = urlsplit(given)
        is_url = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        yield Problem(path, f"{given!r} must begin with http:// or https://, and then have a host")
    elif "@" in url.netloc:
        yield Problem(path, f"must not contain a user and password: set {instead} instead")


def _check_variable(path: MemberPath, given: str) -> Iterator[Problem]:
    if not given.isidentifier():
        # It may be the secret itself, so it is not repeated.
        yield Problem(path, "must be the name of an environment variable, never the key itself")


def _check_local_model(path: MemberPath, model: LocalModelSettings) -> Iterator[Problem]:
    for file in filter(None, (model.path, model.chat_template_file)):
        if not Path(file).is_file():
            yield Problem(path, f"there is no file {file}")
    if model.chat_template is not None and model.chat_template_file is not None:
        yield Problem(path, "chat_template and chat_template_file are both set: keep one")


def _check_model(
    name: str, model: ModelSettings, *, providers: Collection[str], names: Collection[str]
) -> Iterator[Problem]:
    path = ("models", name)
    if not name:
        yield Problem(path, "a model name must not be empty")
    listed = [read_target(one) for one in model.targets]
    for place, one in enumerate(listed):
        place_path = (*path, "targets", place)
        if is_name(one.target, providers=providers) and one.target not in names:
            yield Problem(place_path, _explain_target(one.target, providers, names))
        if one.target in [other.target for other in listed[:place]]:
            yield Problem(place_path, f"{one.target!r} is listed twice: set a weight instead")
    weighs = any(one.weight != 1 for one in listed)
    if weighs and model.strategy == "order" and model.sticky is None:
        message = 'weights only count with strategy = "weight" or sticky = "session"'
        yield Problem((*path, "targets"), message, is_error=False)


def _explain_target(target: str, providers: Collection[str], names: Collection[str]) -> str:
    provider, _, model = target.partition("/")
    if model:
        message = f"{target!r}: unknown provider {provider!r}{suggest(provider, providers)}"
        is_typo = message.endswith("?")
        return message if is_typo else f"{message}, or add [providers.{provider}] with its kind"
    message = f"{target!r} is neither provider/model nor a name in [models]"
    return message + suggest(target, names)


def _find_loops(
    models: Mapping[str, ModelSettings], *, providers: Collection[str]
) -> Iterator[Problem]:
    """Find names whose targets lead back to them, each loop once, and chains that are too long."""
    leads = {
        name: [
            one.target
            for one in map(read_target, model.targets)
            if is_name(one.target, providers=providers)
        ]
        for name, model in models.items()
    }
    depths: dict[str, int] = {}

    def follow(name: str, way: list[str]) -> Iterator[Problem]:
        path = ("models", name, "targets")
        if name in way:
            loop = [*way[way.index(name) :], name]
            yield Problem(path, f"leads back to itself: {' -> '.join(loop)}")
        elif name not in depths and len(way) <= _NAMES_MAX:
            for target in leads.get(name, []):
                yield from follow(target, [*way, name])
            depths[name] = 1 + max(
                (depths.get(target, 0) for target in leads.get(name, [])), default=0
            )
            if depths[name] == _NAMES_MAX + 1:
                yield Problem(path, f"leads through more than {_NAMES_MAX} names to a provider")

    for name in leads:
        yield from follow(name, [])
