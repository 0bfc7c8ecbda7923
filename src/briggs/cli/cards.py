"""One completion as cards: what was asked, what was answered, and what is known of it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from briggs.cli.columns import STATUS_MARKS, find_mark
from briggs.cli.text import (
    content_text,
    format_age,
    format_cost,
    format_duration,
    list_choices,
    list_objects,
    printable,
    read_called,
    read_message,
)
from briggs.cli.tokens import Speller, choice_tokens, colour_tokens, create_legend
from briggs.client import StoredCompletion
from briggs.client.completions import CompletionDetails
from briggs.providers.recorded_request import read_request

_ROLE_STYLES = {"user": "cyan", "assistant": "green3", "tool": "magenta"}
_SHOWN = ("model", "messages", "tools", "metadata", "stream", "stream_options", "logprobs")
"""Members of a request that have a place of their own, or say nothing to a reader."""


def print_completion(item: StoredCompletion, *, logprobs: bool) -> None:
    """The whole record on a terminal; with `logprobs`, the answer's tokens in colours."""
    console = Console(highlight=False)
    console.print(Group(*_parts(item, logprobs=logprobs)))


def _parts(item: StoredCompletion, *, logprobs: bool) -> Iterator[RenderableType]:
    yield _headline(item)
    yield from _facts(item)
    request = read_request(item.briggs.request)
    for message in request.get("messages") or ():
        yield _message_card(message)
    if tools := _tool_names(request):
        yield Text(f"tools  {printable(', '.join(tools))}", style="dim")
    for choice in list_choices(item):
        yield _choice_card(choice, several=len(item.choices) > 1, logprobs=logprobs)
    if logprobs:
        coloured = any(choice_tokens(choice) for choice in item.choices)
        yield create_legend() if coloured else Text("no logprobs were recorded", style="dim")
    if item.briggs.status == "failed":
        yield _failure_card(item)
    yield _amounts(item)


def _headline(item: StoredCompletion) -> Text:
    details = item.briggs
    mark, style = STATUS_MARKS[find_mark(item)]
    moment = datetime.fromtimestamp(details.created_at).astimezone()
    age = format_age(time.time() - details.created_at)
    return Text.assemble(
        (f"{mark} {details.status}", f"bold {style}"),
        "  ",
        (printable(details.model or item.model or ""), "bold"),
        (f"  {moment:%Y-%m-%d %H:%M:%S %z}, {age}", "dim"),
        *_leaving(item),
    )


def _leaving(item: StoredCompletion) -> list[tuple[str, str]]:
    left_ms = item.briggs.caller_left_ms
    return [] if left_ms is None else [(f"  caller left after {format_duration(left_ms)}", "gold3")]


def _facts(item: StoredCompletion) -> Iterator[Text]:
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
        "breaks": ", ".join(details.violates),
        "tags": ", ".join(details.tags),
        "metadata": _pairs(item.metadata or {}),
        "parameters": _pairs(parameters),
    }
    for name, value in facts.items():
        if value:
            yield Text.assemble((f"{name:<14}", "dim"), printable(value))


def _answered_by(item: StoredCompletion) -> str:
    details = item.briggs
    served = details.response_model
    named = f"{details.provider}, as {served}" if served else details.provider
    return named or ""


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
    return _card(_message_body(message), title=title, style=_ROLE_STYLES.get(role, "dim"))


def _choice_card(choice: dict[str, Any], *, several: bool, logprobs: bool) -> Panel:
    message = read_message(choice)
    title = "assistant" + (f" {choice.get('index')}" if several else "")
    if reason := choice.get("finish_reason"):
        title += f" · {reason}"
    tokens = choice_tokens(choice) if logprobs else []
    body = colour_tokens(Speller().spell(tokens)) if tokens else _message_body(message)
    return _card(body, title=title, style="green3")


def _message_body(message: dict[str, Any]) -> Text:
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
    # What a model writes need not be JSON, and is then shown as it is.
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
    reason = details.failure_reason or "no reason is on record"
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
        f"{len(details.attempts)} attempts" if len(details.attempts) > 1 else "",
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
