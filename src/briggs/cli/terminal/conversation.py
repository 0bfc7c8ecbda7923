"""Shows a session as a conversation: each call in order, with only its new messages."""

from __future__ import annotations

import time
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
    format_cost,
    format_costs,
    format_count,
    format_duration,
    format_time,
    list_choices,
    list_messages,
)
from briggs.client import Session, StoredCompletion
from briggs.types.texts import one_line, printable, read_message
from briggs.types.turns import Turns


class ConversationView:
    """Shows calls one after the other. Each message is shown once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._calls = 0
        self._turns = Turns()

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
        new = self._turns.take_new(messages)
        if messages and not new:
            self._print_dim("  the same messages again")
        for message in new:
            self._show_message(message)
        for choice in list_choices(item):
            answer = {"role": "assistant", **read_message(choice)}
            self._turns.take_answer(answer)
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

    def _show_message(self, message: Any, *, title: str | None = None) -> None:
        if not isinstance(message, dict):
            self._print_part("message", "red1", Text(printable(str(message))))
            return
        role = str(message.get("role", "message"))
        call = str(message.get("tool_call_id", ""))
        of = message.get("name") or self._turns.find_tool(call) or call
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
