"""Writes the rules into docs/rules.md; with `--check`, fails if the page is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from briggs.rules import RULES, Rule

PAGE = Path(__file__).with_name("rules.md")
BEGIN, END = "<!-- book -->\n", "<!-- /book -->"
GROUPS = {
    "J": "The body",
    "E": "The envelope",
    "C": "Choices",
    "M": "The message",
    "L": "Log probabilities",
    "U": "Usage",
    "S": "Streams",
    "R": "Requests",
    "H": "Errors",
    "P": "The Responses API",
    "A": "The Messages API",
    "V": "Embeddings",
    "T": "Text completions",
    "O": "Moderations",
}


def write_page() -> str:
    """The page with the current rules."""
    page = PAGE.read_text("utf-8")
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    return f"{before}{BEGIN}{''.join(_write_book())}{END}{after}"


def _write_book() -> Iterator[str]:
    for letter, title in GROUPS.items():
        yield f"\n### {letter}: {title}\n\n"
        yield "| rule | severity | what must be true | applies to |\n|---|---|---|---|\n"
        rules = [rule for rule in RULES.values() if rule.id.startswith(letter)]
        for rule in rules:
            title = rule.title.replace("|", "\\|")
            yield f"| {rule.id} | {rule.severity} | {title} | {rule.subject} |\n"
        yield "\n"
        yield from map(_write_rule, rules)
    yield "\n"


def _write_rule(rule: Rule) -> str:
    mended = f" *Mended: {rule.fix}*" if rule.fix else ""
    return f"- **{rule.id}** {rule.basis}{mended}\n"


if __name__ == "__main__":
    written = write_page()
    if "--check" not in sys.argv:
        PAGE.write_text(written, "utf-8")
    elif PAGE.read_text("utf-8") != written:
        sys.exit("docs/rules.md is stale: run python docs/generate_rules.py")
