"""Writes the catalog's table into docs/providers.md; with `--check`, fails if it is stale."""

from __future__ import annotations

import sys
from pathlib import Path

from briggs.providers.catalog import CATALOG

PAGE = Path(__file__).with_name("providers.md")
BEGIN, END = "<!-- catalog -->\n", "<!-- /catalog -->"


def write_page() -> str:
    """The page with its table as the catalog has it."""
    page = PAGE.read_text("utf-8")
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    rows = [
        f"| `{vendor.name}` | {vendor.base_url or 'your resource'} "
        f"| {f'`{vendor.key_variable}`' if vendor.key_variable else 'none'} |\n"
        for vendor in CATALOG
    ]
    table = "| provider | where | key |\n|---|---|---|\n" + "".join(rows)
    local = "| `local` | a child process on this machine | none |\n"
    return f"{before}{BEGIN}{table}{local}{END}{after}"


if __name__ == "__main__":
    written = write_page()
    if "--check" not in sys.argv:
        PAGE.write_text(written, "utf-8")
    elif PAGE.read_text("utf-8") != written:
        sys.exit("docs/providers.md is stale: run python docs/generate_catalog.py")
