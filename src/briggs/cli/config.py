"""`briggs config`: checks the configuration file, and makes one from another gateway's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from briggs.cli.groups import Group
from briggs.types.texts import one_line

if TYPE_CHECKING:
    from briggs.providers.catalog import Described
    from briggs.settings import FileSettings, Located, ModelSettings


@click.group(cls=Group)
def config() -> None:
    """Check the configuration file, or make one from another gateway's.

    A running server reads its file again on SIGHUP. Check the file before you send that.
    """


@config.command()
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE]"
)
@click.option(
    "--config",
    "named",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The FILE, as an option.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check(context: click.Context, file: Path | None, named: Path | None, as_json: bool) -> None:
    """Print every error in FILE. If it has none, print a summary of it.

    Without FILE, check the file that `briggs serve` would read: BRIGGS_CONFIG, or otherwise
    briggs.toml in this folder. The exit status is 1 if there are errors. Warnings, such as a
    key that is not in this environment, do not change it.

    \b
    Examples:
      briggs config check
      briggs config check team.toml && systemctl reload briggs
    """
    from briggs.settings import find_file, read_file

    path = file or named or find_file()
    try:
        from briggs.alerts.checks import check_all
        from briggs.providers.catalog import describe_providers, find_misplaced_keys
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the check needs {error.name}. Install it with: pip install 'briggs[server]'"
        ) from error
    if path is None:
        for misplaced in find_misplaced_keys(os.environ):
            click.echo(f"{misplaced} (a warning)")
        raise click.ClickException(
            "this folder has no briggs.toml. Name a file to check. Without a file, "
            "`briggs serve` uses every vendor of its catalog whose key is in the environment."
        )
    reading = read_file(path, check=check_all)
    providers = describe_providers(reading.file, os.environ)
    if as_json:
        click.echo(_encode(path, reading.file, reading.problems, providers))
    else:
        for line in _describe(path, reading.file, reading.problems, providers):
            click.echo(line)
    context.exit(1 if reading.errors else 0)


@config.command(name="import")
@click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default="briggs.toml",
    show_default=True,
    metavar="FILE",
    help="Where to write it. - is standard output.",
)
def import_config(file: Path, target: Path) -> None:
    """Write a briggs.toml from FILE, a configuration of LiteLLM's proxy (config.yaml).

    Models, keys, fallbacks, retries, cool-downs, timeouts and prices are taken over. What Briggs
    cannot express is named on standard error and in the comments of the new file. A key that is
    written in FILE is not copied: Briggs reads keys from the environment.

    It needs `pip install 'briggs[yaml]'`.

    \b
    Examples:
      briggs config import litellm-config.yaml
      briggs config import litellm-config.yaml --to - | less
    """
    from briggs.wires.configs.litellm import convert

    if str(target) != "-" and target.exists():
        raise click.ClickException(
            f"{target} is there already. Move it away, or name another file with --to"
        )
    try:
        converted = convert(_read_yaml(file), environment=os.environ)
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from error
    for note in converted.notes:
        click.echo(f"Not expressed: {one_line(note)}", err=True)
    if str(target) == "-":
        click.echo(converted.toml, nl=False)
        return
    target.write_text(converted.toml, "utf-8")
    click.echo(f"Wrote {target}. `briggs config check {target}` checks it.", err=True)


YAML_BYTES_MAX = 4 * 1024 * 1024


def _read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML file. Raises `ValueError` for one that is not an object."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"YAML needs {error.name}. Install it with: pip install 'briggs[yaml]'"
        ) from error
    if file.stat().st_size > YAML_BYTES_MAX:
        raise ValueError(f"it is larger than {YAML_BYTES_MAX // 1024 // 1024} MB")
    try:
        value = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, RecursionError, UnicodeError, ValueError) as error:
        problem = " ".join(str(error).split())[:200] or "it is nested too deeply"
        raise ValueError(f"it is not YAML: {problem}") from error
    if not isinstance(value, dict):
        raise ValueError("it is not a configuration of LiteLLM")
    return value


def _describe(
    path: Path,
    file: FileSettings,
    problems: Sequence[Located],
    providers: Sequence[Described],
) -> Iterator[str]:
    errors = [problem for problem in problems if problem.is_error]
    for problem in problems:
        yield f"{problem}" if problem.is_error else f"{problem} (a warning)"
    if errors:
        yield f"{path}: {len(errors)} error{'s' * (len(errors) > 1)}"
        return
    yield f"{path}: in order"
    for provider in providers:
        yield f"  provider {provider.name}: {_describe_provider(provider)}"
    for name, model in file.models.items():
        yield f"  model {name}: {_describe_targets(model)}"


def _describe_provider(provider: Described) -> str:
    key = "no key"
    if provider.key_variable is not None:
        key = f"{provider.key_variable}, which is {'set' if provider.has_key else 'not set'}"
        if not provider.has_key and os.environ.get(provider.key_variable):
            key = f"{provider.key_variable}, which is a Briggs key and is not sent"
    return f"{provider.kind} at {provider.base_url}, {key}"


def _describe_targets(model: ModelSettings) -> str:
    from briggs.settings import read_target

    targets = [read_target(target) for target in model.targets]
    if model.strategy == "order":
        return ", then ".join(target.target for target in targets)
    total = sum(target.weight for target in targets)
    return ", ".join(f"{target.target} {target.weight / total:.0%}" for target in targets)


def _encode(
    path: Path,
    file: FileSettings,
    problems: Sequence[Located],
    providers: Sequence[Described],
) -> bytes:
    import msgspec

    from briggs.settings import read_target

    models: dict[str, Any] = {
        name: {
            "strategy": model.strategy,
            "sticky": model.sticky,
            "targets": [read_target(target) for target in model.targets],
        }
        for name, model in file.models.items()
    }
    return msgspec.json.encode(
        {
            "file": str(path),
            "problems": [
                {
                    "line": problem.line,
                    "member": problem.member,
                    "message": problem.message,
                    "severity": "error" if problem.is_error else "warning",
                }
                for problem in problems
            ],
            "providers": [provider._asdict() for provider in providers],
            "models": models,
        }
    )
