"""The pages of datasets, as a browser without JavaScript gets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from briggs import Client
from briggs.types.datasets import Sample
from briggs.web.datasets import present_sample
from tests.processes import Server, run_server
from tests.web.visitor import Visitor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("datasets") / "data") as server:
        yield server


def test_versions_and_samples(server: Server) -> None:
    """The list leads to a version, its samples come in pages, and what others wrote is text."""
    visitor = Visitor(server)
    assert b"No dataset yet." in visitor.visit("/datasets").body
    rows = [{"id": f"s{n}", "input": f"<b>question {n}", "target": "<i>yes"} for n in range(30)]
    with Client(server.url, server.key) as client:
        client.datasets.create("asked", rows[:2])
        client.datasets.create("asked", rows)
    assert b"/datasets/asked%402" in visitor.visit("/datasets").body
    page = visitor.visit("/datasets/asked@2").body.decode()
    assert "&lt;b&gt;question 24" in page and "question 25" not in page and "<b>q" not in page
    assert "1 to 25 of 30" in page and "/datasets/asked%401" in page
    assert "26 to 30 of 30" in visitor.visit("/datasets/asked@2?page=1").body.decode()
    assert "26 to 30 of 30" in visitor.visit("/datasets/asked?page=99").body.decode()
    assert visitor.visit("/datasets/asked@3").status == 404


def test_a_sample() -> None:
    """The last message is shown, with references or tool calls, and where it was made of."""
    asked = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    calls = [{"name": "f", "arguments": {}}]
    shown = present_sample(Sample(id="1", messages=asked, tool_calls=calls, completion_id="c"))
    assert (shown.question, shown.completion) == ("Hi", "/completions/c")
    assert shown.references == ['{"name": "f", "arguments": {}}']
