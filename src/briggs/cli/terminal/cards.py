"""Shows one completion as cards: its messages, its answer and its details."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from briggs.cli.terminal.columns import STATUS_MARKS, find_mark
from briggs.cli.terminal.mended import describe_fixes, describe_rule
from briggs.cli.terminal.text import (
    format_age,
    format_cost,
    format_duration,
    format_time,
    list_choices,
    read_request,
)
from briggs.cli.terminal.tokens import (
    colour_tokens,
    create_legend,
    create_token_table,
)
from briggs.client import Feedback, LoggedCompletion, StoredCompletion
from briggs.client.completions import CompletionDetails
from briggs.types.any_json import list_objects, members
from briggs.types.completions import Attempt
from briggs.types.texts import content_text, one_line, printable, read_called, read_message
from briggs.types.tokens import Speller, list_tokens
from briggs.types.values import format_value, list_values

ROLE_STYLES = {"user": "cyan", "assistant": "green3", "tool": "magenta"}
_SHOWN = ("model", "messages", "tools", "metadata", "stream", "stream_options", "logprobs")
"""Members of a request that are shown elsewhere, or that a reader does not need."""


def print_completion(
    item: StoredCompletion, *, logprobs: bool, feedback: Sequence[Feedback] = ()
) -> None:
    """Print a whole record. With `logprobs`, also the tokens and their probabilities."""
    console = Console(highlight=False)
    coloured = console.color_system is not None and not console.no_color
    console.print(Group(*_parts(item, logprobs=logprobs, coloured=coloured)))
    for each in feedback:
        console.print(_feedback_card(each))


def print_exchange(
    item: LoggedCompletion, *, hide_model: bool, known_tags: Collection[str], logprobs: bool
) -> None:
    """What a reviewer needs: one line about the call, the messages and the answer."""
    console = Console(highlight=False)
    coloured = console.color_system is not None and not console.no_color
    request, response = members(item.request), members(item.response)
    model = "" if hide_model else response.get("model") or request.get("model") or ""
    about = [
        str(model),
        format_time((item.created_at_ms or 0) / 1000, now=time.time()),
        ", ".join(tag for tag in item.tags if tag not in known_tags),
        f"id {item.id[-8:]}",
    ]
    console.print(Text(printable(" · ".join(each for each in about if each)), style="dim"))
    choices = list_objects(response.get("choices"))
    console.print(Group(*_exchange(request, choices, logprobs=logprobs, coloured=coloured)))


def _parts(item: StoredCompletion, *, logprobs: bool, coloured: bool) -> Iterator[RenderableType]:
    yield _headline(item)
    yield from _facts(item)
    request = read_request(item.briggs.request)
    yield from _exchange(request, list_choices(item), logprobs=logprobs, coloured=coloured)
    if item.briggs.status == "failed":
        yield _failure_card(item)
    yield _amounts(item)


def _exchange(
    request: dict[str, Any], choices: Sequence[dict[str, Any]], *, logprobs: bool, coloured: bool
) -> Iterator[RenderableType]:
    """The messages, the tools and the answer."""
    for message in request.get("messages") or ():
        yield _message_card(message)
    if tools := _tool_names(request):
        yield Text(f"tools  {printable(', '.join(tools))}", style="dim")
    for choice in choices:
        yield _choice_card(choice, several=len(choices) > 1, logprobs=logprobs)
    if logprobs:
        tokens = [token for choice in choices for token in list_tokens(choice)]
        if tokens:
            if coloured:
                yield create_legend()
            yield create_token_table(tokens)
        else:
            yield Text("no logprobs were recorded", style="dim")


def _headline(item: StoredCompletion) -> Text:
    details = item.briggs
    mark, style = STATUS_MARKS[find_mark(item)]
    try:
        moment = f"{datetime.fromtimestamp(details.created_at).astimezone():%Y-%m-%d %H:%M:%S %z}"
    except (OverflowError, ValueError, OSError):
        moment = "?"
    age = format_age(time.time() - details.created_at)
    return Text.assemble(
        (f"{mark} {details.status}", f"bold {style}"),
        "  ",
        (printable(details.model or item.model or ""), "bold"),
        (f"  {moment}, {age}", "dim"),
        *_leaving(item),
    )


def _leaving(item: StoredCompletion) -> list[tuple[str, str]]:
    left_ms = item.briggs.caller_left_ms
    return [] if left_ms is None else [(f"  caller left after {format_duration(left_ms)}", "gold3")]


def _facts(item: StoredCompletion) -> Iterator[RenderableType]:
    details = item.briggs
    request = read_request(details.request)
    parameters = {name: value for name, value in request.items() if name not in _SHOWN}
    facts = {
        "id": item.id,
        "answered by": _answered_by(item),
        "upstream's id": details.response_id,
        "session": details.session_id,
        "end user": details.user,
        "retry of": details.retry_of,
        "tags": ", ".join(details.tags),
        "metadata": _pairs(item.metadata or {}),
        "parameters": _pairs(parameters),
        "left out": ", ".join(details.dropped),
    }
    for name, value in facts.items():
        if value:
            yield from _fact(name, [value])
    yield from _fact("mended", describe_fixes(item))
    if details.violates:
        rules = map(describe_rule, details.violates)
        yield from _fact("broken rules", [", ".join(details.violates), *rules])
    if len(details.attempts) > 1 or any(attempt.reason for attempt in details.attempts):
        yield from _fact("attempts", map(_describe_attempt, details.attempts))


def _fact(name: str, values: Iterable[str]) -> Iterator[RenderableType]:
    """A name, and next to it a line for each value. Folded lines are indented."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=13, style="dim")
    grid.add_column(overflow="fold")
    for number, value in enumerate(values):
        grid.add_row("" if number else name, Text(printable(value)))
    if grid.rows:
        yield grid


def _describe_attempt(attempt: Attempt) -> str:
    status = f"answered {attempt.status}" if attempt.status else "no answer"
    said = [attempt.target, status, format_duration(attempt.duration_ms)]
    return " · ".join([*said, f"failed: {attempt.reason}"] if attempt.reason else said)


def _feedback_card(feedback: Feedback) -> Panel:
    body = Text("\n").join(
        Text.assemble((f"{name}  ", "dim"), format_value(value))
        for name, value in (
            *list_values(feedback.json_values),
            ("comment", feedback.comment),
            ("should be", feedback.corrected_output),
        )
        if value not in (None, "", UNSET)
    )
    given = format_time((feedback.created_at_ms or 0) / 1000, now=time.time())
    title = f"feedback · {feedback.task_name} · {feedback.reviewer or 'unknown'} · {given}"
    return _card(body, title=one_line(title), style="gold3")


def _answered_by(item: StoredCompletion) -> str:
    """`openai, as gpt-5-2025-08-07`; the model alone if a program logged the call."""
    details = item.briggs
    served = details.response_model
    if details.provider and served:
        return f"{details.provider}, as {served}"
    return details.provider or served or ""


def _pairs(values: dict[str, Any]) -> str:
    return "  ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
    )


def _message_card(message: Any) -> Panel:
    if not isinstance(message, dict):
        return _card(Text(printable(str(message))), title="message", style="red1")
    role = str(message.get("role", "message"))
    name = message.get("name") or message.get("tool_call_id")
    title = f"{role} · {name}" if name else role
    return _card(message_body(message), title=title, style=ROLE_STYLES.get(role, "dim"))


def _choice_card(choice: dict[str, Any], *, several: bool, logprobs: bool) -> Panel:
    message = read_message(choice)
    title = "assistant" + (f" {choice.get('index')}" if several else "")
    if reason := choice.get("finish_reason"):
        title += f" · {reason}"
    tokens = list_tokens(choice) if logprobs else []
    body = colour_tokens(Speller().spell(tokens)) if tokens else message_body(message)
    return _card(body, title=title, style="green3")


def message_body(message: dict[str, Any]) -> Text:
    """A message's reasoning, its content, and its tool calls."""
    body = Text()
    if reasoning := message.get("reasoning_content") or message.get("reasoning"):
        body.append(printable(str(reasoning)).rstrip() + "\n\n", style="dim italic")
    body.append(printable(content_text(message.get("content"))))
    if refusal := message.get("refusal"):
        body.append(printable(str(refusal)), style="italic")
    for call in list_objects(message.get("tool_calls")):
        _append_call(body, call)
    return body


def _append_call(body: Text, call: dict[str, Any]) -> None:
    called = read_called(call)
    arguments = str(called.get("arguments", called.get("input", "")))
    # A model may write invalid JSON. It is then shown unchanged.
    with contextlib.suppress(ValueError):
        arguments = json.dumps(json.loads(arguments), indent=2, ensure_ascii=False)
    if body:
        body.append("\n")
    body.append(f"→ {printable(str(called.get('name')))} ", style="magenta")
    body.append(printable(arguments))


def _failure_card(item: StoredCompletion) -> Panel:
    details = item.briggs
    title = details.failure_kind or "failed"
    if details.http_status:
        title += f" · answered {details.http_status}"
    reason = details.failure_reason or "no reason was recorded"
    return _card(Text(printable(reason)), title=title, style="red1")


def _amounts(item: StoredCompletion) -> Text:
    details = item.briggs
    amounts = [
        _tokens("tokens in", details.prompt_tokens, cached=details.cached_tokens),
        _tokens("out", details.completion_tokens, reasoning=details.reasoning_tokens),
        format_duration(details.duration_ms),
        f"first token after {format_duration(details.first_token_ms)}"
        if details.first_token_ms is not None
        else "",
        _cost(details),
        "tokens and cost are estimates" if details.usage_source == "estimated" else "",
        f"retry {details.retry_count} of the caller" if details.retry_count else "",
        "streamed" if details.stream else "",
    ]
    return Text(" · ".join(amount for amount in amounts if amount), style="dim")


def _cost(details: CompletionDetails) -> str:
    cost = format_cost(details.cost_usd)
    return f"{cost} ({details.price_source})" if cost and details.price_source else cost


def _tokens(name: str, count: int | None, **parts: int | None) -> str:
    if count is None:
        return ""
    known = ", ".join(f"{part} {word}" for word, part in parts.items() if part)
    return f"{count} {name}" + (f" ({known})" if known else "")


def _tool_names(request: dict[str, Any]) -> list[str]:
    return [str(read_called(tool).get("name")) for tool in list_objects(request.get("tools"))]


def _card(body: RenderableType, *, title: str, style: str) -> Panel:
    return Panel(
        body, title=Text(printable(title)), title_align="left", border_style=style, padding=(0, 1)
    )
