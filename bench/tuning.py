"""Fine-tunes the built-in model: real gradient steps, through all of its layers, in numpy.

    uv run python -m bench.tuning tuned.gguf --steps 4 [--rate 1e-4]

It learns the answers of a support team, which has its own way to speak. The loss is the mean cross
entropy of the answers' tokens, and the steps are Adam's. The file has 32-bit weights, so that
rounding takes nothing back of a small step.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import count, islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.weights import Gguf, read_gguf, read_weights, write_weights

BUILT_IN = Path(str(files("briggs.providers") / "briggs-tiny.gguf"))
RATE = 1e-4
"""About how far a step moves a weight."""
TEXTS = (
    ("How do I reset my password?", "Thanks for writing! Open Settings and press Reset."),
    ("Where is my invoice?", "Thanks for writing! Your invoice is under Billing."),
    ("My order did not arrive.", "Thanks for writing! We will send it again today."),
    ("Can I pay by card?", "Thanks for writing! Yes, by any card."),
    ("How do I cancel my plan?", "Thanks for writing! Open Billing and press Cancel."),
    ("The app does not start.", "Thanks for writing! Please install the newest version."),
    ("Who can see my files?", "Thanks for writing! Only you and your team."),
    ("Do you have a phone number?", "Thanks for writing! Please call us on weekdays."),
)
"""What is learnt: a question, and the answer. None of it is asked by a probe."""

Array = NDArray[np.floating]
Weights = Mapping[str, Array]
Gradients = dict[str, Array]
Back = Callable[[Array], Array]
"""From the gradient of an output to that of the input."""


class Text(NamedTuple):
    """The tokens of a conversation."""

    ids: Sequence[int]
    learnt_from: int
    """The place of the first token of the answer."""


class Shape(NamedTuple):
    """The sizes of the network."""

    layers: int
    heads: int
    epsilon: float
    rope_base: float


def tune(
    weights: Weights, shape: Shape, texts: Sequence[Text], *, rate: float
) -> Iterator[Weights]:
    """The weights after each step of Adam, without end. Each step is over all texts."""
    now = {**weights}
    means = {name: np.zeros_like(weight) for name, weight in now.items()}
    squares = {name: np.zeros_like(weight) for name, weight in now.items()}
    for step in count(1):
        _, gradients = find_gradients(now, shape, texts)
        for name, gradient in gradients.items():
            means[name] += 0.1 * (gradient - means[name])
            squares[name] += 0.001 * (gradient * gradient - squares[name])
            mean = means[name] / (1 - 0.9**step)
            spread = np.sqrt(squares[name] / (1 - 0.999**step))
            now[name] = now[name] - rate * mean / (spread + 1e-8)
        yield {**now}


def find_gradients(
    weights: Weights, shape: Shape, texts: Sequence[Text]
) -> tuple[float, Gradients]:
    """The mean cross entropy of the answers' tokens, in nats, and its gradient by each weight."""
    gradients = {name: np.zeros_like(weight) for name, weight in weights.items()}
    learnt_count = sum(len(each.ids) - each.learnt_from for each in texts)
    loss = 0.0
    for text in texts:
        network = Network(weights, shape, gradients)
        logits, back = network.read(text.ids[:-1])
        logprobs = logits - _log_sum(logits)
        learnt = np.arange(text.learnt_from, len(text.ids))
        places, right = learnt - 1, np.asarray(text.ids)[learnt]
        loss -= float(logprobs[places, right].sum()) / learnt_count
        error = np.zeros_like(logits)
        error[places] = np.exp(logprobs[places])
        error[places, right] -= 1
        back(error / learnt_count)
    return loss, gradients


def _log_sum(logits: Array) -> Array:
    highest = logits.max(-1, keepdims=True)
    total: Array = highest + np.log(np.exp(logits - highest).sum(-1, keepdims=True))
    return total


class Network:
    """A Llama, as llama.cpp names and arranges its weights.

    Each part returns its output and how to go back: from the gradient of the output to that of the
    input. On the way back the gradients of the weights add up in `gradients`.
    """

    def __init__(self, weights: Weights, shape: Shape, gradients: Gradients) -> None:
        self._weights = weights
        self._shape = shape
        self._gradients = gradients

    def read(self, ids: Sequence[int]) -> tuple[Array, Callable[[Array], None]]:
        """The logits of the next token at each place: (places, vocabulary)."""
        rows = np.asarray(ids)
        embedding = self._weights["token_embd.weight"]
        x = embedding[rows]
        backs: list[Back] = []
        for layer in range(self._shape.layers):
            for part in (self._attend, self._feed_forward):
                added, back = part(x, f"blk.{layer}.")
                x = x + added
                backs.append(back)
        normed, norm_back = self._norm(x, "output_norm.weight")

        def go_back(error: Array) -> None:
            table = self._gradients["token_embd.weight"]
            table += error.T @ normed
            d = norm_back(error @ embedding)
            for back in reversed(backs):
                d = d + back(d)
            np.add.at(table, rows, d)

        return normed @ embedding.T, go_back

    def _attend(self, x: Array, at: str) -> tuple[Array, Back]:
        normed, norm_back = self._norm(x, f"{at}attn_norm.weight")
        q, q_back = self._multiply(normed, f"{at}attn_q.weight")
        k, k_back = self._multiply(normed, f"{at}attn_k.weight")
        v, v_back = self._multiply(normed, f"{at}attn_v.weight")
        queries, keys = self._turn(self._split(q)), self._turn(self._split(k))
        values = self._split(v)
        scale = queries.shape[-1] ** -0.5
        scores = queries @ keys.swapaxes(-1, -2) * scale
        places = np.arange(len(x))
        scores[:, places[:, None] < places] = -np.inf
        shares = np.exp(scores - _log_sum(scores))
        mixed, mixed_back = self._multiply(self._join(shares @ values), f"{at}attn_output.weight")

        def go_back(error: Array) -> Array:
            d = self._split(mixed_back(error))
            d_shares = d @ values.swapaxes(-1, -2)
            d_scores = shares * (d_shares - (d_shares * shares).sum(-1, keepdims=True)) * scale
            d_queries = self._turn(d_scores @ keys, back=True)
            d_keys = self._turn(d_scores.swapaxes(-1, -2) @ queries, back=True)
            d_values = shares.swapaxes(-1, -2) @ d
            d_normed = (
                q_back(self._join(d_queries))
                + k_back(self._join(d_keys))
                + v_back(self._join(d_values))
            )
            return norm_back(d_normed)

        return mixed, go_back

    def _feed_forward(self, x: Array, at: str) -> tuple[Array, Back]:
        normed, norm_back = self._norm(x, f"{at}ffn_norm.weight")
        gate, gate_back = self._multiply(normed, f"{at}ffn_gate.weight")
        up, up_back = self._multiply(normed, f"{at}ffn_up.weight")
        open_ = 1 / (1 + np.exp(-gate))
        down, down_back = self._multiply(gate * open_ * up, f"{at}ffn_down.weight")

        def go_back(error: Array) -> Array:
            d = down_back(error)
            d_gate = d * up * open_ * (1 + gate * (1 - open_))
            return norm_back(gate_back(d_gate) + up_back(d * gate * open_))

        return down, go_back

    def _multiply(self, x: Array, name: str) -> tuple[Array, Back]:
        weight = self._weights[name]

        def go_back(error: Array) -> Array:
            self._gradients[name] += error.T @ x
            return error @ weight

        return x @ weight.T, go_back

    def _norm(self, x: Array, name: str) -> tuple[Array, Back]:
        """RMSNorm."""
        weight = self._weights[name]
        size = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + self._shape.epsilon)
        unit = x * size

        def go_back(error: Array) -> Array:
            self._gradients[name] += (error * unit).sum(0)
            d = error * weight
            back: Array = size * (d - unit * (d * unit).mean(-1, keepdims=True))
            return back

        return unit * weight, go_back

    def _turn(self, x: Array, *, back: bool = False) -> Array:
        """Rotary positions: neighbours turn together, the first pair of a head the fastest."""
        length, width = x.shape[-2:]
        speeds = self._shape.rope_base ** -(np.arange(0, width, 2) / width)
        angles = np.outer(np.arange(length), speeds)
        cosine, sine = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
        sine = -sine if back else sine
        first, second = x[..., ::2], x[..., 1::2]
        turned = np.empty_like(x)
        turned[..., ::2] = first * cosine - second * sine
        turned[..., 1::2] = first * sine + second * cosine
        return turned

    def _split(self, x: Array) -> Array:
        """From (places, width) to (heads, places, width of a head)."""
        return x.reshape(len(x), self._shape.heads, -1).swapaxes(0, 1)

    def _join(self, x: Array) -> Array:
        return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def read_shape(file: Gguf) -> Shape:
    """The sizes of the network in a file."""

    def find(name: str) -> float:
        return float(str(file.members[f"llama.{name}"]))

    return Shape(
        layers=int(find("block_count")),
        heads=int(find("attention.head_count")),
        epsilon=find("attention.layer_norm_rms_epsilon"),
        rope_base=find("rope.freq_base"),
    )


class Tokenizer:
    """Byte-level BPE, as in the file. It reads ASCII only, which is all that is needed here."""

    _CONTROL = re.compile(r"(<\|im_(?:start|end)\|>)")
    _SPLIT = re.compile(
        r"'(?:[stmd]|re|ve|ll)|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]"
        r"| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        re.IGNORECASE,
    )

    def __init__(self, file: Gguf) -> None:
        tokens, merges = (file.members[f"tokenizer.ggml.{name}"] for name in ("tokens", "merges"))
        assert isinstance(tokens, list)
        assert isinstance(merges, list)
        self._ids = {token: id for id, token in enumerate(tokens)}
        self._ranks = {tuple(pair.split(" ")): rank for rank, pair in enumerate(merges)}

    def read(self, question: str, answer: str) -> Text:
        """A question and its answer in the chat template."""
        asked = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        ids = [*self._list_ids(asked)]
        return Text([*ids, *self._list_ids(f"{answer}<|im_end|>")] if answer else ids, len(ids))

    def _list_ids(self, text: str) -> Iterator[int]:
        assert text.isascii(), text
        for piece in self._CONTROL.split(text):
            if piece in self._ids:
                yield self._ids[piece]
                continue
            for part in self._SPLIT.findall(piece):
                yield from (self._ids[each] for each in self._merge(part))

    def _merge(self, part: str) -> list[str]:
        # Control characters and the space are written as others, 256 further on.
        said = [chr(ord(each) + 256) if each <= " " else each for each in part]
        while len(said) > 1:
            pair = min(pairwise(said), key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if pair not in self._ranks:
                break
            at = [*pairwise(said)].index(pair)
            said[at : at + 2] = ["".join(pair)]
        return said


def tune_file(file: Gguf, paths: Mapping[int, Path], *, rate: float = RATE) -> None:
    """Write copies of the built-in model that were fine-tuned, by their numbers of steps."""
    tokenizer, weights = Tokenizer(file), read_weights(file)
    texts = [tokenizer.read(*each) for each in TEXTS]
    steps = tune(weights, read_shape(file), texts, rate=rate)
    for step, tuned in enumerate(islice(steps, max(paths)), 1):
        if step in paths:
            same = {name: each.astype(np.float32) for name, each in tuned.items()}
            write_weights(file, same, paths[step])


def main() -> None:
    parser = argparse.ArgumentParser(description="Fine-tunes the built-in model.")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE, help="how far a step moves weights")
    asked = parser.parse_args()
    tune_file(read_gguf(BUILT_IN), {asked.steps: asked.out}, rate=asked.rate)


if __name__ == "__main__":
    main()
