"""Values that break programs, and ways to put them into JSON and into bytes."""

from __future__ import annotations

import copy
import gzip
import json
import random
from typing import Any, NamedTuple


class Raw(NamedTuple):
    """JSON text that `json` cannot write: it stands in the body as it is."""

    text: str


TEXTS = [
    "",
    " ",
    "\0",
    "\x1b]0;owned\x07\x1b[2J\x1b[31m",
    "\x9b31m",
    "a\r\nx-forged: 1\r\n\r\nFORGED",
    "a\nERROR FORGED: a line of the log",
    "' OR '1'='1' --",
    "'; DROP TABLE completions; --",
    '" OR 1=1; --',
    "%' ESCAPE '!",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "$(id)`id`;id|id",
    "{{7*7}}${7*7}",
    "<script>alert(1)</script>",
    "=HYPERLINK(0)",
    "\u202egnp.exe",
    "\u2028\u2029\u0085",
    "\ufeff",
    "\ud800",
    "\U0010ffff",
    "e\u0301" * 50,
    "a" * 5000,
    "a" * 40 + "!",
    "-1",
    "9" * 400,
    "NaN",
    "null",
    "__proto__",
    "[" * 3000,
    "(a+)+$",
]
NUMBERS: list[Any] = [
    *(0, -1, 1, 129, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**300),
    *(0.1, -0.5, 1e308, -1e308, 1e-320),
    *(Raw("1e999"), Raw("-1e999"), Raw("NaN"), Raw("-Infinity"), Raw("9" * 5000), Raw("-0")),
]
SHAPES: list[Any] = [
    None,
    True,
    False,
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    [None],
    ["x"] * 200,
    {"x": {"y": [1]}},
    {str(number): number for number in range(300)},
    Raw("[" * 500 + "]" * 500),
    Raw('{"a":' * 500 + "1" + "}" * 500),
    Raw("[" * 20_000 + "]" * 20_000),
    Raw('{"a": 1, "a": 2}'),
    Raw('"\\ud800"'),
    Raw('"\\u0000"'),
]


def draw_value(draw: random.Random) -> Any:
    """Something that a member might not be."""
    return copy.deepcopy(draw.choice(draw.choice([TEXTS, NUMBERS, SHAPES])))


def mutate(value: Any, draw: random.Random, *, times: int = 3) -> Any:
    """The same JSON with a few of its members replaced, left out, repeated or added."""
    changed = copy.deepcopy(value)
    for _ in range(draw.randint(1, times)):
        places = _list_places(changed)
        if not places:
            return changed
        _change(*draw.choice(places), draw)
    return changed


def encode(value: Any) -> bytes:
    """JSON as bytes, with what is `Raw` in it as it is. Lone surrogates are escaped."""
    raws: dict[str, str] = {}

    def name(value: Any) -> str:
        if not isinstance(value, Raw):
            raise TypeError(value)
        raws[f"raw-{len(raws)}-raw"] = value.text
        return f"raw-{len(raws) - 1}-raw"

    text = json.dumps(_unwrap(value, name))
    for mark, raw in raws.items():
        text = text.replace(f'"{mark}"', raw)
    return text.encode()


def pack(data: bytes, level: int = 9) -> bytes:
    """Compressed with gzip, without the time, so that a seed gives the same bytes again."""
    return gzip.compress(data, level, mtime=0)


def mutate_bytes(data: bytes, draw: random.Random) -> bytes:
    """The same bytes with some of them changed, lost, repeated, or added."""
    begin, end = sorted((draw.randint(0, len(data)), draw.randint(0, len(data))))
    end = min(end, begin + 200)
    middle = data[begin:end]
    return (
        data[:begin]
        + draw.choice(
            [
                b"",
                middle * draw.choice([2, 3, 50]),
                bytes(draw.getrandbits(8) for _ in range(draw.randint(1, 20))),
                bytes(byte ^ 1 << draw.randrange(8) for byte in middle),
                middle[::-1],
                draw.choice(TEXTS).encode("utf-8", "surrogatepass") + middle,
                draw.choice(
                    [b"\0", b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\r", b"\n\n", b'"']
                )
                + middle,
            ]
        )
        + data[end:]
    )


def cut(data: bytes, draw: random.Random, *, most: int = 12) -> list[bytes]:
    """Bytes in pieces, cut anywhere."""
    cuts = sorted(draw.randint(0, len(data)) for _ in range(draw.randint(0, most)))
    pieces = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


def _list_places(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    places = [(value, key) for key in keys]
    return places + [place for key in keys for place in _list_places(value[key])]


def _change(holder: Any, key: Any, draw: random.Random) -> None:
    action = draw.random()
    if action < 0.15:
        del holder[key]
    elif action < 0.25 and isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[key]) for _ in range(draw.choice([1, 2, 150])))
    elif action < 0.35 and isinstance(holder, dict):
        holder[draw.choice(TEXTS)] = draw_value(draw)
    elif action < 0.45:
        holder[key] = [holder[key]]
    else:
        holder[key] = draw_value(draw)


def _unwrap(value: Any, name: Any) -> Any:
    """The value with marks for what is `Raw`, which `json` would write as a list."""
    if isinstance(value, Raw):
        return name(value)
    if isinstance(value, dict):
        return {key: _unwrap(inner, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unwrap(inner, name) for inner in value]
    return value
