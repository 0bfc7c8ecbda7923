"""The gradient steps of `bench.tuning`, which make the fine-tuned copies of `docs/drift.md`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bench.tuning import (
    BUILT_IN,
    TEXTS,
    Shape,
    Text,
    Tokenizer,
    Weights,
    find_gradients,
    read_shape,
    tune,
)
from bench.weights import read_gguf, read_weights, write_weights

WIDTH, FEED_FORWARD, VOCABULARY = 8, 12, 11
SHAPE = Shape(layers=2, heads=2, epsilon=1e-5, rope_base=10_000.0)
SMALL = (Text([1, 4, 7, 2, 9, 4], 3), Text([3, 3, 5, 10], 2))


def create_weights() -> Weights:
    """A small network in 64 bits."""
    chance = np.random.default_rng(1)
    square, norm = (WIDTH, WIDTH), (WIDTH,)
    layer = {
        **{f"attn_{name}": square for name in ("q", "k", "v", "output")},
        **{f"{name}_norm": norm for name in ("attn", "ffn")},
        **{f"ffn_{name}": (FEED_FORWARD, WIDTH) for name in ("gate", "up")},
        "ffn_down": (WIDTH, FEED_FORWARD),
    }
    shapes = {f"blk.{at}.{name}.weight": shape for at in range(2) for name, shape in layer.items()}
    shapes |= {"token_embd.weight": (VOCABULARY, WIDTH), "output_norm.weight": norm}
    return {name: chance.normal(0.3, 0.5, shape) for name, shape in shapes.items()}


def test_gradients_are_those_of_small_differences() -> None:
    """Each kind of weight moves the loss as its gradient says."""
    weights, chance = create_weights(), np.random.default_rng(2)
    _, gradients = find_gradients(weights, SHAPE, SMALL)
    for name, weight in weights.items():
        way = chance.normal(size=weight.shape)
        after, before = (
            find_gradients({**weights, name: weight + sign * 1e-5 * way}, SHAPE, SMALL)[0]
            for sign in (1, -1)
        )
        told = float((gradients[name] * way).sum())
        assert abs((after - before) / 2e-5 - told) < 1e-6 * max(1, abs(told)), name


def test_steps_on_the_built_in_model(tmp_path: Path) -> None:
    """A step lowers the loss of what is learnt, and a file with other weights has these."""
    file = read_gguf(BUILT_IN)
    weights, shape, tokenizer = read_weights(file), read_shape(file), Tokenizer(file)
    texts = [tokenizer.read(*each) for each in TEXTS[:1]]
    before, _ = find_gradients(weights, shape, texts)
    tuned = next(tune(weights, shape, texts, rate=1e-4))
    after, _ = find_gradients(tuned, shape, texts)
    assert after < 0.95 * before
    path = tmp_path / "tuned.gguf"
    write_weights(file, {name: each.astype(np.float32) for name, each in tuned.items()}, path)
    again = read_gguf(path)
    assert again.members == file.members
    for name, weight in read_weights(again).items():
        assert np.array_equal(weight, tuned[name]), name


def test_tokens() -> None:
    """The tokens of a text are its longest merges, and spell it."""
    file = read_gguf(BUILT_IN)
    read = Tokenizer(file).read("What is 12 + 34?\n", "It's 46.")
    tokens = file.members["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    spelt = "".join(tokens[id] for id in read.ids).replace("\u0120", " ").replace("\u010a", "\n")
    assert spelt == (
        "<|im_start|>user\nWhat is 12 + 34?\n<|im_end|>\n<|im_start|>assistant\nIt's 46.<|im_end|>"
    )
    assert len(read.ids) < len(spelt) / 2
    assert [tokens[read.ids[at]] for at in (0, -1)] == ["<|im_start|>", "<|im_end|>"]
    assert tokens[read.ids[read.learnt_from]].startswith("I")
