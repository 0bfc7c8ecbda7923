"""A model's name chooses no address but its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from briggs.providers.catalog import VENDORS
from briggs.settings import ProviderSettings
from briggs.types.errors import InvalidRequest
from tests.wires.folders import ENVIRONMENT

BASE = "http://vendor.example/base"
NAMED = {
    "bedrock": {},
    "gemini": {},
    "azure": {"api_version": "2025-04-01-preview"},
}
"""The vendors whose addresses have the model's name in them."""
NAMES = [
    *("http://169.254.169.254/latest", "//evil.example/x", "@evil.example", "x@evil.example"),
    *("../../x", "..%2f..%2fx", "x/../../y", "x?y=1", "x#y", "x y", "x\r\nHost: evil.example"),
    *("file:///etc/passwd", "\\\\evil.example\\x", "%2e%2e", "models/../x", "\0", "é"),
]


def open_url(kind: str, model: str) -> str:
    settings: Any = {"base_url": BASE, **NAMED[kind]}
    row = ProviderSettings(kind=kind, **settings)
    wire = VENDORS[kind].open_wire(row, environment=ENVIRONMENT)
    return wire.url(BASE, model=model, stream=False)


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("model", NAMES)
def test_a_name_stays_one_segment(kind: str, model: str) -> None:
    """Whatever is in a name, it is one segment of the path, behind the vendor's own address."""
    usual, url = urlsplit(open_url(kind, "usual")), urlsplit(open_url(kind, model))
    assert (url.scheme, url.netloc) == (usual.scheme, usual.netloc)
    assert (url.query, url.fragment) == (usual.query, usual.fragment)
    assert url.path.count("/") == usual.path.count("/")
    assert not {".", ".."} & set(url.path.split("/"))
    assert url.geturl().isprintable()
    assert " " not in url.geturl()


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("model", [".", ".."])
def test_a_name_that_leads_elsewhere(kind: str, model: str) -> None:
    """A segment of dots would mean another address, so that nothing is asked."""
    with pytest.raises(InvalidRequest, match="cannot be the name of a model") as refused:
        open_url(kind, model)
    assert refused.value.param == "model"
