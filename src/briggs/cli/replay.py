"""`briggs replay`: ask recorded calls again, and see what differs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.filters import filter_options
from briggs.cli.arguments.options import form_options
from briggs.cli.groups import Command
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address
from briggs.types.any_json import members
from briggs.types.replays import Replay, compare_answers
from briggs.types.texts import printable

if TYPE_CHECKING:
    from briggs.client import AsyncClient, CompletionFilters, StoredCompletion

TAG = "replay"
LIMIT_MAX = 10_000
_NOT_ASKED = ("model", "messages", "stream", "stream_options", "metadata", "store")


@click.command(cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options(status="finished")
@click.option("--target", metavar="MODEL", help="Ask this model.  [default: the recorded one]")
@click.option(
    "--same-seed",
    is_flag=True,
    help="Only calls with a seed, which should get the same answer.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, LIMIT_MAX),
    default=20,
    show_default=True,
    metavar="COUNT",
    help="The most calls that a filter selects, the newest first.",
)
@form_options
@server_options
@click.pass_context
def replay(
    context: click.Context,
    ids: tuple[str, ...],
    filters: CompletionFilters,
    target: str | None,
    same_seed: bool,
    limit: int,
    is_pretty: bool,
    server: Address,
) -> None:
    """Ask recorded chat completions again, and show what differs.

    Name calls by ID, or select them by filters. Each request is sent as it was, not streamed, and
    recorded with the tag `replay` and `replay_of` in its metadata. Text, tokens, probabilities,
    fingerprint and usage are compared. A terminal gets a summary, and a pipe JSON lines.

    The exit status is 0 if all answers are the same, and 1 if any differs.

    \b
    Examples:
      briggs replay 7f3a91c2
      briggs replay --tag nightly --from 7d --limit 50 --target openai/gpt-5-mini
      briggs replay --filter 'model = "local/briggs-tiny"' --same-seed | jq .choices
    """
    if not ids and filters == {"status": "finished"}:
        raise click.UsageError("give IDs, or filters such as --tag and --from")

    from briggs.client import AsyncClient

    async def ask() -> int:
        same = asked = 0
        async with AsyncClient(server.url, server.api_key, timeout_s=600) as client:
            async for completion in _select(client, ids, filters, limit=limit):
                if (reason := _find_reason(completion, same_seed=same_seed)) is not None:
                    click.echo(f"{completion.id} is left out: {reason}.", err=True)
                    continue
                compared = await _ask_again(client, completion, target=target)
                asked += 1
                same += compared.is_same
                _print(compared, is_pretty=is_pretty)
        click.echo(f"{asked} asked again, {same} the same.", err=True)
        return asked - same

    if asyncio.run(ask()):
        context.exit(1)


async def _select(
    client: AsyncClient, ids: tuple[str, ...], filters: CompletionFilters, *, limit: int
) -> Any:
    from briggs.cli.arguments.filters import change
    from briggs.cli.completions import find_completion

    for id in ids:
        yield await find_completion(client, id)
    if ids:
        return
    count = 0
    async for completion in client.completions.iterate(**change(filters, include=["request"])):
        if TAG in completion.briggs.tags:
            continue
        yield completion
        count += 1
        if count == limit:
            return


def _find_reason(completion: StoredCompletion, *, same_seed: bool) -> str | None:
    """Why a call cannot be asked again; None if it can."""
    details = completion.briggs
    request = members(details.request)
    if details.kind != "chat":
        return "it is not a chat completion"
    if details.status != "finished":
        return f"it is {details.status}"
    if not isinstance(request.get("messages"), list):
        return "its request is not on record"
    if details.redacted:
        return "its request was redacted"
    if same_seed and request.get("seed") is None:
        return "it has no seed"
    return None


async def _ask_again(
    client: AsyncClient, completion: StoredCompletion, *, target: str | None
) -> Replay:
    from briggs.types.json import to_builtins

    request = members(completion.briggs.request)
    parameters = {name: value for name, value in request.items() if name not in _NOT_ASKED}
    answer = await client.chat.completions.create(
        model=target or str(request.get("model") or completion.briggs.model),
        messages=request["messages"],
        tags=[TAG],
        metadata={"replay_of": completion.id},
        **parameters,
    )
    return compare_answers(
        to_builtins(completion),
        to_builtins(answer),
        id=completion.id,
        replay_id=answer.id,
    )


def _print(compared: Replay, *, is_pretty: bool) -> None:
    from briggs.types.json import encode

    if not is_pretty:
        print_line(encode(compared))
        return
    from briggs.cli.terminal.replays import print_replay

    print_replay(compared)
    click.echo(f"  {printable(compared.replay_id)}")
