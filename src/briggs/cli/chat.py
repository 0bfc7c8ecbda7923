"""`briggs chat`: ask a model, once or in conversation."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from typing import Any, NamedTuple

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.groups import Command
from briggs.types.address import Address

DEFAULT_MODEL = "local/briggs-tiny"


class Question(NamedTuple):
    """The options that all calls of one `briggs chat` share."""

    model: str
    parameters: dict[str, Any]
    tags: tuple[str, ...]
    session_id: str | None


@click.command(cls=Command)
@click.argument("prompt", required=False)
@click.option(
    "--model",
    envvar="BRIGGS_MODEL",
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="MODEL",
    help="The model: provider/model, or a name from `briggs models`.  [env: BRIGGS_MODEL]",
)
@click.option("--system", metavar="TEXT", help="The system message.")
@click.option(
    "--logprobs", is_flag=True, help="Colour each token by its probability, with a legend."
)
@click.option("--seed", type=int, metavar="NUMBER", help="The same seed requests the same answer.")
@click.option(
    "--temperature",
    type=click.FloatRange(0, 2),
    metavar="0..2",
    help="0 always picks the likeliest token. Higher values vary more.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    metavar="TOKENS",
    help="The maximum length of the answer.",
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag to record. Repeatable.")
@click.option(
    "--session",
    "session_id",
    metavar="ID",
    help="The session to record.  [default: a new one for a conversation]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the raw chunks, one JSON line each.")
@server_options
def chat(
    prompt: str | None,
    model: str,
    system: str | None,
    logprobs: bool,
    seed: int | None,
    temperature: float | None,
    max_tokens: int | None,
    tags: tuple[str, ...],
    session_id: str | None,
    as_json: bool,
    server: Address,
) -> None:
    """Send PROMPT to a model, and show the answer as it arrives.

    Without PROMPT, a terminal starts a conversation. /exit or Ctrl-D ends it, and Ctrl-C
    stops an answer. Without PROMPT in a pipe, standard input is the prompt. Every call is
    recorded: see `briggs completions list`.

    \b
    Examples:
      briggs chat "What is 17 + 25?" --logprobs
      briggs chat --model openai/gpt-5 --system "Answer in French."
      git diff | briggs chat --model fast --system "Write a commit message." --tag commits
    """
    parameters: dict[str, Any] = {
        "seed": seed,
        "temperature": temperature,
        "max_completion_tokens": max_tokens,
        "logprobs": True if logprobs else None,
        "stream_options": {"include_usage": True},
    }
    question = Question(
        model=model,
        parameters={name: value for name, value in parameters.items() if value is not None},
        tags=tags,
        session_id=session_id,
    )
    messages = [{"role": "system", "content": system}] if system else []
    if prompt is None and sys.stdin.isatty():
        _converse(question, messages, server=server, as_json=as_json)
        return
    if prompt is None:
        prompt = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    if not prompt:
        raise click.UsageError("the prompt is empty: write one as PROMPT or on standard input")
    messages.append({"role": "user", "content": prompt})
    asyncio.run(_ask(question, messages, server=server, as_json=as_json))


def _converse(
    question: Question, messages: list[dict[str, str]], *, server: Address, as_json: bool
) -> None:
    """Ask and answer until the user ends it. A failed turn is left out of the conversation."""
    import uuid

    from briggs.client import ClientError

    # Importing `readline`, if available, gives `input` line editing and history.
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")
    question = question._replace(session_id=question.session_id or str(uuid.uuid4()))
    click.secho(f"{question.model} · end with /exit or Ctrl-D", dim=True, err=True)
    while (prompt := _read_prompt()) is not None:
        asked = [*messages, {"role": "user", "content": prompt}]
        try:
            answer = asyncio.run(_ask(question, asked, server=server, as_json=as_json))
        except KeyboardInterrupt:
            click.secho("\n(stopped)", dim=True, err=True)
        except ClientError as error:
            click.secho(f"Error: {error}", fg="red", err=True)
        else:
            messages = [*asked, {"role": "assistant", "content": answer}]


def _read_prompt() -> str | None:
    """Read the next prompt. None at the end of the conversation."""
    while True:
        try:
            prompt = input("\n› ").strip()
        except (EOFError, KeyboardInterrupt):
            click.echo(err=True)
            return None
        if prompt in ("/exit", "/quit"):
            return None
        if prompt:
            return prompt


async def _ask(
    question: Question, messages: list[dict[str, str]], *, server: Address, as_json: bool
) -> str:
    """Make one call, show its answer as it arrives, and return its text."""
    from briggs.cli.terminal.answers import open_answer
    from briggs.client import AsyncClient, ClientError

    # The client does not retry, because the server has retries of its own.
    async with AsyncClient(server.url, server.api_key, retries_max=0) as client:
        stream = await client.chat.completions.create(
            model=question.model,
            messages=messages,
            stream=True,
            tags=question.tags,
            session_id=question.session_id,
            **question.parameters,
        )
        answer = open_answer(as_json=as_json, logprobs="logprobs" in question.parameters)
        async with stream:
            async for chunk in stream:
                answer.show(chunk)
        details = None
        if stream.completion_id and sys.stdout.isatty() and not as_json:
            # The record has the server's times. A key without the scope `read` just goes
            # without them.
            with contextlib.suppress(ClientError):
                details = (await client.completions.retrieve(stream.completion_id)).briggs
        answer.end(stream.completion_id, details)
        return answer.text
