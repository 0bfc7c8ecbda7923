"""Shows a session as a conversation: each call in order, with only its new messages."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from briggs.cli.terminal.cards import ROLE_STYLES, message_body
from briggs.cli.terminal.columns import (
    RETRY_MARK,
    STATUS_MARKS,
    count_retries,
    failure_text,
    find_mark,
)
from briggs.cli.terminal.text import (
    content_text,
    format_cost,
    format_costs,
    format_count,
    format_duration,
    format_time,
    list_choices,
    list_messages,
    list_objects,
    one_line,
    printable,
    read_called,
    read_message,
)
from briggs.client import Session, StoredCompletion


class Conversation:
    """Shows calls one after the other. Each message is shown once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._calls = 0
        self._said: set[int] = set()
        """The keys of all messages and answers so far."""
        self._answers: set[int] = set()
        self._histories: set[int] = set()
        """Every prefix of every request so far, as a hash of its messages' keys."""
        self._tools: dict[str, str] = {}

    def show_head(self, session: Session) -> None:
        """Show the session's id and totals."""
        totals = session.totals
        begin = format_time(session.created_at, now=time.time())
        amounts = [
            f"{totals.completions:,} calls",
            f"{totals.failed:,} failed" if totals.failed else "",
            f"{format_count(totals.prompt_tokens)} tokens in, "
            f"{format_count(totals.completion_tokens)} out",
            f"~{format_count(totals.estimated_tokens)} tokens estimated"
            if totals.estimated_tokens
            else "",
            format_costs(totals.cost_usd, totals.estimated_cost_usd),
            f"{format_duration(totals.duration_ms)} in all" if totals.duration_ms else "",
            f"began {begin}",
        ]
        self._console.print(Text.assemble("session ", (printable(session.id), "bold")))
        self._print_dim(" · ".join(amount for amount in amounts if amount))

    def show(self, item: StoredCompletion) -> None:
        """Show one call: its new messages and its answer."""
        self._calls += 1
        self._console.print()
        self._console.print(self._headline(item), soft_wrap=True)
        messages = list_messages(item.briggs.request)
        new = self._take_new(messages)
        if messages and not new:
            self._print_dim("  the same messages again")
        for message in new:
            self._show_message(message)
        for choice in list_choices(item):
            answer = {"role": "assistant", **read_message(choice)}
            self._remember_answer(answer)
            reason = choice.get("finish_reason")
            cut = f" · cut off: {reason}" if reason in ("length", "content_filter") else ""
            several = f" {choice.get('index')}" if len(item.choices) > 1 else ""
            self._show_message(answer, title=f"assistant{several}{cut}")
        if item.briggs.status == "failed":
            title = f"failed · {item.briggs.failure_kind or 'for an unknown reason'}"
            self._print_part(title, "red1", Text(printable(failure_text(item))))

    def _headline(self, item: StoredCompletion) -> Text:
        details = item.briggs
        mark, style = STATUS_MARKS[find_mark(item)]
        tokens = f"{format_count(details.prompt_tokens)}→{format_count(details.completion_tokens)}"
        cost = format_cost(details.cost_usd)
        if details.usage_source == "estimated":
            tokens, cost = f"~{tokens}", f"~{cost}" if cost else ""
        amounts = [
            one_line(details.model or item.model or ""),
            format_duration(details.duration_ms),
            f"{tokens} tokens" if details.prompt_tokens is not None else "",
            cost,
            f"{RETRY_MARK} {count_retries(item)}" if count_retries(item) else "",
            f"id {item.id[-8:]}",
        ]
        return Text.assemble(
            (f"{self._calls} ", "bold"),
            (mark, style),
            f" {_format_clock(details.created_at)} ",
            (printable(" · ".join(amount for amount in amounts if amount)), "dim"),
        )

    def _take_new(self, messages: list[Any]) -> list[Any]:
        """The messages that were not shown yet, in order.

        A request repeats the conversation so far. So every message after the last answer that
        we have shown is new, even if its words are not. Before that answer, a message is new
        only if its words are.
        """
        keys = [_key(message) for message in messages]
        start = history = 0
        for place, key in enumerate(keys):
            history = hash((history, key))
            if history in self._histories:
                start = max(start, place + 1)
            self._histories.add(history)
            if key in self._answers:
                start = place + 1
        new = [
            message
            for place, (message, key) in enumerate(zip(messages, keys, strict=True))
            if place >= start or key not in self._said
        ]
        self._said.update(keys)
        for message in messages:
            self._remember_tools(message)
        self._answers.update(
            key
            for message, key in zip(messages, keys, strict=True)
            if isinstance(message, dict) and message.get("role") == "assistant"
        )
        return new

    def _remember_answer(self, answer: dict[str, Any]) -> None:
        key = _key(answer)
        self._said.add(key)
        self._answers.add(key)
        self._remember_tools(answer)

    def _remember_tools(self, message: Any) -> None:
        calls = list_objects(message.get("tool_calls")) if isinstance(message, dict) else []
        for call in calls:
            self._tools[str(call.get("id"))] = str(read_called(call).get("name"))

    def _show_message(self, message: Any, *, title: str | None = None) -> None:
        if not isinstance(message, dict):
            self._print_part("message", "red1", Text(printable(str(message))))
            return
        role = str(message.get("role", "message"))
        call = str(message.get("tool_call_id", ""))
        of = message.get("name") or self._tools.get(call) or call
        style = ROLE_STYLES.get(role, "dim")
        self._print_part(title or (f"{role} · {of}" if of else role), style, message_body(message))

    def _print_part(self, title: str, style: str, body: Text) -> None:
        self._console.print(Text(one_line(title), style=style))
        self._console.print(
            Padding(body if body else Text("(empty)", style="dim"), (0, 0, 0, 2), expand=False)
        )

    def _print_dim(self, text: str) -> None:
        self._console.print(Text(text, style="dim"))


def _format_clock(moment: float) -> str:
    try:
        return f"{datetime.fromtimestamp(moment):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return "?"


def _key(message: Any) -> int:
    """A key that is equal for messages with the same content, whatever else clients add."""
    if not isinstance(message, dict):
        return hash(str(message))
    calls = tuple(_call_key(call) for call in list_objects(message.get("tool_calls")))
    said = content_text(message.get("content")) or str(message.get("refusal") or "")
    return hash((message.get("role"), said.strip(), calls, str(message.get("tool_call_id"))))


def _call_key(call: dict[str, Any]) -> tuple[str, str]:
    called = read_called(call)
    arguments = str(called.get("arguments", called.get("input", "")))
    with suppress(ValueError, RecursionError):
        arguments = json.dumps(json.loads(arguments), sort_keys=True)
    return str(called.get("name")), arguments
