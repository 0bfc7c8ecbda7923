"""The order in which targets are tried."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from briggs.gateway.cooling import Cooling
from briggs.gateway.order import Share, Targets, arrange, draw
from briggs.gateway.timeouts import Policy
from briggs.providers.base import Target
from briggs.settings import CoolDownSettings
from briggs.types.completions import Completion

COOLING = Cooling(CoolDownSettings())
PROVIDER: Any = object()

weights = st.dictionaries(st.text(max_size=3), st.floats(0.001, 1000), min_size=1, max_size=6)


def create_targets(*shares: Share, **members: Any) -> Targets:
    return Targets(shares, Policy(), COOLING, **members)


def choose(name: str, weight: float = 1) -> Share:
    return Share(name, Target(PROVIDER, name), weight)


def list_models(targets: Targets, **members: Any) -> list[str]:
    completion = Completion(organization_id="default", **members)
    return [target.model for target in arrange(targets, completion)]


@given(weights=weights, key=st.text())
def test_every_share_is_drawn_once(weights: dict[str, float], key: str) -> None:
    """A draw keeps every share, and the same key gives the same order."""
    shares = [choose(name, weight) for name, weight in weights.items()]
    drawn = draw(shares, key=key)
    assert sorted(drawn, key=shares.index) == shares
    assert draw(shares[::-1], key=key) == drawn


@given(weights=weights, key=st.text(), data=st.data())
def test_who_goes_moves_nobody_else(weights: dict[str, float], key: str, data: Any) -> None:
    """If a share is removed, the others keep their order: only its own sessions move."""
    shares = [choose(name, weight) for name, weight in weights.items()]
    gone = data.draw(st.sampled_from(shares))
    left = [share for share in draw(shares, key=key) if share != gone]
    assert draw([share for share in shares if share != gone], key=key) == left


def test_shares() -> None:
    """Each is first as often as its weight says."""
    shares = [choose("a", 6), choose("b", 3), choose("c", 1)]
    first = Counter(draw(shares, key=str(number))[0].name for number in range(10_000))
    # Four standard deviations of 10,000 draws are at most 200.
    assert abs(first["a"] - 6000) < 200
    assert abs(first["b"] - 3000) < 200
    assert abs(first["c"] - 1000) < 200


def test_the_files_order() -> None:
    """Without weights, targets are tried in the order of the list."""
    targets = create_targets(choose("b"), choose("a"), choose("c"))
    assert list_models(targets) == ["b", "a", "c"]
    assert list_models(targets, session_id="s") == ["b", "a", "c"]


def test_weights_need_no_session() -> None:
    """By weight, each call is drawn by itself. Sticky sessions keep a session's calls together."""
    targets = create_targets(*map(choose, "abcdef"), strategy="weight", sticky="session")
    assert len({list_models(targets)[0] for _ in range(100)}) > 1
    assert len({tuple(list_models(targets, session_id="s")) for _ in range(20)}) == 1
    assert len({list_models(targets, session_id=f"s{number}")[0] for number in range(100)}) > 1


def test_names_within_names() -> None:
    """A name in the list is replaced by its targets, in their own order, each once."""
    inner = create_targets(choose("c"), choose("b"))
    targets = create_targets(choose("a"), Share("inner", inner), choose("b"), choose("d"))
    assert list_models(targets) == ["a", "c", "b", "d"]
