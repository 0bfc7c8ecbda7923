"""The folders of `cases`: one exchange with a vendor each, as files.

    cases/PROVIDER/CASE/
        request.json      what the caller sends; `model` is `PROVIDER/MODEL`
        settings.json     members of `[providers.PROVIDER]` that the case needs (optional)
        sent.json         the body that goes to the vendor, exactly
        received.json     what the vendor answers; or received.sse, received.ndjson, or
                          received.b64 for what is not text
        status.json       the vendor's HTTP status, where it is not 200
        response.json     the chat completion that the caller gets, a stream's folded; what
                          is made here instead of received stands as in `normalise`
        error.json        the error object that the caller gets instead
        dropped.json      the parameters that are left out because the provider is told to

A request that is refused before anybody is asked has neither sent nor received.
"""

from __future__ import annotations

import base64
import json
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

from briggs.providers.catalog import VENDORS
from briggs.settings import ProviderSettings
from briggs.wires.base import Wire

CASES = Path(__file__).parent / "cases"
COMPLETION_ID = "made-here"

# The environment for the cases' providers, with the keys and regions that they need.
ENVIRONMENT = {
    "CASE_KEY": "case-key",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_RECEIVED = ("received.json", "received.sse", "received.ndjson", "received.b64")
_NAMES = {
    *("request.json", "settings.json", "sent.json", "status.json"),
    *("response.json", "error.json", "dropped.json"),
    *_RECEIVED,
}
_MADE_CALL = re.compile("call_[0-9a-f]{32}")
_MADE_WITHIN_S = 600


class Case:
    """One folder. Each file's contents are an attribute, None if there is no such file."""

    def __init__(self, folder: Path) -> None:
        self.provider = folder.parent.name
        self.id = f"{folder.parent.name}/{folder.name}"
        self._folder = folder
        self.request: Any = self._read("request.json")
        self.settings: dict[str, Any] = self._read("settings.json") or {}
        self.sent: Any = self._read("sent.json")
        self.status: int = self._read("status.json") or 200
        self.response: Any = self._read("response.json")
        self.error: Any = self._read("error.json")
        self.dropped: list[str] = self._read("dropped.json") or []
        self.received: bytes | None = None
        self.streams = False
        """Whether the vendor's answer is a stream."""
        self.is_binary = False
        self._read_received()

    @property
    def body(self) -> bytes:
        """The request as the caller sends it."""
        return (self._folder / "request.json").read_bytes()

    @property
    def body_asked(self) -> bytes:
        """The same without the dropped parameters: the answer is judged against it."""
        kept = {name: value for name, value in self.request.items() if name not in self.dropped}
        return json.dumps(kept).encode()

    @property
    def model(self) -> str:
        """The vendor's name of the model."""
        return str(self.request["model"]).partition("/")[2]

    def find_problem(self) -> str | None:
        """A sentence about a problem with the folder itself; None without one."""
        names = {path.name for path in self._folder.iterdir()}
        asks = str((self.request or {}).get("model"))
        problems = {
            f"has files of no meaning: {sorted(names - _NAMES)}": not names <= _NAMES,
            "has more than one received.*": len(names.intersection(_RECEIVED)) > 1,
            f"needs a request.json that asks for {self.provider}/MODEL": not asks.startswith(
                f"{self.provider}/"
            ),
            "needs either a response.json or an error.json": (
                (self.response is None) == (self.error is None)
            ),
            "needs a sent.json beside its response.json": (
                self.response is not None and self.sent is None
            ),
            "needs both of sent.json and received.* (json, sse, ndjson or b64), or none": (
                (self.sent is None) != (self.received is None)
            ),
        }
        found = [sentence for sentence, holds in problems.items() if holds]
        return f"tests/wires/cases/{self.id} {found[0]}" if found else None

    def _read(self, name: str) -> Any:
        path = self._folder / name
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    def _read_received(self) -> None:
        for name in _RECEIVED:
            path = self._folder / name
            if path.exists():
                data = path.read_bytes()
                self.is_binary = path.suffix == ".b64"
                self.received = base64.b64decode(data) if self.is_binary else data
                self.streams = path.suffix != ".json"


def list_cases() -> list[Case]:
    """Every folder, in order."""
    return [Case(folder) for folder in sorted(CASES.glob("*/*")) if folder.is_dir()]


def normalise(answer: dict[str, Any], *, completion_id: str = COMPLETION_ID) -> dict[str, Any]:
    """A chat completion with fixed values for the members that Briggs made up.

    The id becomes "chatcmpl-made-here", a time of just now "made here", and the ids of tool
    calls "call_made_here_0" and so on.
    """
    text = json.dumps(answer).replace(completion_id, COMPLETION_ID)
    for position, id in enumerate(dict.fromkeys(_MADE_CALL.findall(text))):
        text = text.replace(id, f"call_made_here_{position}")
    normalised: dict[str, Any] = json.loads(text)
    if abs(normalised["created"] - time.time()) < _MADE_WITHIN_S:
        normalised["created"] = "made here"
    return normalised


def as_text(value: Any) -> str:
    """JSON for comparison: `1`, `1.0` and `true` differ, and the order of keys does not matter."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False)


def named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])


def open_wire(case: Case) -> Wire:
    row = ProviderSettings(kind=case.provider, **case.settings)
    return VENDORS[case.provider].open_wire(row, environment=ENVIRONMENT)


def split(case: Case, seed: int) -> list[bytes]:
    """A stream in pieces: whole for seed 0, byte by byte for 1, at random for the others."""
    data = case.received
    assert data is not None
    chance = {0: 0.0, 1: 1.0}.get(seed, 0.03 * seed)
    draw = random.Random(seed)
    cuts = [at for at in range(1, len(data)) if draw.random() < chance]
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
