"""What a message says, as text.

A program may have logged anything, so this module accepts messages of any shape.
"""

from __future__ import annotations

from typing import Any

from briggs.types.any_json import list_objects

# Text from a model or a caller must not steer what shows it. Control characters are shown as
# their Unicode pictures. Surrogates and invisible characters become the replacement character.
_PICTURES: dict[int, int] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys(range(0xD800, 0xE000), 0xFFFD),
    # Marks that change the text's direction, and separators that break lines.
    **dict.fromkeys(
        [0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)], 0xFFFD
    ),
    # Annotation marks, which hide the text between them.
    **dict.fromkeys(range(0xFFF9, 0xFFFC), 0xFFFD),
}


def count_of(count: int, one: str, many: str = "") -> str:
    """A count with its noun, such as `1 sample` and `1,200 samples`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def printable(text: str) -> str:
    """The text with nothing that controls a terminal or the direction of other text."""
    return text.replace("\r\n", "\n").translate(_PICTURES)


def one_line(text: str) -> str:
    """The text on one line, with nothing that controls what shows it."""
    return printable(" ".join(text.split()))


def is_printable_name(name: str) -> bool:
    """Whether a name can be seen, and has nothing that controls what shows it."""
    return name.isprintable() and bool(name.strip())


def content_text(content: Any) -> str:
    """A message's content as text. For a part that is not text, its type in brackets."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(_part_text(part) for part in content if isinstance(part, dict))


def message_text(message: Any) -> str:
    """A message's content or refusal, and its tool calls."""
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
    """The function or custom tool of a call or of a tool definition."""
    called = call.get("function") or call.get("custom")
    return called if isinstance(called, dict) else {}


def read_message(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice's message. For a text completion, its text as a message."""
    message = choice.get("message", choice.get("text"))
    return message if isinstance(message, dict) else {"content": message}


def _part_text(part: dict[str, Any]) -> str:
    if part.get("type") == "text":
        return str(part.get("text", ""))
    if part.get("type") == "refusal":
        return str(part.get("refusal", ""))
    return f"[{part.get('type', 'part')}]"
