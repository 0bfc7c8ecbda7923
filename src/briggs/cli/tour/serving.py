"""Serves on after the demo has shown what it shows, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager

from rich.console import Console
from rich.text import Text

from briggs.cli.terminal.signals import handle_the_end
from briggs.cli.tour.child import ServerProcess
from briggs.client.sync import Client

_POLL_S = 0.2


def exit_on_signals() -> AbstractContextManager[None]:
    """Exit on SIGTERM, or when the terminal is closed (SIGHUP), so that no server is left running.

    Ctrl-C raises KeyboardInterrupt anyway.
    """
    return handle_the_end(lambda number, frame: sys.exit(128 + number))


def serve_on(console: Console, server: ServerProcess) -> int:
    """Print the link to the pages, and wait for the end. Returns the exit status."""
    with Client(server.url, server.api_key, retries_max=0) as client:
        link = client.keys.create_sign_in_link()
    try:
        console.print("\n[bold]Look at the pages[/]  [dim]this link signs you in once[/]")
        console.print(Text(link, style="cyan"))
        console.print(
            f"\nServing at [bold]{server.url}[/] until Ctrl-C, "
            "[dim]which also deletes the demo's data.[/]",
            soft_wrap=False,
        )
        # Not `wait()`: Python would handle a signal that comes just before it only after it.
        while (status := server.process.poll()) is None:
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        console.print()
        return 0
    console.print(f"[bold red1]✗ the server ended unexpectedly, with status {status}[/]")
    return 1
