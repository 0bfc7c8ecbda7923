"""What the tests of pages may ask for: a browser without JavaScript that is signed in."""

from __future__ import annotations

import pytest

from tests.processes import Server
from tests.web.visitor import Visitor


@pytest.fixture
def visitor(server: Server) -> Visitor:
    """A browser without JavaScript, signed in by the first key."""
    return Visitor(server)
