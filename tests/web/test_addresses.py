"""The state of a page is in its address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from briggs import web
from briggs.web.addresses import Address, join_path, join_query, quote_part, read_option, read_place

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def test_a_change_keeps_the_rest() -> None:
    """A link changes one parameter; None and an empty text leave it out."""
    address = Address("/x", {"tab": "raw", "tint": "", "choice": "1"})
    assert address() == "/x?tab=raw&choice=1"
    assert address("answer", tab=None, part=2) == "/x?choice=1&part=2#answer"
    assert Address("/x", {})() == "/x"


@given(st.dictionaries(TEXTS, TEXTS, max_size=4))
def test_any_state_survives(state: dict[str, str]) -> None:
    """What was put into an address is read from it again, whatever it is."""
    query = urlsplit(Address("/x", state)()).query
    assert parse_qs(query, keep_blank_values=True) == {name: [each] for name, each in state.items()}


@given(TEXTS)
def test_any_id_is_one_part_of_a_path(id: str) -> None:
    """An id with slashes or dots leads nowhere else."""
    path = join_path("sessions", id)
    assert path.count("/") == 2 and unquote(path.rpartition("/")[2]) == id


def test_half_a_surrogate_is_no_error() -> None:
    """A caller can send one. It is replaced, because an address cannot have it."""
    assert join_path("sessions", "\ud800") == "/sessions/%3F"
    assert Address("/x", {"a": "\ud800"})() == "/x?a=%3F"


def test_what_an_address_says_wrong_counts_as_not_said() -> None:
    """An unknown option is the first one, and what is no number is 0."""
    assert read_option({"tab": "b"}, "tab", ("a", "b")) == "b"
    assert read_option({"tab": "x"}, "tab", ("a", "b")) == read_option({}, "tab", ("a", "b")) == "a"
    for wrong in ("-1", "x", "1.5", "٣", "9" * 5000, ""):
        assert read_place({"part": wrong}, "part") == 0
    assert read_place({"part": "7"}, "part") == 7
    assert read_place({"part": "77"}, "part", maximum=9) == 9


def test_a_lone_surrogate_is_no_failure() -> None:
    """A model may write what no address can say. Its link then leads nowhere."""
    assert Address("/x", {"query": "a\ud83d"})(session="\udc00") == "/x?query=a%3F&session=%3F"
    assert join_path("sessions", "\ud83d") == "/sessions/%3F"
    assert join_query([("a", "\ud83d")]) == "a=%3F" and quote_part("\ud83d/") == "%3F%2F"


def test_one_module_writes_addresses() -> None:
    """No other module of the pages quotes by itself, which fails on lone surrogates."""
    modules = Path(web.__path__[0]).glob("*.py")
    quoting = [
        path.name
        for path in modules
        for line in path.read_text().splitlines()
        if line.startswith("from urllib.parse import") and ("quote" in line or "urlencode" in line)
    ]
    assert quoting == ["addresses.py"]
