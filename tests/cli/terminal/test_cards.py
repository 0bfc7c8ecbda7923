"""The cards of one completion."""

from __future__ import annotations

import msgspec
import pytest

from briggs.cli.terminal.cards import print_completion
from briggs.client import StoredCompletion


def test_retry(capsys: pytest.CaptureFixture[str]) -> None:
    """A retry shows the id of the call that it repeats."""
    details = {"id": "id-3", "status": "finished", "created_at": 1790000000}
    details |= {"retry_count": 2, "retry_of": "id-1"}
    content = {"id": "id-3", "choices": [], "briggs": details}
    print_completion(msgspec.convert(content, StoredCompletion), logprobs=False)
    lines = capsys.readouterr().out.splitlines()
    assert ["retry", "of", "id-1"] in [line.split() for line in lines]
    assert "retry 2 of the caller" in lines[-1]


def test_what_answered_a_call_that_a_program_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """No provider is known then, only the model that the answer names."""
    details = {"id": "id-3", "status": "finished", "created_at": 1790000000}
    content = {"id": "id-3", "choices": [], "briggs": details | {"response_model": "m-1"}}
    print_completion(msgspec.convert(content, StoredCompletion), logprobs=False)
    lines = capsys.readouterr().out.splitlines()
    assert ["answered", "by", "m-1"] in [line.split() for line in lines]


def test_cost_and_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    """A cost is shown with the source of its price."""
    details = {"id": "id-3", "status": "finished", "created_at": 1790000000}
    details |= {"cost_usd": 0.95, "price_source": "provider"}
    content = {"id": "id-3", "choices": [], "briggs": details}
    print_completion(msgspec.convert(content, StoredCompletion), logprobs=False)
    assert "$0.95 (provider)" in capsys.readouterr().out
