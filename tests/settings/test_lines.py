"""The lines on which a file's members stand."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.settings.lines import MemberPath, find_lines

TEXT = '''
a = 1 # [not] = "this"
"b c".d = [1, 2,
  { x = 1, "y" = "}" }, # ]
  [3],
]
[models."gpt.5"]
targets = ["a#b", """x
"y""""]
when = 1979-05-27 07:32:00
[[list]]
a = 'it''
[[list]]
"\\u00e9" = 2
[list.sub]
z . q = {}
'''.replace("'it''", "'it'")


def walk(value: Any, place: MemberPath = ()) -> Iterator[MemberPath]:
    """Every member of a decoded text."""
    if place:
        yield place
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for name, inner in pairs:
        yield from walk(inner, (*place, name))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("a",), 2),
        (("b c",), 3),
        (("b c", "d", 1), 3),
        (("b c", "d", 2, "y"), 4),
        (("b c", "d", 3, 0), 5),
        (("models",), 7),
        (("models", "gpt.5", "targets", 1), 8),
        (("models", "gpt.5", "when"), 10),
        (("list", 0, "a"), 12),
        (("list", 1), 13),
        (("list", 1, "é"), 14),
        (("list", 1, "sub", "z", "q"), 16),
    ],
)
def test_where_a_member_is(place: MemberPath, line: int) -> None:
    """A member's line is that of its name. A list item's line is where the item begins."""
    assert find_lines(TEXT)[place] == line


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), "", "a = 1"])
def test_all_members_are_found(text: str) -> None:
    """Our reader finds the same members as tomllib."""
    assert set(find_lines(text)) == set(walk(tomllib.loads(text)))


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5)
values = st.recursive(
    st.integers(-9, 9) | names | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def write(value: Any, *, newline: str) -> str:
    """Write a value as TOML. A JSON string is a TOML string; lists span several lines."""
    if isinstance(value, dict):
        inner = ", ".join(
            f"{write(name, newline='')} = {write(one, newline='')}" for name, one in value.items()
        )
        return f"{{{inner}}}"
    if isinstance(value, list):
        inner = f",{newline}".join(write(one, newline=newline) for one in value)
        return f"[{newline}{inner}{newline} # ]\n]" if newline else f"[{inner}]"
    return json.dumps(value, ensure_ascii=False)


@given(
    tables=st.dictionaries(names, st.dictionaries(names, values, max_size=3), max_size=3),
    newline=st.sampled_from(["", "\n", "\r\n"]),
)
def test_any_text(tables: dict[str, dict[str, Any]], newline: str) -> None:
    """Both readers find the same members, whatever a file contains and however it is split."""
    text = "".join(
        f"[{write(table, newline='')}] # x = 1\n"
        + "".join(
            f"{write(name, newline='')} = {write(value, newline=newline)}\n"
            for name, value in members.items()
        )
        for table, members in tables.items()
    )
    content = tomllib.loads(text)
    assert set(find_lines(text)) == set(walk(content))
