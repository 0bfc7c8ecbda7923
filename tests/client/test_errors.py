"""`except briggs.BriggsError` catches everything that the SDK raises."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

import briggs

SOURCES = sorted((Path(briggs.__file__).parent / "client").glob("*.py"))
# Errors that never leave the package.
INNER = {"NotImplementedError", "SpoolFull"}


def list_raised() -> set[tuple[str, str]]:
    """The modules of the SDK, each with the names of classes that it raises."""
    found: set[tuple[str, str]] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                raised = node.exc.func
                if isinstance(raised, ast.Name) and raised.id[0].isupper():
                    found.add((f"briggs.client.{source.stem}", raised.id))
    return found


def test_every_raised_class_is_in_the_tree() -> None:
    """No module of the SDK raises a class outside the tree, except to itself."""
    raised = list_raised()
    assert ("briggs.client.marks", "InvalidArgument") in raised
    for module, name in raised:
        if name not in INNER:
            assert issubclass(getattr(importlib.import_module(module), name), briggs.BriggsError)


def ask(**arguments: object) -> None:
    with briggs.Client("http://127.0.0.1:9", "key") as client:
        client.chat.completions.create(**arguments)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("call", "cls"),
    [
        (lambda: ask(model="m", messages=[]), briggs.ServerUnreachable),
        (lambda: ask(model="m", messages=[{"role": object()}]), briggs.InvalidArgument),
        (lambda: ask(model="m", messages=[], stream=True, seed={1: {2}.union}), briggs.InvalidCall),
        (lambda: ask(model="m", messages=[{1.5: 2j}]), briggs.ClientError),
        (lambda: briggs.log({"messages": object()}), briggs.InvalidArgument),
        (lambda: briggs.tags(""), briggs.InvalidArgument),
        (lambda: briggs.wrap(object()), briggs.InvalidArgument),
        (lambda: briggs.Client("nowhere"), briggs.InvalidCall),
    ],
)
def test_one_clause_catches_all(call: Callable[[], object], cls: type[Exception]) -> None:
    """A server that is away and each kind of wrong argument raise a `BriggsError`."""
    with pytest.raises(briggs.BriggsError) as raised:
        call()
    assert isinstance(raised.value, cls)
    assert raised.value.message == str(raised.value)
