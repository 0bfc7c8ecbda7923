"""The house is in order: floors hold, pages are fresh, and what exists is documented."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

import briggs
from briggs import client
from briggs.api import health
from briggs.app import ROUTES
from briggs.cli import main
from briggs.settings import FileSettings
from briggs.types import errors

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src/briggs").rglob("*.py"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_floors() -> None:
    """Each floor imports only the floors below it, and every module is on one."""
    ended = run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "page",
    [
        "generate_cli.py",
        "generate_catalog.py",
        "generate_conformance.py",
        "generate_deployment.py",
        "generate_rules.py",
        "generate_sdk.py",
    ],
)
def test_generated_pages_are_fresh(page: str) -> None:
    """What is generated is what the generator would write now."""
    ended = run(f"docs/{page}", "--check")
    assert ended.returncode == 0, ended.stderr


def list_tested() -> list[tuple[list[str], Path]]:
    """The rows of the architecture page that say where modules are tested."""
    page = (ROOT / "docs/architecture.md").read_text()
    part = page.split("## Where a module is tested\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+`) \| `(tests/.+)` \|$", part, re.MULTILINE)
    return [(re.findall("`(.+?)`", names), ROOT / tests) for names, tests in rows]


def test_every_module_has_its_tests() -> None:
    """A module has a test in its mirror, or a row that says where it is tested. No row is stale."""
    source, rows = ROOT / "src/briggs", list_tested()
    used = set()
    for path in SOURCES:
        module = path.relative_to(source)
        mirror = ROOT / "tests" / module.with_name(f"test_{module.name}")
        if mirror.exists() or path.stem in ("__init__", "__main__"):
            continue
        row = next(
            (
                n
                for n, (names, _) in enumerate(rows)
                if any(fnmatch(module.as_posix(), name) for name in names)
            ),
            None,
        )
        assert row is not None, f"{module} has no test in {mirror}, and no row of the page"
        used.add(row)
    assert used == {*range(len(rows))}, [rows[n] for n in {*range(len(rows))} - used]
    for names, tests in rows:
        assert tests.exists(), (names, tests)


def list_commands(group: click.Group, *, under: str = "") -> Iterator[str]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield from (name, f"{under}{name}")
        if isinstance(command, click.Group):
            yield from list_commands(command, under=f"{name}-")


def test_each_file_of_the_cli_is_a_command() -> None:
    """A file directly in `cli/` is named after its command; the rest is in folders.

    A command whose name is Python's own has a `_` behind it.
    """
    named = {name.replace("-", "_") for name in list_commands(main)}
    files = {path.stem for path in (ROOT / "src/briggs/cli").glob("*.py")}
    assert files - named == {"__init__", "groups", "import_"} and "import" in named


def test_every_module_says_what_it_is() -> None:
    """A module's docstring begins with one line that a newcomer can repeat."""
    for path in SOURCES:
        text = path.read_text()
        assert not text.strip() or text.startswith('"""'), path
        assert not text.strip() or len(text.splitlines()[0]) <= 100, path


def test_every_setting_is_documented() -> None:
    """Every member of briggs.toml is in docs/settings.md, with its default where it has one."""
    page = (ROOT / "docs" / "settings.md").read_text()
    for name, default in _list_settings(FileSettings):
        assert re.search(rf"\b{name}\b", page), name
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert f"{name} = {default:g}".replace("e+", "") in page or (
                f"{name} = {int(default)}" in page
            ), (name, default)


def _list_settings(cls: Any) -> list[tuple[str, Any]]:
    listed = []
    for field in msgspec.structs.fields(cls):
        listed.append((field.name, field.default))
        for inner in (field.type, *typing.get_args(field.type)):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                listed += _list_settings(inner)
    return listed


def test_every_route_is_documented() -> None:
    """Every address that answers with a key is named in a page."""
    pages = "".join(page.read_text() for page in PAGES)
    for route in ROUTES:
        if route.path.startswith(health.OPEN_PREFIXES):
            continue
        assert route.path.replace("{id:path}", "{id}") in pages, route.path


def list_errors(root: type[errors.BriggsError]) -> list[type[errors.BriggsError]]:
    below = [each for cls in root.__subclasses__() for each in list_errors(cls)]
    return [root, *(cls for cls in below if cls.__module__.startswith("briggs."))]


def test_the_error_tree_is_drawn() -> None:
    """Every error class has one line in the tree of all, under its base, with its status."""
    for each in pkgutil.walk_packages(briggs.__path__, "briggs."):
        if each.name not in ("briggs.__main__", "briggs.client.langchain"):
            importlib.import_module(each.name)
    [tree] = [part for part in (errors.__doc__ or "").split("\n\n") if "└──" in part]
    drawn = [(line, named) for line in tree.splitlines() if (named := re.search("[A-Z]\\w+", line))]
    path: dict[int, str] = {}
    found: set[tuple[str, str]] = set()
    for _, named in drawn:
        path[named.start()] = named[0]
        found.add((path.get(named.start() - 4, "Exception"), named[0]))
    known = list_errors(errors.BriggsError)
    assert found == {(getattr(cls.__base__, "__name__", ""), cls.__name__) for cls in known}
    for cls in known[1:]:
        if cls.__module__ == errors.__name__ and cls is not errors.UpstreamRejected:
            assert any(
                named[0] == cls.__name__ and str(cls.http_status) in line for line, named in drawn
            ), cls


def test_the_errors_of_the_sdk_are_exported_and_drawn() -> None:
    """`briggs` exports every error that the SDK raises, and its page draws each."""
    page = (ROOT / "docs/sdk.md").read_text()
    for cls in list_errors(client.errors.ClientError):
        assert getattr(briggs, cls.__name__) is cls
        assert cls.__name__ in briggs.__all__
        assert f"─ {cls.__name__} " in page or f"─ {cls.__name__}\n" in page


def test_links_lead_somewhere() -> None:
    """Every relative link of the documentation leads to a file."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_glossary_is_easy_to_search() -> None:
    """Each word of a part stands in its alphabetical place, once, with one sentence."""
    parts = (ROOT / "docs/glossary.md").read_text().split("\n## ")[1:]
    rows = [re.findall(r"^\| \*\*(.+)\*\* \| (.+) \|$", part, re.MULTILINE) for part in parts]
    for words in ([word for word, _ in part] for part in rows):
        assert words and words == sorted(words, key=str.lower)
    listed = [word for part in rows for word, _ in part]
    assert len(listed) == len(set(listed))
    for part in rows:
        assert all(re.fullmatch(r"[A-Z](?:[^.]|\.\S)*\.", text) for _, text in part), part


def test_the_readmes_vocabulary_runs() -> None:
    """The README's Python that needs no server runs as it stands."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    [vocabulary] = [block for block in blocks if "from briggs import" in block]
    exec(compile(vocabulary, "README.md", "exec"), {})


NAMED_TWICE = {
    "Durability": "the same three words in the file and in the writer",
    "Endpoint": "what answers a route; what `briggs check` checks",
    "Json": "an answer of the API; a column of the store",
    "Judge": "checks an answer against the rule book; grades as people do",
    "Scope": "ASGI's name for a request; what a key may do",
}
"""Names of classes that mean several things, and what."""


def list_classes(path: Path) -> Iterator[str]:
    """The public classes and types of a module, without type variables."""
    for each in ast.parse(path.read_text()).body:
        if isinstance(each, ast.ClassDef):
            yield each.name
        elif isinstance(each, ast.Assign) and not ast.unparse(each.value).startswith("TypeVar("):
            yield ast.unparse(each.targets[0])


def test_one_name_means_one_thing() -> None:
    """A class has the name of another only if both are of one noun, which names their modules.

    The SDK's classes are named after those of the server, and a page's after what it shows.
    """
    nouns: dict[str, dict[str, Path]] = {}
    for path in SOURCES:
        if not {"client", "web"} & {*path.parts}:
            for name in list_classes(path):
                if re.fullmatch(r"(?=.*[a-z])[A-Z]\w*", name):
                    nouns.setdefault(name, {})[path.stem] = path
    twice = {name: sorted(paths.values()) for name, paths in nouns.items() if len(paths) > 1}
    assert twice.keys() - NAMED_TWICE == set(), (twice, "rename one, or say in NAMED_TWICE why not")
    assert twice.keys() == NAMED_TWICE.keys()


WIRES = ROOT / "src/briggs/wires"
KNOWN_ELSEWHERE = {
    "after_id": "a column of the work in steps, for where it goes on",
    "encoding_format": "OpenAI's, in embeddings",
    "text_completion": "OpenAI's, in text completions",
    "token_logprobs": "OpenAI's, in text completions",
    "input_text": "OpenAI's, in responses",
    "input_tokens_details": "OpenAI's, in responses",
    "max_output_tokens": "OpenAI's, in responses",
    "output_text": "OpenAI's, in responses",
    "output_tokens_details": "OpenAI's, in responses",
    "audio_input_tokens": "Briggs's, on the record",
    "audio_output_tokens": "Briggs's, on the record",
    "input_tokens": "Log10's, in the usage that its clients read",
    "output_tokens": "Log10's, in the usage that its clients read",
    "is_error": "whether a problem of the settings is one",
    "native_finish_reason": "Briggs's, for the vendor's word beside the specification's",
    "reasoning_content": "Briggs's, for the thinking of all vendors",
}
"""Words that are also some vendor's, and what they are outside of the wires."""
SPECIFIED = {
    *("authentication_error", "integer_above_max_value", "invalid_request_error"),
    *("not_found_error", "permission_error", "rate_limit_error", "request_too_large"),
    *("allOf", "anyOf", "content_filter", "context_length_exceeded", "json_object", "oneOf"),
    *("patternProperties",),
}
"""Words of OpenAI's specification and of JSON Schema."""


def list_words(path: Path) -> set[str]:
    """The texts of a module that could be a vendor's member or value: names of several words."""
    tree = ast.parse(path.read_text())
    texts = {each.value for each in ast.walk(tree) if isinstance(each, ast.Constant)}
    fields = {
        ast.unparse(each.target) for each in ast.walk(tree) if isinstance(each, ast.AnnAssign)
    }
    words = {word for text in texts if isinstance(text, str) for word in text.split(".")} | fields
    return {word for word in words if re.fullmatch(r"[A-Za-z]+(_[a-z0-9]+|[A-Z][a-z]+)+", word)}


OURS = ("configs", "logs", "openai", "otel")
"""The folders of `wires/` whose words are also ours: OpenAI's, and what becomes our own."""


CHECKERS = {"rules/blocks_message.py", "rules/blocks_events.py", "checker/message_probes.py"}
"""Modules that check the API of a vendor, in its words."""


def test_only_wires_know_vendors_words() -> None:
    """No module outside of `wires/` has a member or a value of a vendor's format in it."""
    specified = SPECIFIED | {
        name for cls in list_structs("briggs.types") for name in cls.__struct_fields__
    }
    vendors = [path for path in WIRES.glob("*/*.py") if path.parent.name not in OURS]
    words = set().union(*map(list_words, vendors)) - specified
    assert {"stop_reason", "promptTokenCount", "toolUse", "input_schema"} < words
    found = {
        (word, module)
        for path in SOURCES
        if WIRES not in path.parents
        for module in [path.relative_to(ROOT / "src/briggs").as_posix()]
        if module not in CHECKERS
        for word in list_words(path) & words
    }
    assert {word for word, _ in found} == set(KNOWN_ELSEWHERE), sorted(found)


def list_structs(package: str) -> list[type[msgspec.Struct]]:
    """The structs of all modules of a package."""
    root = importlib.import_module(package)
    modules = [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(root.__path__, f"{package}.")
    ]
    return [
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, msgspec.Struct)
    ]


def test_a_database_is_known_to_its_own_package_only() -> None:
    """Outside of it: no driver, no dialect and no SQL as text. The store opens it."""
    storage = ROOT / "src/briggs/storage"
    packages = (storage / "sqlite", storage / "postgres")
    known = re.compile(
        r"\bsqlite3\b|dialects\.sqlite|storage\.sqlite|PRAGMA|exec_driver_sql|\browid\b"
        r"|\bpsycopg\b|dialects\.postgresql|storage\.postgres"
        r"|connection\.info|json_each|sqlalchemy import.*\btext\b"
    )
    outside = {
        str(path.relative_to(storage.parent)): path.read_text()
        for path in SOURCES
        if path.parent not in packages
    }
    found = {name: known.findall(text) for name, text in outside.items() if known.search(text)}
    opened = ["storage.sqlite", "storage.sqlite", "storage.postgres"]
    beside = {
        "storage/copies.py": ["storage.sqlite", "storage.sqlite"],
        "storage/reading.py": ["storage.sqlite", "storage.postgres", "storage.postgres"],
    }
    assert found == {"storage/store.py": opened, **beside}, "the databases, the spool, the copies"
    as_text = [name for name, text in outside.items() if re.search(r"^    text,$", text, re.M)]
    assert as_text == ["storage/tables.py"], "only the defaults of columns are SQL as text"


BELOW_THE_API = ("feedback", "gateway", "record", "storage", "types")


def list_below_the_api() -> list[Any]:
    """Every class and function of the floors that organizations must not reach across."""
    found: list[Any] = []
    for floor in BELOW_THE_API:
        package = importlib.import_module(f"briggs.{floor}")
        for each in pkgutil.walk_packages(package.__path__, f"briggs.{floor}."):
            for member in vars(importlib.import_module(each.name)).values():
                if getattr(member, "__module__", None) == each.name and callable(member):
                    found.append(member)
                    found += [getattr(one, "__func__", one) for one in vars(member).values()]
    return [each for each in found if callable(each)]


def test_an_organization_is_never_a_default() -> None:
    """Below the API, nothing takes an `organization_id` that can be forgotten."""
    takers = 0
    for each in list_below_the_api():
        with contextlib.suppress(ValueError):
            given = inspect.signature(each).parameters.get("organization_id")
            takers += given is not None
            assert given is None or given.default is inspect.Parameter.empty, each
    assert takers > 50
