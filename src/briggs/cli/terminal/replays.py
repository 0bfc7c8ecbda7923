"""Prints what differs between a recorded answer and a new one."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from briggs.types.any_json import integer
from briggs.types.differences import compare_words
from briggs.types.replays import Replay, ReplayedChoice
from briggs.types.texts import one_line, printable

CHARACTERS_MAX = 2_000


def print_replay(compared: Replay) -> None:
    """The verdict, then the text with what was taken out and put in, then the other figures."""
    console = Console(highlight=False)
    verdict = "the same" if compared.is_same else "different"
    console.print(Text(f"{compared.id}  {verdict}", style="bold"))
    for choice in compared.choices:
        if not choice.is_same:
            console.print(_mark(choice))
        if choice.finish_reason_before != choice.finish_reason_now:
            _print_change(
                console, "finish_reason", choice.finish_reason_before, choice.finish_reason_now
            )
        if choice.logprob_difference is not None:
            parted = "" if choice.parts_at is None else f", until token {choice.parts_at}"
            console.print(f"  logprobs differ by {choice.logprob_difference:.4f} nats{parted}")
    _print_change(console, "model", compared.model_before, compared.model_now)
    _print_change(
        console,
        "system_fingerprint",
        compared.system_fingerprint_before,
        compared.system_fingerprint_now,
    )
    before, now = (
        integer((usage or {}).get("total_tokens"))
        for usage in (compared.usage_before, compared.usage_now)
    )
    _print_change(console, "total_tokens", before, now)


def _mark(choice: ReplayedChoice) -> Text:
    """The words of both texts, in one."""
    before, now = choice.text_before[:CHARACTERS_MAX], choice.text_now[:CHARACTERS_MAX]
    marked = Text("  ")
    for texts, style in zip(compare_words(before, now), ("red1", "green3"), strict=True):
        for piece in texts:
            marked.append(printable(piece.text), style=style if piece.differs else "dim")
        marked.append("\n  ")
    return marked


def _print_change(console: Console, name: str, before: object, now: object) -> None:
    if before != now:
        console.print(Text(f"  {name}: {one_line(str(before))} → {one_line(str(now))}"))
