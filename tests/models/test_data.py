"""The text that the built-in model learns from."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

from models.data import is_held_out, training_conversations

ROOT = Path(__file__).parents[2]


def test_nothing_held_out_is_learnt() -> None:
    """Training never sees the questions of the evaluation."""
    for conversation in itertools.islice(training_conversations(1), 3000):
        assert not is_held_out(conversation.example)


def test_the_same_seed_gives_the_same_text() -> None:
    """Training text is a function of its seed."""
    first, again, other = (
        list(itertools.islice(training_conversations(seed), 50)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_the_text_needs_no_torch() -> None:
    """The generator runs on the standard library alone."""
    code = "import sys, models.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_card_is_true() -> None:
    """The published evaluation belongs to the shipped model, which can add."""
    model = ROOT / "src" / "briggs" / "providers" / "briggs-tiny.gguf"
    evaluation = json.loads((ROOT / "models" / "evaluation.json").read_text())
    assert evaluation["gguf_bytes"] == model.stat().st_size <= 6_000_000
    assert evaluation["skills"]["add_two_digits"]["exact_match"] >= 0.9
