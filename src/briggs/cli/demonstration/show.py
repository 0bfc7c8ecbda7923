"""Fills a server with the demonstration's data, and serves it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console

from briggs.cli.demonstration.fill import Filled, ask_model, fill
from briggs.cli.terminal.text import format_duration
from briggs.cli.tour.child import open_server_process
from briggs.cli.tour.serving import exit_on_signals, serve_on


def show_data(*, once: bool) -> int:
    """Fill a server, and keep serving unless `once`. Returns the exit status."""
    console = Console(highlight=False, soft_wrap=True)
    with exit_on_signals():
        return _show(console, once=once)


def _show(console: Console, *, once: bool) -> int:
    console.print("\n[dim]Asking the built-in model ...[/]")
    with open_server_process() as server:
        real = ask_model(server.url, server.api_key)
    filled: list[Filled] = []

    def prepare(data: Path) -> None:
        filled.append(asyncio.run(fill(data, real=real)))

    with open_server_process(prepare=prepare) as server:
        [found] = filled
        console.print(
            f"[green3]✓[/] {found.calls} calls of the last 30 days, {found.tasks} feedback tasks, "
            f"{found.grades} grades  [dim]invented, except for {len(real)} answers of the "
            "built-in model[/]"
        )
        console.print(
            f"[green3]✓[/] server  {server.url}  [dim]up in {format_duration(server.start_ms)}[/]"
        )
        return 0 if once else serve_on(console, server)
