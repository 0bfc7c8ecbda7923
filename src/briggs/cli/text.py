"""How messages, times and amounts read on a terminal.

A program may have told of anything, so nothing here expects a record to be what it should be.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
from msgspec import UNSET

from briggs.providers import recorded_request

if TYPE_CHECKING:
    from briggs.client import StoredCompletion

# What a model or a caller wrote must not steer the terminal: control characters are shown
# as their pictures, and what has no encoding or cannot be seen as the replacement character.
_PICTURES: dict[int, int] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys(range(0xD800, 0xE000), 0xFFFD),
    # Marks that turn the direction of what follows, and separators that break lines.
    **dict.fromkeys(
        [0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)], 0xFFFD
    ),
    # Marks of annotations, which hide text between them.
    **dict.fromkeys(range(0xFFF9, 0xFFFC), 0xFFFD),
}


def printable(text: str) -> str:
    """The text with nothing in it that a terminal would obey."""
    return text.replace("\r\n", "\n").translate(_PICTURES)


def printable_json(line: bytes) -> bytes:
    """A line of JSON, in which JSON's own escapes stand for all that a terminal would obey."""
    text = line.decode("utf-8", "replace")
    return "".join(
        f"\\u{ord(each):04x}" if ord(each) in _PICTURES else each for each in text
    ).encode()


def print_line(line: bytes) -> None:
    """Print a line of JSON: in a pipe as it is, on a terminal with nothing that steers it."""
    click.echo(printable_json(line) if sys.stdout.isatty() else line)


def one_line(text: str) -> str:
    """The text on a single line, ready for a terminal."""
    return printable(" ".join(text.split()))


def format_count(count: int | None) -> str:
    """`812`, `12k` or `3.4M`; `?` where it is not known."""
    if count is None:
        return "?"
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def shorten(text: str) -> str:
    """A text that was given, in quotes and not too long for an error."""
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def format_value(value: Any) -> str:
    """A value on a single line: a text as it is, all else as JSON."""
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def show_value(value: Any) -> str:
    """A value of a feedback on a single line; a list with commas."""
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        return ", ".join(map(format_value, value)) or "none"
    return format_value(value)


def list_values(values: Mapping[str, Any], *, before: str = "") -> Iterator[tuple[str, str]]:
    """The values of a feedback, each with its dotted name."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from list_values(value, before=f"{before}{name}.")
        else:
            yield printable(f"{before}{name}"), show_value(value)


def content_text(content: Any) -> str:
    """A message's content as text; of parts that are none, their type in brackets."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(_part_text(part) for part in content if isinstance(part, dict))


def message_text(message: Any) -> str:
    """What a message says: its content, or its refusal, and the tools that it calls."""
    if not isinstance(message, dict):
        return ""
    said = content_text(message.get("content")) or str(message.get("refusal") or "")
    calls = [call_text(call) for call in list_objects(message.get("tool_calls"))]
    return "\n".join([said, *calls] if said else calls)


def call_text(call: dict[str, Any]) -> str:
    """A tool call as `name(arguments)`."""
    called = read_called(call)
    return f"{called.get('name')}({called.get('arguments', called.get('input', ''))})"


def read_called(call: dict[str, Any]) -> dict[str, Any]:
    """The function, or custom tool, that is called or offered."""
    called = call.get("function") or call.get("custom")
    return called if isinstance(called, dict) else {}


def list_messages(request: Any) -> list[Any]:
    """What was asked, message by message, in OpenAI's words whoever was asked."""
    return [] if request is UNSET else recorded_request.list_messages(request)


def read_request(request: Any) -> dict[str, Any]:
    """The same as a whole request; nothing where the request was not included."""
    return {} if request is UNSET else recorded_request.read_request(request)


def list_choices(item: StoredCompletion) -> list[dict[str, Any]]:
    """What was answered."""
    return item.choices


def read_message(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice's message; of a completion that was no chat, its text as one."""
    message = choice.get("message", choice.get("text"))
    return message if isinstance(message, dict) else {"content": message}


def list_objects(values: Any) -> list[dict[str, Any]]:
    """Those of a list that are objects."""
    values = values if isinstance(values, list) else []
    return [value for value in values if isinstance(value, dict)]


def format_duration(duration_ms: float | None) -> str:
    """`38 ms`, `1.24 s` or `3 min`; nothing where it is not known."""
    if duration_ms is None:
        return ""
    if duration_ms < 10:
        return f"{duration_ms:.1f} ms"
    if duration_ms < 1000:
        return f"{duration_ms:.0f} ms"
    if duration_ms < 120_000:
        return f"{duration_ms / 1000:.2f} s"
    return f"{duration_ms / 60_000:.0f} min"


def format_time(moment: float, *, now: float) -> str:
    """The local time of today, `22 Nov 14:03` of this year, else `Nov 2025`; `?` for no time."""
    try:
        then, today = time.localtime(moment), time.localtime(now)
    except (OverflowError, ValueError, OSError):
        return "?"
    if then[:3] == today[:3]:
        return time.strftime("%H:%M:%S", then)
    return time.strftime("%d %b %H:%M" if then[0] == today[0] else "%b %Y", then)


def format_age(seconds: float) -> str:
    """`12 s ago`, `3 min ago`, `2 h ago` or `5 days ago`."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def format_cost(cost_usd: float | None) -> str:
    """US dollars to the digits that matter; nothing where the cost is not known."""
    if cost_usd is None:
        return ""
    return f"${cost_usd:,.2f}" if cost_usd >= 1 else f"${cost_usd:.6f}".rstrip("0").rstrip(".")


def format_costs(counted: float | None, estimated: float | None) -> str:
    """What is known, and behind `~` what is estimated."""
    known = format_cost(counted)
    return known if estimated is None else f"{known} ~{format_cost(estimated)}".strip()


def _part_text(part: dict[str, Any]) -> str:
    if part.get("type") == "text":
        return str(part.get("text", ""))
    if part.get("type") == "refusal":
        return str(part.get("refusal", ""))
    return f"[{part.get('type', 'part')}]"
