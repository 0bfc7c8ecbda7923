"""Puts the files of deploy/ into docs/deployment.md. With `--check`, it fails if they differ."""

from __future__ import annotations

import re
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("deployment.md")
FOLDER = PAGE.parents[1] / "deploy"
LANGUAGES = {
    ".conf": "nginx",
    ".service": "ini",
    ".toml": "toml",
    ".yaml": "yaml",
    "Caddyfile": "caddyfile",
    "Dockerfile": "dockerfile",
}
"""The language of a code block, by the end of the file's name."""


def main() -> None:
    """Put each file after the comment that names it."""
    page = PAGE.read_text()
    for path in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        name = path.relative_to(FOLDER.parent).as_posix()
        place = re.compile(rf"(<!-- {re.escape(name)} -->\n)(?:```.*\n(?:.*\n)*?```\n)?")
        if not place.search(page):
            sys.exit(f"docs/{PAGE.name} has no place for {name}: add <!-- {name} -->")
        [language] = [LANGUAGES[end] for end in LANGUAGES if path.name.endswith(end)]
        block = f"```{language}\n{path.read_text()}```\n"
        page = place.sub(lambda found, block=block: found[1] + block, page)  # type: ignore[misc]
    if sys.argv[1:] == ["--check"]:
        if page != PAGE.read_text():
            sys.exit(f"docs/{PAGE.name} is stale: run `make docs`")
    else:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
