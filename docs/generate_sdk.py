"""Writes client/sync.py, the blocking client, and docs/sdk_reference.md from the async client.

With `--check` it writes nothing, and fails if either is stale.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "src" / "briggs" / "client"
SYNC = CLIENT / "sync.py"
PAGE = Path(__file__).with_name("sdk_reference.md")

Function = ast.FunctionDef | ast.AsyncFunctionDef

HEAD = '''"""`Client`: the blocking version of `AsyncClient`. Written by docs/generate_sdk.py."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import ParamSpec, Self, TypeVar

from briggs.client import client as _client
from briggs.client.connection import RETRIES_MAX, TIMEOUT_S, replies
from briggs.client.runner import ChatCompletionStream, Runner
from briggs.transport import Reply
'''

CLIENT_CLASS = '''
P = ParamSpec("P")
T = TypeVar("T")


class Client:
    """A blocking client of one Briggs server. Every call may raise `ClientError`.

    It accepts the same arguments as `AsyncClient`. Threads may share it, and a forked process
    may keep using it.

    ```python
    with Client() as client:
        for completion in client.completions.iterate(tags=["billing"]):
            print(completion.id)
    ```
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries_max: int = RETRIES_MAX,
    ) -> None:
        client = _client.AsyncClient(
            base_url, api_key, timeout_s=timeout_s, retries_max=retries_max
        )
        runner = Runner()
        self.base_url = client.base_url
        """The server's address, without `/v1`."""
{nouns}        self._finalizer = weakref.finalize(self, runner.close, client._connection)

    def with_raw_response(
        self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> _client.RawResponse[T]:
        """Make a call and also return its HTTP responses.

        For example: `client.with_raw_response(client.models.list)`.
        """
        seen: list[Reply] = []
        token = replies.set(seen)
        try:
            return _client.RawResponse(call(*args, **kwargs), seen)
        finally:
            replies.reset(token)

    def close(self) -> None:
        """Close every connection."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
'''


class Noun(NamedTuple):
    """A member of the client. For example, `feedback` is a `FeedbackCalls` from `feedback.py`."""

    member: str
    cls: ast.ClassDef
    module: str
    names: dict[str, str]
    """For each name that its module uses, the module that defines it."""

    @property
    def calls(self) -> list[Function]:
        return [
            item
            for item in self.cls.body
            if isinstance(item, Function) and not item.name.startswith("_")
        ]


def list_nouns() -> list[Noun]:
    """The nouns of `AsyncClient`, in its order. `client.chat` contributes `chat.completions`."""
    tree = ast.parse((CLIENT / "client.py").read_text())
    modules = dict(_list_imports(tree))
    nouns = []
    for item in ast.walk(tree):
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call):
            target, made = ast.unparse(item.targets[0]), ast.unparse(item.value.func)
            member = target.removeprefix("self.")
            if made == "Chat":
                nouns.append(("chat.completions", "ChatCompletions", modules[made]))
            elif member != target and made in modules:
                nouns.append((member, made, modules[made]))
    return [_read_noun(*noun) for noun in nouns if not noun[0].startswith("_")]


def _read_noun(member: str, made: str, module: str) -> Noun:
    tree = ast.parse((ROOT / "src" / f"{module.replace('.', '/')}.py").read_text())
    classes = {item.name: item for item in tree.body if isinstance(item, ast.ClassDef)}
    own = {
        name: module
        for item in tree.body
        for name in (
            [item.name]
            if isinstance(item, ast.ClassDef)
            else [target.id for target in item.targets if isinstance(target, ast.Name)]
            if isinstance(item, ast.Assign)
            else []
        )
    }
    return Noun(member, classes[made], module, {**dict(_list_imports(tree)), **own})


def _list_imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for item in tree.body:
        if isinstance(item, ast.ImportFrom) and item.module != "__future__":
            yield from ((alias.name, item.module or "") for alias in item.names)


def write_sync() -> str:
    """The source of client/sync.py."""
    nouns = list_nouns()
    classes = "".join(map(_write_class, nouns))
    members = []
    for noun in nouns:
        if noun.member == "chat.completions":
            members.append("        self.chat = Chat(client.chat, runner)\n")
        else:
            made = f"{noun.cls.name}(client.{noun.member}, runner)"
            members.append(f"        self.{noun.member} = {made}\n")
    imports = "".join(_write_imports(nouns, classes))
    source = HEAD + imports + classes + CLIENT_CLASS.replace("{nouns}", "".join(members))
    return _format(source)


def _write_class(noun: Noun) -> str:
    module = noun.module.rpartition(".")[2]
    doc = ast.get_docstring(noun.cls, clean=False)
    lines = [
        f"\n\nclass {noun.cls.name}:\n",
        f'    """{doc}"""\n\n',
        f"    def __init__(self, calls: _{module}.{noun.cls.name}, runner: Runner) -> None:\n",
        "        self._calls = calls\n        self._runner = runner\n",
        *map(_write_call, noun.calls),
    ]
    if noun.cls.name == "ChatCompletions":
        lines += [
            '\n\nclass Chat:\n    """`client.chat`."""\n\n',
            f"    def __init__(self, chat: _{module}.Chat, runner: Runner) -> None:\n",
            "        self.completions = ChatCompletions(chat.completions, runner)\n",
        ]
    return "".join(lines)


def _write_call(call: Function) -> str:
    decorators = "".join(f"    @{ast.unparse(each)}\n" for each in call.decorator_list)
    assert call.returns is not None, call.name
    returns = ast.unparse(call.returns).replace("AsyncIterator[", "Iterator[")
    head = f"\n{decorators}    def {call.name}({ast.unparse(call.args)}) -> {returns}:"
    if decorators:
        return f"{head} ...\n"
    doc = ast.get_docstring(call, clean=False)
    asked = f"self._calls.{call.name}({_forward(call.args)})"
    how = "iterate" if returns.startswith("Iterator[") else "run"
    if "ChatCompletionStream" in returns:
        body = (
            f"        answer = self._runner.run({asked})\n"
            "        if isinstance(answer, CreateChatCompletionResponse):\n"
            "            return answer\n"
            "        return ChatCompletionStream(answer, self._runner)\n"
        )
    else:
        body = f"        return self._runner.{how}({asked})\n"
    return f'{head}\n        """{doc}"""\n{body}'


def _forward(given: ast.arguments) -> str:
    """Source text that passes a call's arguments on unchanged."""
    named = [f"{each.arg}={each.arg}" for each in given.kwonlyargs]
    rest = [f"**{given.kwarg.arg}"] if given.kwarg else []
    return ", ".join([*(each.arg for each in given.args[1:]), *named, *rest])


def _write_imports(nouns: list[Noun], classes: str) -> Iterator[str]:
    used = {node.id for node in ast.walk(ast.parse(classes)) if isinstance(node, ast.Name)}
    known = {name: module for noun in nouns for name, module in noun.names.items()}
    known["Iterator"] = "collections.abc"
    for name in sorted({noun.module.rpartition(".")[2] for noun in nouns}):
        yield f"from briggs.client import {name} as _{name}\n"
    for name in sorted(used & known.keys() - {"ChatCompletionStream", "ChatCompletions"}):
        yield f"from {known[name]} import {name}\n"


def _format(source: str) -> str:
    for command in (["check", "--fix-only", "--select", "I,F401"], ["format"]):
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "ruff", *command, "--quiet", "--stdin-filename", str(SYNC), "-"],
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        source = ended.stdout
    return source


def write_page() -> str:
    """The reference page: every call with its signature and docstring."""
    return "".join(_write_page())


def _write_page() -> Iterator[str]:
    yield "# SDK reference\n\nGenerated by `python docs/generate_sdk.py`. [The guide](sdk.md) "
    yield "explains when to use each call.\n\nThis page shows the calls of `briggs.AsyncClient`. "
    yield "`briggs.Client` has the same calls:\nuse them without `await`, and use `for` instead "
    yield "of `async for`.\n"
    calls = [
        (noun, call) for noun in list_nouns() for call in noun.calls if not call.decorator_list
    ]
    heads = _format("".join(_write_head(call) for _, call in calls))
    shown = None
    for (noun, call), item in zip(calls, ast.parse(heads).body, strict=True):
        if noun is not shown:
            yield f"\n## client.{noun.member}\n"
            shown = noun
        head = (ast.get_source_segment(heads, item) or "").removesuffix(": ...")
        yield f"\n### {noun.member}.{call.name}\n\n```python\n{head}\n```\n\n"
        yield f"{inspect.cleandoc(ast.get_docstring(call) or '')}\n"


def _write_head(call: Function) -> str:
    given = ast.unparse(call.args).removeprefix("self").removeprefix(", ")
    assert call.returns is not None, call.name
    returns = ast.unparse(call.returns)
    waits = "" if "AsyncIterator[" in returns else "async "
    return f"{waits}def {call.name}({given}) -> {returns}: ...\n"


def main() -> None:
    written = {SYNC: write_sync(), PAGE: write_page()}
    for path, text in written.items():
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            sys.exit(f"{path.relative_to(ROOT)} is stale: run python docs/generate_sdk.py")


if __name__ == "__main__":
    main()
