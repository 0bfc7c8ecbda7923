"""Sessions: cookies that only the servers of one record read, and tokens that fit one of them."""

from __future__ import annotations

import pytest

from briggs.accounts.sign_ins import create_secret
from briggs.web.session import Cookies, create_visit, is_token, write_token


def test_a_cookie_comes_back() -> None:
    """What was written is read, by every server of the record."""
    for secret in (create_secret("default"), create_visit()):
        assert Cookies(1).read({Cookies(1).name: secret}) == secret


@pytest.mark.parametrize(
    "cookie", ["", ".", "...", "key_1.1.n.x", "é\ud800.1.2.3", "." * 5000, f"a.{'b' * 32}\n"]
)
def test_a_cookie_of_another_form_is_none(cookie: str) -> None:
    """What is no secret is no session, whatever its bytes are."""
    assert Cookies(1).read({Cookies(1).name: cookie}) is None
    assert Cookies(1).read({}) is None


def test_a_cookie_of_another_record_is_none() -> None:
    """Servers of two records on one host neither read nor overwrite each other's cookies."""
    one, other = Cookies(1), Cookies(2)
    assert one.name != other.name
    assert other.read({one.name: create_visit()}) is None


def test_a_token_is_of_one_session() -> None:
    """The token of one session is not that of another, and does not tell the secret."""
    one, two = create_visit(), create_visit()
    assert is_token(write_token(one), one)
    assert not is_token(write_token(one), two)
    assert not is_token("", one) and not is_token("é\ud800", one)
    assert one.rpartition(".")[2] not in write_token(one)
