"""Leaves out the clients that are too heavy for every run, unless they are installed."""

from __future__ import annotations

from pathlib import Path

HEAVY = {"test_claude_code.py": "claude-code", "test_defaults.py": "inspect"}
"""`make test-clients` makes these environments."""
_MADE = Path(__file__).parents[2] / ".venvs"
collect_ignore = [name for name, it in HEAVY.items() if not (_MADE / it / "ready").exists()]
