"""Renders Markdown that a model or a user wrote. Nothing in it runs or loads."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token as Node
from markupsafe import Markup, escape

from briggs.types.texts import printable
from briggs.web.tint import Tinted, align, mark, mark_as

IMAGE_CHARACTERS_MAX = 300_000
INSTRUCTION_CHARACTERS_MAX = 32_000
SEARCH_CHARACTERS_MAX = 2_000
"""How far markup may separate two texts that follow each other."""

_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}\Z")
_LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
_TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "a", "img", "span", "code", "pre", "blockquote"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {
    "*": set[str](),
    "a": {"href"},
    "img": {"src", "alt"},
    "ol": {"start"},
    "span": {"class", "data-t"},
    "th": {"class"},
    "td": {"class"},
    **{name: {"dir"} for name in ("p", "blockquote", "pre", "ul", "table")},
    **{f"h{size}": {"dir"} for size in range(1, 7)},
}


def render_markdown(tinted: Tinted) -> Markup:
    """A text as sanitised HTML. Its tokens keep their tint within the formatted text."""
    html = _MARKDOWN.render(tinted.text, {"writer": _Writer(tinted)})
    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_keep_attribute,
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(cleaned)  # noqa: S704 (it was sanitised)


def render_instruction(text: str) -> Markup:
    """A task's instruction as sanitised HTML. One that is very long stays as it is written."""
    if len(text) > INSTRUCTION_CHARACTERS_MAX:
        return Markup('<p class="pre-line" dir="auto">{}</p>').format(printable(text))
    return render_markdown(align(text))


def is_shown_image(url: str) -> bool:
    """Whether an image is shown: only one that is part of the record, in a harmless format."""
    return len(url) <= IMAGE_CHARACTERS_MAX and _IMAGE.match(url) is not None


def is_link(url: str) -> bool:
    """Whether an address may be a link."""
    return _LINK.match(url) is not None


class _Writer:
    """Writes the texts of a document in order, each as the tokens at its place in the source."""

    def __init__(self, tinted: Tinted) -> None:
        self._tinted = tinted
        self._at = 0

    def write(self, text: str, *, source: str | None = None) -> str:
        """A text on one line. `source` is how it is written in Markdown, if that differs."""
        found = self._find(text if source is None else source)
        if found is None:
            return str(escape(printable(text)))
        if source is None:
            return str(mark(self._tinted, found, found + len(text)))
        spans = self._tinted.list_spans(found, found + len(source))
        return str(mark_as(text, spans[0].piece if spans else None))

    def write_lines(self, text: str) -> str:
        """A text on several lines, such as code."""
        return "".join(
            self.write(line.rstrip("\n")) + "\n" * line.endswith("\n")
            for line in text.splitlines(keepends=True)
        )

    def pass_target(self) -> None:
        """Pass the target of a link or an image, whose text has just been written."""
        text, at = self._tinted.text, self._at
        if text[at : at + 2] in ("](", "]["):
            ends = {"(": ")", "[": "]"}
            begin, depth = text[at + 1], 0
            for end in range(at + 1, min(len(text), at + 1 + SEARCH_CHARACTERS_MAX)):
                depth += (text[end] == begin) - (text[end] == ends[begin])
                if depth == 0:
                    self._at = end + 1
                    return

    def pass_text(self, source: str) -> None:
        """Pass a text that is not written."""
        self._find(source)

    def _find(self, source: str) -> int | None:
        limit = self._at + len(source) + SEARCH_CHARACTERS_MAX
        found = self._tinted.text.find(source, self._at, limit)
        if found < 0 or not source:
            return None
        self._at = found + len(source)
        return found


Nodes = Sequence[Node]
Environment = MutableMapping[str, Any]


class _Renderer(RendererHTML):
    """Its methods are named for the kinds of nodes that they render."""

    def text(self, nodes: Nodes, at: int, options: Any, env: Environment) -> str:
        written: str = env["writer"].write(nodes[at].content)
        return written

    def text_special(self, nodes: Nodes, at: int, options: Any, env: Environment) -> str:
        written: str = env["writer"].write(nodes[at].content, source=nodes[at].markup)
        return written

    def code_inline(self, nodes: Nodes, at: int, options: Any, env: Environment) -> str:
        return f"<code>{env['writer'].write(nodes[at].content)}</code>"

    def code_block(self, nodes: Nodes, at: int, options: Any, env: Environment) -> str:
        return f'<pre dir="ltr"><code>{env["writer"].write_lines(nodes[at].content)}</code></pre>\n'

    def fence(self, nodes: Nodes, at: int, options: Any, env: Environment) -> str:
        env["writer"].pass_text(nodes[at].info)
        return self.code_block(nodes, at, options, env)

    def image(self, nodes: Nodes, at: int, options: Any, env: Environment) -> str:
        """An image of the record, or a link to one elsewhere, which is not loaded."""
        url, name = str(nodes[at].attrs.get("src", "")), nodes[at].content
        env["writer"].pass_text(name)
        env["writer"].pass_target()
        shown = escape(printable(name or "image"))
        if is_shown_image(url):
            return f'<img src="{escape(url)}" alt="{shown}">'
        return f'<a href="{escape(url)}">{shown}</a>' if is_link(url) else str(shown)

    def link_close(self, nodes: Nodes, at: int, options: Any, env: Environment) -> str:
        env["writer"].pass_target()
        return "</a>"

    def softbreak(self, nodes: Nodes, at: int, options: Any, env: Environment) -> str:
        """A single line break is kept, because models mean it."""
        return "<br>\n"


def _create_markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
    # Joined texts would hide where in the source they come from.
    markdown.enable(["table", "strikethrough"]).disable("text_join")
    markdown.validateLink = lambda url: is_link(url) or is_shown_image(url)  # type: ignore[method-assign]
    markdown.core.ruler.push("direction", _set_directions)
    return markdown


def _set_directions(state: Any) -> None:
    """Let each block of text begin on the side of its own language."""
    for node in state.tokens:
        if node.nesting == 1 and "dir" in _ATTRIBUTES.get(node.tag, ()):
            node.attrSet("dir", "auto")
        if style := node.attrs.pop("style", None):
            # The alignment of a column. A style attribute would be refused by the browser.
            node.attrSet("class", str(style).replace("text-align:", "align-"))


def _keep_attribute(tag: str, name: str, value: str) -> str | None:
    if (tag, name) == ("a", "href"):
        return value if is_link(value) else None
    if (tag, name) == ("img", "src"):
        return value if is_shown_image(value) else None
    return value


_MARKDOWN = _create_markdown()
