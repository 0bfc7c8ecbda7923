"""The tour of `briggs demo`: makes five real calls, checks them, and shows their record."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import math
import shlex
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.text import Text

from briggs.cli.terminal.columns import CompletionTable
from briggs.cli.terminal.text import format_duration
from briggs.cli.terminal.tokens import colour_tokens, create_legend
from briggs.cli.tour.child import ServerProcess, open_server_process, read_end
from briggs.cli.tour.serving import exit_on_signals, serve_on
from briggs.cli.tour.shell import find_command
from briggs.client import AsyncClient, ClientError, StoredCompletion
from briggs.client.address import data_folder
from briggs.client.sync import Client
from briggs.types.address import DEFAULT_URL
from briggs.types.logprobs import ChatCompletionTokenLogprob
from briggs.types.response import CreateChatCompletionResponse
from briggs.types.texts import message_text, one_line, printable
from briggs.types.tokens import Speller, list_tokens

MODEL = "local/briggs-tiny"
HARD_QUESTION, HARD_ANSWER = "What is 347 + 589?", "936"
"""Three digits are too hard for the built-in model."""
SEED = 1624
"""The year in which Henry Briggs published his tables."""
TOKENS_MAX = 64
ID_HEADER = "x-briggs-completion-id"
_WIDTH_MAX = 100


class TourFailed(Exception):
    """A check of the tour failed. `str()` explains which."""


class TourCall(NamedTuple):
    """One call of the tour: its id and its answer."""

    completion_id: str
    content: str


def run_tour(*, once: bool) -> int:
    """Start a server, show the tour, and keep serving unless `once`. Returns the exit status."""
    console = Console(highlight=False, soft_wrap=True)
    console.width = min(console.width, _WIDTH_MAX)
    console.print("\n[bold]Briggs[/] answers, records and grades LLM chat completions.")
    console.print("[dim]This is real: a server, a model and a record, all on this machine.[/]")
    with exit_on_signals(), open_server_process() as server:
        try:
            _show_tour(console, server, once=once)
        except TourFailed as failure:
            console.print(Text(f"\n✗ {failure}", style="bold red1"))
            console.print(Text(f"The end of its log:\n{read_end(server.log)}", style="dim"))
            return 1
        if once:
            return 0
        return serve_on(console, server)


def _show_tour(console: Console, server: ServerProcess, *, once: bool) -> None:
    console.print(
        f"\n[green3]✓[/] server  {server.url}  [dim]up in {format_duration(server.start_ms)}[/]"
    )
    steps = (_ask_whole, _ask_streamed, _ask_logprobs, _ask_twice)
    with Client(server.url, server.api_key, retries_max=0) as client:
        try:
            asked = [each for step in steps for each in step(console, client)]
        except ClientError as error:
            raise TourFailed(f"a call failed: {error}") from error
    _show_record(console, server, asked)
    _show_lines(console, server, once=once)


def _ask_whole(console: Console, client: Client) -> list[TourCall]:
    question = "What is 17 + 25?"
    _title(console, 1, "Ask", "like any OpenAI client", question)
    start = time.monotonic()
    asked, answer = _create(client, question, temperature=0)
    duration_ms = (time.monotonic() - start) * 1000
    console.print(Text(f"   {_shown(asked.content)}"))
    usage = answer.usage
    if not usage:
        raise TourFailed("the answer has no token counts")
    _note(
        console,
        f"{usage.prompt_tokens} tokens in, {usage.completion_tokens} out",
        format_duration(duration_ms),
        f"finish_reason {answer.choices[0].finish_reason}",
    )
    return [asked]


def _ask_streamed(console: Console, client: Client) -> list[TourCall]:
    question = "What is Briggs?"
    _title(console, 2, "Stream", "each piece as soon as it is ready", question)
    start = time.monotonic()
    pieces: list[str] = []
    first_ms, reason = 0.0, None
    console.print("   ", end="")
    with client.chat.completions.create(
        **_question(question), temperature=0, stream=True
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                reason = choice.finish_reason or reason
                text = choice.delta.content
                if isinstance(text, str) and text:
                    first_ms = first_ms or (time.monotonic() - start) * 1000
                    pieces.append(text)
                    console.print(Text(_shown(text)), end="")
    console.print()
    _check(bool(pieces), "the stream has no text")
    _check(reason is not None, "the stream has no finish_reason")
    _note(
        console,
        f"{len(pieces)} pieces",
        f"first after {format_duration(first_ms)}",
        f"finish_reason {reason}",
    )
    return [TourCall(stream.completion_id or "", "".join(pieces))]


def _ask_logprobs(console: Console, client: Client) -> list[TourCall]:
    question = HARD_QUESTION
    _title(console, 3, "Doubt", "how sure the model was of each token (logprobs)", question)
    asked, answer = _create(client, question, temperature=0, logprobs=True, top_logprobs=3)
    logprobs = answer.choices[0].logprobs
    tokens = (logprobs.content if logprobs else None) or []
    pieces = list(Speller().spell(list_tokens(msgspec.to_builtins(answer.choices[0]))))
    spelled = "".join(piece.text for piece in pieces)
    _check(spelled == asked.content, "the tokens do not spell the answer")
    _check(all(token.logprob <= 0 for token in tokens), "a logprob is above 0")
    console.print(Text("   ").append_text(colour_tokens(pieces)))
    console.print(Text("   ").append_text(create_legend()))
    _show_doubt(console, tokens)
    if HARD_ANSWER not in asked.content:
        console.print(
            f"   [dim]  (The answer is {HARD_ANSWER}. A small model makes mistakes, and its "
            "logprobs show its doubt.)[/]"
        )
    return [asked]


def _ask_twice(console: Console, client: Client) -> list[TourCall]:
    question = HARD_QUESTION
    _title(console, 4, "Repeat", f"temperature 1, seed {SEED}, twice", question)
    asked = []
    for _ in range(2):
        asked.append(_create(client, question, temperature=1, seed=SEED)[0])
        console.print(Text(f"   {_shown(asked[-1].content)}"))
    _check(asked[0].content == asked[1].content, "one seed gave two different answers")
    _note(console, "the same seed, the same answer")
    return asked


def _question(question: str) -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": question}],
        "max_completion_tokens": TOKENS_MAX,
    }


def _create(
    client: Client, question: str, **parameters: Any
) -> tuple[TourCall, CreateChatCompletionResponse]:
    """Make a call, and read its id from the response header."""
    raw = client.with_raw_response(
        lambda: client.chat.completions.create(**_question(question), **parameters)
    )
    answer = raw.value
    content = answer.choices[0].message.content
    if not content:
        raise TourFailed("the answer is empty")
    return TourCall(raw.replies[-1].headers[ID_HEADER], content), answer


def _show_record(console: Console, server: ServerProcess, asked: list[TourCall]) -> None:
    """Show the recorded calls, and check that they are exactly those of the tour."""
    items = asyncio.run(_list_record(server))
    recorded = [TourCall(item.id, _content(item)) for item in items]
    _check(recorded == asked, "the record differs from the calls and answers")
    _check(all(item.briggs.status == "finished" for item in items), "a call is not finished")
    console.print("\n[bold]Recorded[/]  [dim]each was on disk before its caller saw the end[/]")
    table = CompletionTable(width=console.width)
    for item in items:
        table.add(item)
    console.print(table.table, soft_wrap=False)


async def _list_record(server: ServerProcess) -> list[StoredCompletion]:
    async with AsyncClient(server.url, server.api_key) as client:
        page = await client.completions.list(
            status="any", order="asc", limit=100, include=["request"]
        )
    return page.data


def _show_lines(console: Console, server: ServerProcess, *, once: bool) -> None:
    """Print commands that do the same, on this server or on one that the user starts."""
    briggs, python = find_command("briggs"), find_command("python")
    url, data = (DEFAULT_URL, data_folder()) if once else (server.url, server.data)
    where = f"after `{briggs} serve`" if once else "in another terminal"
    lines = [
        f"export OPENAI_BASE_URL={url}/v1",
        f"export OPENAI_API_KEY=$(cat {_quote_path(data / 'admin.key')})",
        "curl $OPENAI_BASE_URL/chat/completions -H 'Content-Type: application/json' \\",
        '  -H "Authorization: Bearer $OPENAI_API_KEY" \\',
        f"""  -d '{{"model": "{MODEL}",""",
        """       "messages": [{"role": "user", "content": "What is 17 + 25?"}]}'""",
        f"{python} -c '",
        *_create_program(url),
        f"{briggs} completions list" + ("" if once else f" --data {_quote_path(data)}"),
    ]
    console.print(f"\n[bold]Do it yourself[/]  [dim]{where}[/]")
    for line in lines:
        console.print(Text(line, style="cyan"))


def _create_program(url: str) -> list[str]:
    """A program that makes a call, with the `openai` package if installed, or with ours."""
    if importlib.util.find_spec("openai") is not None:
        opening = ["from openai import OpenAI", "client = OpenAI()"]
    else:
        opening = [
            "import os",
            "from briggs import Client",
            f'client = Client("{url}", os.environ["OPENAI_API_KEY"])',
        ]
    return [
        *opening,
        f"""answer = client.chat.completions.create(model="{MODEL}",""",
        """    messages=[{"role": "user", "content": "What is Briggs?"}])""",
        "print(answer.choices[0].message.content)'",
    ]


def _quote_path(path: Path) -> str:
    """A path in shell quoting, with the home folder as `~`."""
    with contextlib.suppress(ValueError):
        return "~/" + shlex.quote(str(path.relative_to(Path.home())))
    return shlex.quote(str(path))


def _title(console: Console, number: int, name: str, what: str, question: str) -> None:
    console.print(f"\n[bold]{number}  {name}[/]  [dim]{what}[/]")
    console.print(f"   [cyan]›[/] {question}")


def _note(console: Console, *facts: str) -> None:
    console.print(f"   [green3]✓[/] [dim]{' · '.join(facts)}[/]")


def _show_doubt(console: Console, tokens: list[ChatCompletionTokenLogprob]) -> None:
    """Show the token that the model was least sure of, and its alternatives."""
    doubted = min(tokens, key=lambda token: token.logprob)
    likely = sorted(doubted.top_logprobs, key=lambda token: -token.logprob)
    pieces = [
        f"{one_line(repr(each.token))} {100 * math.exp(each.logprob):.1f} %" for each in likely
    ]
    _note(console, f"least sure of {one_line(repr(doubted.token))}: {', '.join(pieces)}")


def _content(item: StoredCompletion) -> str:
    return message_text(item.choices[0].get("message")) if item.choices else ""


def _shown(text: str) -> str:
    return printable(text).replace("\n", "\n   ")


def _check(fact: bool, failure: str) -> None:
    if not fact:
        raise TourFailed(failure)
