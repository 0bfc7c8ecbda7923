"""Grade the shipped GGUF file on held-out questions, through the same server as users.

`python -m models.evaluate` writes `models/evaluation.json` and the table in the model card.
"""

from __future__ import annotations

import argparse
import json
import math
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import xllamacpp
from tokenizers import Tokenizer

from models.data import BY_NAME, SKILLS, Conversation, held_out_conversations
from models.export import BUILT_IN
from models.tokenizer import build_tokenizer

SEED = 1624
API_KEY = "evaluation"
HERE = Path(__file__).parent
TABLE_START, TABLE_END = "<!-- table: python -m models.evaluate -->\n", "<!-- end of table -->"


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's answer to one held-out question."""

    conversation: Conversation
    text: str
    logprobs: tuple[float, ...]

    @property
    def is_right(self) -> bool:
        """Whether it is exactly the expected answer, or another that chance allows."""
        example = self.conversation.example
        return self.text == example.answer or self.text in example.also

    @property
    def mean_logprob(self) -> float:
        """How sure the model was of its tokens on average."""
        return sum(self.logprobs) / len(self.logprobs)

    @property
    def min_logprob(self) -> float:
        """How sure the model was of its least sure token."""
        return min(self.logprobs)

    @property
    def probability(self) -> float:
        """The probability that the model gave to the whole answer."""
        return math.exp(sum(self.logprobs))


def main() -> None:
    """Grade the file, and write the figures and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, default=BUILT_IN)
    parser.add_argument("--count", type=int, default=200, help="held-out questions per skill")
    parser.add_argument("--out", type=Path, default=HERE / "evaluation.json")
    parser.add_argument("--card", type=Path, default=HERE / "README.md")
    arguments = parser.parse_args()
    with server(arguments.gguf) as url:
        parity = tokenization_parity(url, arguments.gguf)
        answers = {
            skill.name: answer_all(url, held_out_conversations(skill.name, arguments.count, SEED))
            for skill in SKILLS
        }
    report = {
        "gguf_bytes": arguments.gguf.stat().st_size,
        "seed": SEED,
        "tokenization": parity,
        "overall": grade([answer for some in answers.values() for answer in some]),
        "probability_bins": probability_bins([a for some in answers.values() for a in some]),
        "skills": {name: grade(some) for name, some in answers.items()},
    }
    arguments.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    write_table(arguments.card, report)
    for name, row in report["skills"].items():
        print(f"{name:24}{row['right']:4}/{row['asked']:<4} AUC {row['auc_mean_logprob']}")
    print("overall", {k: v for k, v in report["overall"].items() if k != "wrong"})
    print("tokenization", parity)


@contextmanager
def server(path: Path) -> Iterator[str]:
    """Serve the GGUF file with llama.cpp's own HTTP server, one request at a time."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.api_keys = [API_KEY]
    params.n_ctx = 2048
    params.n_parallel = 1
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.ui = False
    params.verbosity = -1
    params.cpuparams.n_threads = 1
    running = xllamacpp.Server(params)
    try:
        yield running.listening_address
    finally:
        del running


def post(url: str, body: dict[str, Any]) -> Any:
    """Send one JSON request, and return the answer's JSON."""
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request) as response:  # noqa: S310
        return json.load(response)


def answer(url: str, conversation: Conversation) -> Answer:
    """Ask one question at temperature 0, with logprobs."""
    asked = [{"role": m.role, "content": m.content} for m in conversation.messages[:-1]]
    body = {"messages": asked, "temperature": 0, "logprobs": True, "max_tokens": 300}
    choice = post(f"{url}/v1/chat/completions", body)["choices"][0]
    # llama.cpp leaves out the logprobs if the answer was cut in the middle of a character.
    content = choice.get("logprobs", {}).get("content", [])
    logprobs = tuple(token["logprob"] for token in content) or (-math.inf,)
    return Answer(conversation, choice["message"]["content"], logprobs)


def answer_all(url: str, conversations: Sequence[Conversation]) -> list[Answer]:
    """Ask all questions, two at a time so that the server never waits."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda conversation: answer(url, conversation), conversations))


def grade(answers: Sequence[Answer]) -> dict[str, Any]:
    """The share of exact matches, and how well the logprobs tell right answers from wrong."""
    right = [a for a in answers if a.is_right]
    wrong = [a for a in answers if not a.is_right]
    return {
        "asked": len(answers),
        "right": len(right),
        "exact_match": _rounded(len(right) / len(answers)),
        "mean_probability": _rounded(sum(a.probability for a in answers) / len(answers)),
        "auc_mean_logprob": auc([a.mean_logprob for a in right], [a.mean_logprob for a in wrong]),
        "auc_min_logprob": auc([a.min_logprob for a in right], [a.min_logprob for a in wrong]),
        "wrong": [
            {
                "question": a.conversation.example.question,
                "expected": a.conversation.example.answer,
                "answered": a.text,
                "probability": _rounded(a.probability),
            }
            for a in wrong[:3]
        ],
    }


def auc(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The chance that a right answer scores above a wrong one; None if there is no pair."""
    if not right or not wrong:
        return None
    above = sum((r > w) + 0.5 * (r == w) for r in right for w in wrong)
    return _rounded(above / (len(right) * len(wrong)))


def probability_bins(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """The share of right answers among answers of similar probability."""
    edges = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.99, 1.01)
    rows = []
    for low, high in pairwise(edges):
        some = [a for a in answers if low <= a.probability < high]
        right = sum(a.is_right for a in some)
        share = _rounded(right / len(some)) if some else None
        rows.append({"from": low, "to": min(high, 1.0), "answers": len(some), "right": share})
    return rows


def tokenization_parity(url: str, path: Path) -> dict[str, int]:
    """Whether llama.cpp splits text as the tokenizer did in training."""
    tokenizer = tokenizer_of(path)
    texts = [
        message.content
        for skill in SKILLS
        for conversation in held_out_conversations(skill.name, 20, SEED + 1)
        for message in conversation.messages
    ]
    texts += [
        "",
        " ",
        "\n\n  x",
        "I'm you'LL we've",
        "１２３ ½ x² 3.14",
        "a\u0301 ﷺ \u200d \ufeff",
        "\t\r\n",
    ]
    same = 0
    for text in texts:
        body = {"content": text, "add_special": False, "parse_special": False}
        same += post(f"{url}/tokenize", body)["tokens"] == tokenizer.encode(text).ids
    return {"texts": len(texts), "same": same}


def tokenizer_of(path: Path) -> Tokenizer:
    """The tokenizer that the GGUF file describes."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    return build_tokenizer({token: number for number, token in enumerate(tokens)}, merges)


def write_table(card: Path, report: dict[str, Any]) -> None:
    """Write the figures between the two marks of the model card."""
    if not card.exists():
        return
    before, _, rest = card.read_text().partition(TABLE_START)
    after = rest.partition(TABLE_END)[2]
    card.write_text(before + TABLE_START + "\n".join(_table(report)) + "\n" + TABLE_END + after)


def _table(report: dict[str, Any]) -> Iterator[str]:
    yield "| skill | what is asked | right | AUC mean | AUC min |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for name, row in (*report["skills"].items(), ("**all**", report["overall"])):
        what = ((BY_NAME[name].make.__doc__ or "") if name in BY_NAME else "").rstrip(".")
        mean, least = (_cell(row[f"auc_{kind}_logprob"]) for kind in ("mean", "min"))
        share = f"{row['right']} of {row['asked']} ({row['exact_match']:.1%})"
        yield f"| {name} | {what} | {share} | {mean} | {least} |"
    yield ""
    yield "| probability of the whole answer | answers | right |"
    yield "| --- | ---: | ---: |"
    for row in report["probability_bins"]:
        right = "" if row["right"] is None else f"{row['right']:.1%}"
        yield f"| {row['from']} to {row['to']} | {row['answers']} | {right} |"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _rounded(value: float) -> float:
    return round(value, 4)


if __name__ == "__main__":
    main()
