"""Markdown is formatted, and nothing in it runs or loads."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.types.tokens import Piece
from briggs.web.markdown import IMAGE_CHARACTERS_MAX, render_instruction, render_markdown
from briggs.web.tint import align

MARKUP = st.text(st.sampled_from("ab *_`[]()<>!#-|&;\\\n~:/0123.\"'=\t"), max_size=80)
PIXEL = "data:image/png;base64,iVBORw0KGgo="


class Reader(HTMLParser):
    """Collects the text, the tags with their attributes, and the text of each token."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tokens = "", dict[str, str]()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._token: str | None = None
        self.feed(str(html))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._token = dict(attrs).get("data-t")

    def handle_endtag(self, tag: str) -> None:
        self._token = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._token is not None:
            self.tokens[self._token] = self.tokens.get(self._token, "") + data


def split(text: str) -> list[Piece]:
    words = re.findall(r"\s*\w+|\s*.|\s+", text, re.DOTALL)
    return [Piece(word, -1.0, at, at) for at, word in enumerate(words)]


@given(MARKUP)
def test_the_tint_does_not_change_the_text(text: str) -> None:
    """A formatted text is the same with and without its tokens marked."""
    plain, tinted = render_markdown(align(text)), render_markdown(align(text, split(text)))
    assert Reader(tinted).text == Reader(plain).text
    without = [tag for tag, _ in Reader(tinted).tags if tag != "span"]
    assert without == [tag for tag, _ in Reader(plain).tags]


def test_every_token_of_the_text_is_marked() -> None:
    """Tokens are found within emphasis, links, lists, tables, code and escapes."""
    text = (
        "# A title\n\n1. **one `two`** \\* [three](http://x.y/three 'a') four\n"
        "> five\n\n| six | seven |\n|---|---|\n| eight | nine |\n\n"
        "```py\nten = 10\n  eleven\n```\n![alt](http://x.y/z.png) twelve <http://a.b> &amp; end"
    )
    found = Reader(render_markdown(align(text, split(text)))).tokens
    by_place = {str(piece.first): piece.text.strip() for piece in split(text)}
    for token, shown in found.items():
        if shown.strip() not in ("&", "*"):
            assert shown.strip() == by_place[token], token
    words = {shown.strip() for shown in found.values()}
    assert words >= {
        "title", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "10", "eleven", "twelve", "end", "*", "&",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg><script>1</script></svg><style>*{}</style><iframe src=/></iframe>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&colon;alert(1))",
        "[x](data:text/html,<script>1</script>)",
        "[x](vbscript:1) [y](//evil.example) [z](/completions/1/delete) [w](file:///etc/passwd)",
        "![x](data:image/svg+xml;base64,PHN2Zz4=)",
        "![x](http://tracker.example/pixel.png)",
        "[a]: javascript:1\n\n[a]",
        '[x](http://a.b "><img src=x onerror=1>")',
        '```html"><script>1</script>\n</code></pre><script>1</script>\n```',
        "<http://a.b/\"onmouseover='alert(1)'>",
        "\x00\u202e\x1b[31m<b onclick=1>",
    ],
)
def test_hostile_markdown_does_nothing(text: str) -> None:
    """No script, no handler, no style, no request, no link that is not to the web."""
    rendered = render_markdown(align(text, split(text)))
    for tag, attributes in Reader(rendered).tags:
        assert tag not in ("script", "style", "svg", "iframe", "img")
        assert set(attributes) <= {"href", "rel", "class", "data-t", "dir"}
        assert (attributes.get("href") or "http://").startswith(("http://", "https://", "mailto:"))
        assert tag != "a" or attributes["rel"] == "noopener noreferrer nofollow"
    assert not {"\x00", "\u202e", "\x1b"} & set(rendered)


def test_an_image_is_shown_only_if_it_is_part_of_the_text() -> None:
    """A data URL of a harmless format is shown; any other image is a link or its name."""
    assert f'<img src="{PIXEL}" alt="x">' in render_markdown(align(f"![x]({PIXEL})"))
    assert '<a href="http://a.b/c.png"' in render_markdown(align("![x](http://a.b/c.png)"))
    large = "data:image/png;base64," + "A" * IMAGE_CHARACTERS_MAX
    assert "<img" not in render_markdown(align(f"![x]({large})"))


def test_blocks_begin_on_the_side_of_their_language() -> None:
    """Each block decides its direction by itself, and code is always left to right."""
    assert '<p dir="auto">' in render_markdown(align("مرحبا"))
    assert '<pre dir="ltr">' in render_markdown(align("```\nx\n```"))


@pytest.mark.parametrize("unit", ["[", "![", "*a ", "`", ">", "- ", "[a](", "[](<", "\\", "a|"])
def test_pathological_markdown_takes_no_time(unit: str) -> None:
    """A page's worth of one construct is rendered within seconds."""
    text = (unit * 16_000)[:16_000]
    began = time.process_time()
    render_markdown(align(text, split(text)))
    assert time.process_time() - began < 10


def test_a_long_instruction_stays_as_it_is() -> None:
    """What would take long to format is escaped and shown as text."""
    shown = render_instruction("**b** <b>\n" * 10_000)
    assert "**b** &lt;b&gt;" in shown and "<strong>" not in shown
