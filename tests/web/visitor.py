"""A browser without JavaScript: it keeps cookies, follows redirects and submits forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlencode, urljoin, urlsplit

from tests.processes import Reply, Server


class Visitor:
    """Visits the pages of a server. `key` signs it in."""

    def __init__(self, server: Server, *, key: str | None = "") -> None:
        self.server = server
        self.cookies: dict[str, str] = {}
        self.csrf = ""
        self.path = "/"
        """Of the page that was seen last."""
        if key is not None:
            self.visit("/sign-in")
            reply = self.submit("/sign-in", key=key or server.key)
            assert self.path != "/sign-in", reply.body.decode()

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request as this browser sends it, and its answer. Cookies are kept."""
        sent = {"accept": "text/html", **(headers or {})}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        reply = self.server.send(method, path, body, headers=sent, key=None)
        if cookie := reply.headers.get("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return reply

    def visit(self, path: str, **headers: str) -> Reply:
        """Open a page, and follow where it leads."""
        return self._follow(self.send("GET", path, headers=headers), path)

    def submit(self, path: str, **fields: str | list[str]) -> Reply:
        """Submit a form of the page that was seen last, and follow where it leads."""
        return self._follow(self.post(path, **fields), path)

    def post(self, path: str, **fields: str | list[str]) -> Reply:
        """Submit a form of the page that was seen last. Does not follow redirects."""
        body = urlencode({"csrf": self.csrf, **fields}, doseq=True).encode()
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": self.server.url,
        }
        return self.send("POST", path, body, headers=headers)

    def _follow(self, reply: Reply, path: str) -> Reply:
        for _ in range(5):
            if reply.status not in (302, 303):
                break
            path = urljoin(path, reply.headers["location"])
            parts = urlsplit(path)
            reply = self.send("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        self.path = path
        if token := re.search(r'name="csrf" (?:content|value)="([^"]*)"', reply.body.decode()):
            self.csrf = unescape(token[1])
        return reply
