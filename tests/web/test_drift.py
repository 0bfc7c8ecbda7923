"""The pages of drift, as a browser without JavaScript gets them, and what its plots draw."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from briggs import Client
from briggs.types.drift import DriftRound
from briggs.web.drift_charts import draw_figure, draw_statistic, list_fingerprints, place
from tests.processes import Server, create_response, run_server
from tests.web.visitor import Visitor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("drift") / "data") as server:
        yield server


def test_watch_look_pause_and_delete(server: Server) -> None:
    """A watch is made, looks, shows its change with the evidence, is paused and deleted."""
    visitor = Visitor(server)
    assert b"No target is watched." in visitor.visit("/drift").body
    form = {"target": "local/briggs-tiny", "source": "traffic", "minutes": "60", "window": "8"}
    visitor.submit("/drift", **form)
    path = visitor.path
    assert b"No look yet" in visitor.visit(path).body
    with Client(server.url, server.key) as client:
        for number in range(16):
            said = create_response("yes" if number < 8 else "<b>no")
            for request in range(3):
                messages = [{"role": "user", "content": f"Is it {request}?"}]
                call = {"model": "local/briggs-tiny", "messages": messages, "seed": 7}
                client.completions.create(call, said)
    assert visitor.submit(f"{path}/ask").status == 200
    page = visitor.visit(path).body.decode()
    assert "to repeated requests changed between" in page and 'class="change"' in page
    assert "its newest call" in page and "<b>no" not in page
    assert "with the same seed: 100 % before, 100 % now, 0 % across the change" in page
    assert "<figcaption>Seeded repeats" in page
    assert "changed</span>" in visitor.visit("/drift").body.decode()
    visitor.visit(path)
    assert b"paused" in visitor.submit(f"{path}/pause").body
    assert b"paused" not in visitor.submit(f"{path}/pause").body
    visitor.submit(f"{path}/delete")
    assert visitor.path == "/drift" and visitor.visit(path).status == 404


def test_what_cannot_be_watched(server: Server) -> None:
    """A wrong form says what is wrong, and a key that only reads watches nothing."""
    visitor = Visitor(server)
    visitor.visit("/drift")
    form = {"target": "local/briggs-tiny", "source": "probes", "minutes": "10", "window": "24"}
    for name, value in (("target", ""), ("minutes", "0"), ("window", "7"), ("target", "no/model")):
        assert visitor.post("/drift", **{**form, name: value}).status in (400, 404), name
    made = server.send("POST", "/v1/organization/admin_api_keys", {"name": "r", "scopes": ["read"]})
    reader = Visitor(server, key=made.json["value"])
    assert b"Watch a target" not in reader.visit("/drift").body
    assert reader.submit("/drift", **form).status == 403


def create_round(at: int, *, p: float | None = None, fingerprint: str = "a") -> DriftRound:
    return DriftRound(
        organization_id="default",
        watch_id="w",
        at=at,
        logprobs=[],
        texts=[],
        fingerprints=[fingerprint],
        completion_ids=[],
        duration_ms=None,
        completion_tokens=None,
        failures=0,
        p=p,
    )


def test_the_timeline() -> None:
    """A low p is high up; gaps stay gaps; only changes of fingerprints are listed."""
    rounds = [create_round(0, p=1.0), create_round(50), create_round(100, p=0.0001)]
    plot = draw_statistic(rounds, [])
    assert 'd="M0.0 95.0h.01M1000.0 4.0h.01"' in plot.svg
    assert [each.text for each in plot.ticks] == ["p 1", "p 0.1", "p 0.01", "p 0.0005"]
    assert draw_figure("Time", rounds, [None] * 3, []) is None
    found = draw_figure("Time", rounds, [1.0, 2.0, 4.0], [], unit=" ms")
    assert found is not None and [each.text for each in found.ticks] == ["4 ms", "0"]
    assert "L1000.0 4.0" in found.svg
    slow = draw_figure("Time", rounds, [1_423.4, 2.0, 4.0], [], unit=" ms")
    assert slow is not None and slow.ticks[0].text == "1,423 ms"
    assert [place(at, rounds) for at in (-5, 50, 500)] == [0, 0.5, 1]
    assert place(7, rounds[:1]) == 0.5
    several = [create_round(0), create_round(1), create_round(2, fingerprint="b")]
    assert [names for _, names in list_fingerprints(several)] == [["a"], ["b"]]
