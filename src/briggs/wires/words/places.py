"""Where answers have what belongs elsewhere: text under other names, a usage or an error aside."""

from __future__ import annotations

GROQ = "x_groq"
"""Groq's member of a chunk, which has the usage or an error."""

NAMES = ("text", "content", "output_text", "output", "response", "generated_text", "completion")
"""Other names for the content of a choice, a message or a delta. The first one found counts."""
NAMES_KNOWN = frozenset(NAMES)
HOLDERS = frozenset(
    {
        *NAMES,
        *("answer", "candidates", "data", "errors", "generation", "generations", "message"),
        *("messages", "outputs", "reply", "result", "results"),
    }
)
"""Members at the top of an answer that may contain text."""
KEYS = frozenset({*HOLDERS, "parts", "msg", "detail"})
"""Members at any depth that may contain text."""
SILENT = frozenset({"role", "object", "type", "name", "id", *NAMES})
"""Members of a message that are no output other than its text."""
