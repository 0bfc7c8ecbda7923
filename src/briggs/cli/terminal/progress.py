"""A bar on a terminal that says what is being done, and how much of it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def show_steps() -> Iterator[Callable[[str, float], None]]:
    """Show the bar on standard error during a block, if that is a terminal.

    The block gets a function that takes what is being done, and a share from 0 to 1.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)

        def show(what: str, share: float) -> None:
            bar.update(task, description=what, completed=share)

        yield show
