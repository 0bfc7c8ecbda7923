"""How long calls wait."""

from __future__ import annotations

import math
from typing import Any

import pytest

from briggs.gateway.timeouts import Policy, find_longest, open_policy, patience_left_s
from briggs.record.prices import Prices
from briggs.record.record import Call
from briggs.settings import FileSettings, LimitSettings, ModelSettings
from briggs.types.completions import Completion
from briggs.types.envelope import open_envelope
from briggs.wires.openai.face import CHAT_FACE

ENVELOPE = open_envelope(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}')


def open_file(limits: dict[str, float], **models: dict[str, float]) -> FileSettings:
    tables: Any = {
        name: ModelSettings(targets=["local/m"], **table)  # type: ignore[arg-type]
        for name, table in models.items()
    }
    return FileSettings(limits=LimitSettings(**limits), models=tables)  # type: ignore[arg-type]


def read_timers(policy: Policy) -> tuple[float | None, float | None, float | None]:
    return policy.connect_timeout_s, policy.first_token_timeout_s, policy.piece_timeout_s


def test_no_timers_without_a_word() -> None:
    """Timeouts that are the same for every call need no timer per call."""
    file = open_file({})
    policy = open_policy(file, None, waits=find_longest(file))
    assert read_timers(policy) == (None, None, None)
    assert policy.call_timeout_s is None


def test_the_transport_waits_longest() -> None:
    """If a name waits longest, the transport waits that long, and other names use timers."""
    file = open_file({}, slow={"upstream_timeout_s": 900, "connect_timeout_s": 60})
    waits = find_longest(file)
    assert waits == (60, 900)
    assert read_timers(open_policy(file, file.models["slow"], waits=waits)) == (None, None, None)
    assert read_timers(open_policy(file, None, waits=waits)) == (10, 600, 600)


def test_a_names_own_waits() -> None:
    """A name's own timeouts override the limits."""
    file = open_file({"first_token_timeout_s": 50, "call_timeout_s": 70}, a={"call_timeout_s": 5})
    policy = open_policy(file, file.models["a"], waits=find_longest(file))
    assert (policy.first_token_timeout_s, policy.call_timeout_s) == (50, 5)
    file = open_file({}, a={"upstream_timeout_s": 5})
    assert read_timers(open_policy(file, file.models["a"], waits=find_longest(file)))[1] == 5


@pytest.mark.parametrize(
    ("patience", "limit_s"),
    [(b"", math.inf), (b"60", 60), (b"0.5", 0.5), (b"soon", math.inf), (b"nan", math.inf)],
)
def test_patience(patience: bytes, limit_s: float) -> None:
    """A client's own timeout limits the call if it is a number. Otherwise it is ignored."""
    call = Call(
        ENVELOPE, Completion(organization_id="default"), Prices(), CHAT_FACE, patience=patience
    )
    left_s = patience_left_s(call, Policy())
    assert left_s == limit_s or limit_s - 1 < left_s <= limit_s
