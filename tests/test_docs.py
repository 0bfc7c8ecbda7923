"""Every code block of the README and of docs/ runs as it is printed, from the top of its page."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import spacy

from tests.cli.running import environment
from tests.cli.upstream import open_upstream
from tests.clients.test_clients import ENVIRONMENTS
from tests.ports import find_free_port
from tests.processes import create_chunk, create_response

ROOT = Path(__file__).parents[1]
GENERATED = {"cli.md", "sdk_reference.md", "rules.md", "conformance.md"}
PAGES = sorted(
    path
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if "```" in path.read_text() and path.name not in GENERATED - {"rules.md"}
)
RUN = {"sh", "console", "python", "js", "toml", "json"}
SHOWN = {"text", "ini", "nginx", "sql", "dockerfile", "yaml", "caddyfile"}
"""Languages of blocks that show something and that nobody runs."""

MODEL = ROOT / "src/briggs/providers/briggs-tiny.gguf"
SHELL_TIMEOUT_S = 120


SQLITE = f"""
{shlex.quote(sys.executable)} - "$@" <<'EOF'
import sqlite3, sys
options, (file, statement) = sys.argv[1:-2], sys.argv[-2:]
assert set(options) <= {{"-readonly"}}, options
connection = sqlite3.connect(f"file:{{file}}?mode={{'ro' if options else 'rw'}}", uri=True)
print(connection.execute(statement).fetchall())
EOF"""
"""What stands in for SQLite's own shell, which not every machine has."""


class Block(NamedTuple):
    """A code block: where it stands, its language, its text, and the note above it."""

    line: int
    language: str
    text: str
    note: str
    """From a comment on the line above: `not run: WHY`, `runs with ENVIRONMENT`, or `runs alone
    with ENVIRONMENT`, without what the page's blocks before it said."""


def read_blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text()
    found = re.finditer(
        r"^(?:<!-- (?P<note>(?:not run:|runs (?:alone )?with) .+?) -->\n)?```(?P<language>.*)\n"
        r"(?P<text>(?:.*\n)*?)```$",
        text,
        re.MULTILINE,
    )
    return [
        Block(
            text.count("\n", 0, match.start()) + 1,
            match["language"],
            match["text"],
            match["note"] or "",
        )
        for match in found
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_run(page: Path, tmp_path: Path) -> None:
    """A newcomer who types every block of a page, in order, meets no error."""
    with open_upstream() as upstream:
        reader = Reader(tmp_path, upstream)
        try:
            blocks = read_blocks(page)
            # Other pages than those that start a server suppose that one runs.
            if not any(block.text.startswith("briggs serve") for block in blocks):
                reader.serve()
            for block in blocks:
                assert block.language in RUN | SHOWN, f"{page.name}:{block.line}: {block.language}"
                if not block.note.startswith("not run"):
                    problem = reader.follow(block)
                    assert not problem, f"{page.name}:{block.line}: {problem}\n{block.text}"
        finally:
            reader.leave()


def test_what_is_not_run_says_why() -> None:
    """Few blocks are left out, and each names its reason."""
    notes = [
        f"{page.name}:{block.line}: {block.note}"
        for page in PAGES
        for block in read_blocks(page)
        if block.note.startswith("not run")
    ]
    assert all(len(note.rpartition("not run: ")[2]) > 10 for note in notes), notes
    assert len(notes) <= 15, notes


class Reader:
    """Somebody in an empty home, with `briggs` on the path, and one server of OpenAI's wire.

    The addresses that a page names are the ones of this test's servers; `ID` is the newest
    completion's id. `briggs serve` goes on in the background, and what waits for a person at a
    terminal is ended.
    """

    def __init__(self, folder: Path, upstream: str) -> None:
        self._home = folder / "home"
        self._programs = folder / "programs"
        self._variables = folder / "variables.json"
        self._said: dict[str, list[str]] = {}
        self._port = find_free_port()
        template = folder / "base.jinja"
        host = upstream.removeprefix("http://").removesuffix("/v1")
        self._addresses = {
            "127.0.0.1:10100": f"127.0.0.1:{self._port}",
            "127.0.0.1:9000": host,
            "127.0.0.1:8000": host,
            "https://api.openai.com": f"http://{host}",
            "/models/qwen2.5-0.5b-instruct-q8_0.gguf": str(MODEL),
            "/models/base.gguf": str(MODEL),
            "/models/nomic-embed-text-v1.5.gguf": str(MODEL),
            "/models/base.jinja": str(template),
            '"en_core_web_sm"': f'"{folder / "names"}"',
        }
        for made in (self._home, self._programs):
            made.mkdir()
        work = self._home / "work"
        work.mkdir()
        self._work = work
        template.write_text("{{ messages[0].content }}")
        answer, request = create_response(), {"model": "m-1", "messages": []}
        (work / "response.json").write_text(json.dumps(answer))
        (work / "request.json").write_text(json.dumps(request))
        (work / "stream.sse").write_bytes(
            create_chunk({"role": "assistant", "content": "Hello"})
            + create_chunk({}, finish_reason="stop")
            + b"data: [DONE]\n\n"
        )
        (work / "briggs.toml").write_text(
            f'default_provider = "mine"\n[providers.mine]\nbase_url = "{upstream}"\n'
            f'[providers.vllm]\nbase_url = "{upstream}"\n'
            f'[providers.openai]\nbase_url = "{upstream}"\n'
        )
        self._write_programs()
        path = os.pathsep.join(
            [str(self._programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        )
        kept = environment(HOME=str(self._home), PATH=path, MINE_KEY="k", TERM="dumb")
        kept = {name: value for name, value in kept.items() if not name.endswith("_API_KEY")}
        # What a program that asks somebody else has in its environment.
        kept |= {"OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "k"}
        # Nothing is fetched or reported while a client starts.
        kept |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HAYSTACK_TELEMETRY_ENABLED": "False"}
        self._variables.write_text(json.dumps(kept))

    def _write_programs(self) -> None:
        briggs = f"{shlex.quote(sys.executable)} -m briggs"
        programs = {
            "briggs": f"""
case "$1 $2" in
"serve "*) shift
    test -e "$HOME/served" && exit 0
    setsid {briggs} serve --port {self._port} "$@" > "$HOME/served" 2> "$HOME/log" < /dev/null &
    echo $! > "$HOME/pid"
    for _ in $(seq 300); do grep -q http:// "$HOME/served" && exit 0; sleep 0.1; done
    cat "$HOME/log" >&2; exit 1;;
"completions tail") timeout 2 {briggs} "$@"; test $? = 124;;
"feedback grade") case " $* " in *" --piped "*) exec {briggs} "$@";; esac
    # A key that is pressed before the completion is shown does not count.
    while sleep 0.5; do printf q || break; done |
        timeout 60 script -qefc "{briggs} $(printf '%q ' "$@")" /dev/null;;
"check "*) {briggs} "$@"; test $? -le 1;;
*) exec {briggs} "$@";;
esac""",
            "newest_id": f"""
{briggs} completions list --limit 1 \
    | {shlex.quote(sys.executable)} -c 'import json, sys; print(json.load(sys.stdin)["id"])'""",
            "sqlite3": SQLITE,
            "pgrep": 'cat "$HOME/pid"',
        }
        for name, text in programs.items():
            program = self._programs / name
            program.write_text(f"#!/bin/bash\n{text.strip()}\n")
            program.chmod(0o755)

    def follow(self, block: Block) -> str:
        """Do what a block says; what went wrong."""
        text, (how, _, client) = block.text, block.note.partition("with ")
        for printed, real in self._addresses.items():
            text = text.replace(printed, real)
        match block.language:
            case "sh":
                return self._type(text, client)
            case "console":
                lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
                return self._type("\n".join(lines), client)
            case "python":
                return self._run(text, client, alone="alone" in how)
            case "js":
                return self._run_javascript(text, client)
            case "toml":
                return self._configure(text)
            case "json":
                json.loads(text)
        return ""

    def _type(self, text: str, client: str) -> str:
        """Lines at a shell; what they export stays."""
        if client:
            text = f'PATH="$PATH:{ENVIRONMENTS / client / "bin"}"\n{text}'
        dump = f"import json, os; json.dump(dict(os.environ), open({str(self._variables)!r}, 'w'))"
        lines = re.sub(r"\bID\b", '"$(newest_id)"', text)
        return self._call(
            "bash", "-euc", f"{lines}\n{shlex.quote(sys.executable)} -c {shlex.quote(dump)}"
        )

    def _run(self, text: str, client: str, *, alone: bool) -> str:
        """Python; a page's blocks go on where the one before ended, unless one is `alone`."""
        self.serve()
        python = str(ENVIRONMENTS / client / "bin" / "python") if client else sys.executable
        if alone:
            return self._call(python, "-c", text)
        said = self._said.setdefault(client, [])
        said.append(text)
        return self._call(python, "-c", "\n".join(said))

    def _run_javascript(self, text: str, client: str) -> str:
        """JavaScript, where Node.js is installed: Briggs itself does not need it."""
        if shutil.which("npm") is None:
            return ""
        module = self._work / "block.mjs"
        module.write_text(text)
        # Packages are looked for beside the module.
        packages = self._work / "node_modules"
        if not packages.exists():
            packages.symlink_to(ENVIRONMENTS / client / "node_modules")
        return self._call("node", str(module))

    def _configure(self, text: str) -> str:
        """A file of settings, which the server would take."""
        pipeline = tomllib.loads(text).get("redaction", {}).get("names")
        if pipeline is not None:
            language = spacy.blank("en")
            language.add_pipe("entity_ruler")
            language.to_disk(pipeline)
        path = self._home / "checked.toml"
        path.write_text(text)
        return self._call("briggs", "config", "check", str(path))

    def serve(self) -> None:
        """Start the server, if it does not run."""
        problem = self._call("briggs", "serve")
        assert not problem, problem

    def _call(self, *command: str) -> str:
        variables = json.loads(self._variables.read_text())
        done = subprocess.run(
            command,
            cwd=self._work,
            env={**variables, "PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SHELL_TIMEOUT_S,
            check=False,
        )
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def leave(self) -> None:
        """Stop the server."""
        pid = self._home / "pid"
        if pid.exists():
            subprocess.run(["kill", pid.read_text().strip()], check=False)


@pytest.fixture(autouse=True)
def _console(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("BRIGGS_DATA", raising=False)
    yield
