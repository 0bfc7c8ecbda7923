"""What is about PostgreSQL only."""

from __future__ import annotations

import pytest


@pytest.fixture
def database() -> str:
    return "postgres"
