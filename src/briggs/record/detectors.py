"""Finds secrets and personal data in texts: keys, e-mail addresses, cards, phone numbers, IBANs.

Every pattern is matched by RE2, in linear time. A detector would rather miss something unusual than
take what is ordinary: cards and IBANs must have the right check digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

_Span = tuple[int, int]

_KEYS = (
    r"sk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic, OpenRouter, DeepSeek, Briggs
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"gh[pousr]_[A-Za-z0-9]{36,}",
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",  # AWS
    r"AIza[A-Za-z0-9_-]{35}",  # Google
    r"xox[abeprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"gsk_[A-Za-z0-9]{40,}",  # Groq
    r"xai-[A-Za-z0-9]{40,}",
    r"pplx-[A-Za-z0-9]{40,}",  # Perplexity
    r"nvapi-[A-Za-z0-9_-]{40,}",
    r"r8_[A-Za-z0-9]{30,}",  # Replicate
    r"npm_[A-Za-z0-9]{36}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",  # JSON Web Tokens
)
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
    r"(?:[A-Za-z0-9+/=\s:,.-]*?-----END [A-Z ]{0,30}PRIVATE KEY-----|[A-Za-z0-9+/=\s]*)"
)
_LETTERS = r"A-Za-z\x{80}-\x{10FFFF}"
_EMAIL = rf"[{_LETTERS}0-9._%+'-]+@(?:[{_LETTERS}0-9-]+\.)+[{_LETTERS}]{{2,}}"
_DIGITS = r"\b\d(?:[ -]?\d){12,}\b"
_PHONE = (
    r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){5,12}\b"
    r"|\(\d{3}\) ?\d{3}-\d{4}\b|\b\d{3}[-.]\d{3}[-.]\d{4}\b"
)
_IBAN = r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b"

_CARD_LENGTHS: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = (
    (("4",), (13, 16, 19)),
    (("51", "52", "53", "54", "55", *map(str, range(22, 28))), (16,)),
    (("34", "37"), (15,)),
    (("30", "36", "38", "39"), (14, 16)),
    (("60", "62", "64", "65", "81"), (16, 17, 18, 19)),
    (("35",), (16, 17, 18, 19)),
    (("50", "56", "57", "58", "63", "67"), (13, 15, 16, 18, 19)),
)
_IBAN_LENGTHS: Mapping[str, int] = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FO GL NL", "19": "MK SI",
        "20": "AT BA EE KZ LT LU XK", "21": "CH HR LI LV", "22": "BG BH DE GB GE IE ME RS",
        "23": "AE GI IL IQ OM", "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST",
        "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM", "28": "AL AZ BY CY DO GT HU LB NI PL SV",
        "29": "BR EG PS QA UA", "30": "JO KW MU", "31": "MT SC", "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip


class Detector(NamedTuple):
    """One kind of what is redacted."""

    kind: str
    pattern: Any
    """A compiled pattern for bytes in UTF-8."""
    check: Callable[[bytes, int, int], Iterable[_Span]] | None = None
    """Narrows what matched, in a text, from a place to another."""
    is_anchored: bool = False
    """Whether the pattern may depend on where a text begins or ends."""

    def find(self, text: bytes) -> Iterator[_Span]:
        """Where it occurs in a text."""
        for match in self.pattern.finditer(text):
            begin, end = match.span()
            if self.check is not None:
                yield from self.check(text, begin, end)
            elif end > begin:
                yield begin, end


def open_detectors(kinds: Iterable[str], patterns: Mapping[str, str]) -> tuple[Detector, ...]:
    """The built-in detectors of these kinds, and one for each pattern. Raises `ValueError`."""
    built_in = {
        "key": (rf"\b(?:{'|'.join(_KEYS)})|{_PRIVATE_KEY}", _check_key),
        "email": (_EMAIL, None),
        "card": (_DIGITS, _check_card),
        "iban": (_IBAN, _check_iban),
        "phone": (_PHONE, _check_phone),
    }
    own = [
        Detector(kind, compile_pattern(pattern), None, any(sign in pattern for sign in _ANCHORS))
        for kind, pattern in patterns.items()
    ]
    wanted = set(kinds)
    chosen = [
        Detector(kind, compile_pattern(pattern), check)
        for kind, (pattern, check) in built_in.items()
        if kind in wanted
    ]
    return (*own, *chosen)


def compile_pattern(pattern: str) -> Any:
    """Compile a pattern for RE2. Raises `ValueError`."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown"
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from error


_ANCHORS = ("^", "$", r"\A", r"\z", r"\Z")
_MEMORY_BYTES = 8 << 20


def _check_key(text: bytes, begin: int, end: int) -> Iterator[_Span]:
    """A key has digits, and words with hyphens have none."""
    if any(byte in b"0123456789" for byte in text[begin:end]):
        yield begin, end


def _check_phone(text: bytes, begin: int, end: int) -> Iterator[_Span]:
    digits = sum(byte in b"0123456789" for byte in text[begin:end])
    before = text[begin - 1 : begin]
    if 8 <= digits <= 15 and not (before.isalnum() or before in (b"+", b"=", b"/", b"_")):
        yield begin, end


def _check_card(text: bytes, begin: int, end: int) -> Iterator[_Span]:
    """Cards among groups of digits, such as a number and the date behind it."""
    places = [at for at in range(begin, end) if text[at : at + 1].isdigit()]
    digits = bytes(text[at] for at in places).decode()
    first = 0
    while first + 13 <= len(places):
        is_start = first == 0 or places[first - 1] + 1 != places[first]
        length = _find_card(digits, first, places) if is_start else 0
        if length:
            yield places[first], places[first + length - 1] + 1
        first += length or 1


def _find_card(digits: str, first: int, places: list[int]) -> int:
    """How many digits the card that begins here has. 0 for none."""
    for prefixes, lengths in _CARD_LENGTHS:
        if not digits.startswith(prefixes, first):
            continue
        for length in sorted(lengths, reverse=True):
            end = first + length
            is_end = end == len(places) or (
                end < len(places) and places[end - 1] + 1 != places[end]
            )
            if end <= len(places) and is_end and _passes_luhn(digits[first:end]):
                return length
    return 0


def _passes_luhn(digits: str) -> bool:
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0 and len(set(digits)) > 1


def _check_iban(text: bytes, begin: int, end: int) -> Iterator[_Span]:
    length = _IBAN_LENGTHS.get(text[begin : begin + 2].decode("ascii", "replace"), 0)
    places = [at for at in range(begin, end) if text[at] != 0x20][:length]
    if length and len(places) == length:
        compact = bytes(text[at] for at in places).decode("ascii", "replace")
        value = "".join(str(int(each, 36)) for each in compact[4:] + compact[:4])
        if int(value) % 97 == 1:
            yield begin, places[-1] + 1
