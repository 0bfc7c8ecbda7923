"""`briggs check`: does an endpoint answer as the specification says?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.address import find_server
from briggs.cli.chat import DEFAULT_MODEL
from briggs.cli.groups import Command
from briggs.types.address import Address
from briggs.types.texts import printable

if TYPE_CHECKING:
    from briggs.checker import CheckReport, Probe
    from briggs.checker.endpoint import Api


class NothingToCheck(click.ClickException):
    """Nothing answers, or it does not answer us."""

    exit_code = 2


@click.command(cls=Command)
@click.argument("url", required=False)
@click.option(
    "--model",
    envvar="BRIGGS_MODEL",
    metavar="MODEL",
    help=f"The model to check.  [env: BRIGGS_MODEL; default without URL: {DEFAULT_MODEL}]",
)
@click.option(
    "--key-variable",
    metavar="NAME",
    help="The environment variable that holds the key.  [default without URL: BRIGGS_API_KEY, "
    "then the key in the server's data folder]",
)
@click.option(
    "--api",
    type=click.Choice(
        ["chat", "responses", "messages", "completions", "embeddings", "moderations"]
    ),
    default="chat",
    show_default=True,
    help="What to check: /chat/completions, or the API at the path of this name.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="PROBE",
    help="Run only this probe; repeatable. See docs/check.md.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="The longest that one probe may take.",
)
@click.option(
    "--total-timeout",
    "total_timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="The longest that all probes together may take. The rest is not run.",
)
@click.option("--strict", is_flag=True, help="Fail on warnings, and on probes that were not run.")
@click.option(
    "--file",
    "kept",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Check an answer from a file: JSON, or the events of a stream. - is standard input.",
)
@click.option(
    "--request",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="The request that belongs to --file. Without it, fewer rules apply.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with every finding.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a page of Markdown.")
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    metavar="FILE",
    help="Write JUnit XML to this file. - is standard output, instead of anything else.",
)
@click.pass_context
def check(
    context: click.Context,
    url: str | None,
    model: str | None,
    key_variable: str | None,
    api: Api,
    only: tuple[str, ...],
    timeout_s: float,
    total_timeout_s: float,
    strict: bool,
    kept: str | None,
    request: str | None,
    as_json: bool,
    as_markdown: bool,
    junit: str | None,
) -> None:
    """Check whether the server at URL follows the specification of chat completions.

    URL ends in /v1. Without it, the Briggs on this machine is checked. Probes ask for choices,
    logprobs, tools and JSON, whole and streamed, and send requests that should be refused. Each
    answer is checked against the rules. Findings are grouped by cause, with the clients that
    each breaks, what Briggs mends, and what to set on the server. --api checks another API.

    The exit status is 0 if no rule is broken, 1 if one is, and 2 if nothing could be checked.

    \b
    Examples:
      briggs check
      briggs check https://api.openai.com/v1 --model gpt-5-mini --key-variable OPENAI_API_KEY
      briggs check http://127.0.0.1:8080/v1 --model qwen --only tools-auto --junit check.xml
      briggs check http://127.0.0.1:11434/v1 --model qwen3 --api responses
      briggs check https://api.anthropic.com/v1 --model claude-sonnet-4-5 --api messages \
        --key-variable ANTHROPIC_API_KEY
      briggs check --file response.json --request request.json
    """
    if kept is not None:
        report = _judge_file(kept, request)
    elif request is not None:
        raise click.UsageError(
            "--request belongs to --file: an endpoint is sent the probes' own requests"
        )
    else:
        from briggs.checker import SUITES

        server = _find_endpoint(url, key_variable)
        model = model or (None if url else DEFAULT_MODEL)
        probes = SUITES[api]
        with _explain(key_variable):
            report = asyncio.run(
                _ask(
                    server,
                    model=model,
                    probes=_choose_probes(probes, only),
                    greeting=probes[0],
                    timeout_s=timeout_s,
                    total_timeout_s=total_timeout_s,
                )
            )
    _write(report, as_json=as_json, as_markdown=as_markdown, junit=junit)
    context.exit(1 if report.has_failed(strict=strict) else 0)


def _judge_file(kept: str, request: str | None) -> CheckReport:
    from briggs.checker import CheckReport, judge_file

    asked = None if request is None else _read_file(request)
    result = judge_file(kept, _read_file(kept), request=asked)
    return CheckReport(subject=kept, results=[result])


def _read_file(name: str) -> bytes:
    from briggs.rules import BYTES_MAX

    with click.open_file(name, "rb") as file:
        body: bytes = file.read(BYTES_MAX + 1)
    if len(body) > BYTES_MAX:
        raise click.UsageError(f"{name} is too large: at most {BYTES_MAX} bytes are checked")
    return body


def _find_endpoint(url: str | None, key_variable: str | None) -> Address:
    """The URL up to `/v1`, and the key. The key of our own server is sent nowhere else."""
    if url is not None and any(mark in url for mark in "@?"):
        raise click.UsageError(
            "URL must not have a name, a password or a query: pass the key with --key-variable"
        )
    variables = os.environ
    ours = find_server(
        url=variables.get("BRIGGS_URL"), api_key=variables.get("BRIGGS_API_KEY"), data=None
    )
    there = ours if url is None else find_server(url=url, api_key="", data=None)
    key = ours.api_key if there.url == ours.url else None
    if key_variable is not None:
        key = variables.get(key_variable)
        if not key:
            raise click.UsageError(f"the environment variable {key_variable} is not set")
    # The base URLs of some vendors do not end in /v1.
    return Address(url or f"{ours.url}/v1", key)


def _choose_probes(probes: Sequence[Probe], only: tuple[str, ...]) -> list[Probe]:
    names = [probe.name for probe in probes]
    if unknown := [name for name in only if name not in names]:
        raise click.UsageError(f"there is no probe {unknown[0]}: choose from {', '.join(names)}")
    return [probe for probe in probes if probe.name in (only or names)]


async def _ask(
    server: Address,
    *,
    model: str | None,
    probes: list[Probe],
    greeting: Probe,
    timeout_s: float,
    total_timeout_s: float,
) -> CheckReport:
    from briggs.checker import CheckReport, Endpoint, check_endpoint

    results = []
    async with Endpoint(
        server.url, model=model, key=server.api_key, timeout_s=timeout_s
    ) as endpoint:
        with _show_progress(len(probes)) as advance:
            async for result in check_endpoint(
                endpoint, probes=probes, greeting=greeting, timeout_s=total_timeout_s
            ):
                results.append(result)
                advance(result.probe)
    return CheckReport(
        subject=endpoint.base_url, model=endpoint.model, server=endpoint.server, results=results
    )


@contextmanager
def _explain(key_variable: str | None) -> Iterator[None]:
    """Shows what stops a check before its first probe as one line."""
    from briggs.checker import CannotCheck, KeyRefused

    try:
        yield
    except KeyRefused as error:
        hint = f"check {key_variable}" if key_variable else "pass its key with --key-variable NAME"
        raise NothingToCheck(printable(f"{error}: {hint}")) from error
    except CannotCheck as error:
        raise NothingToCheck(printable(str(error))) from error


@contextmanager
def _show_progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda probe: progress.update(task, advance=1, description=probe)


def _write(report: CheckReport, *, as_json: bool, as_markdown: bool, junit: str | None) -> None:
    from briggs.checker import write_json, write_junit, write_markdown
    from briggs.cli.terminal.verdicts import print_report

    if junit == "-":
        click.echo(write_junit(report), nl=False)
        return
    if junit is not None:
        Path(junit).write_text(write_junit(report), "utf-8")
    if as_json:
        click.echo(write_json(report))
    elif as_markdown:
        click.echo(write_markdown(report), nl=False)
    else:
        print_report(report)
