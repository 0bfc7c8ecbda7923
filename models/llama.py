"""Defines the network: a small Llama with the structure that llama.cpp expects."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network. Widths are multiples of 32, the block size of Q8_0."""

    vocabulary: int = 768
    width: int = 256
    layers: int = 6
    heads: int = 8
    feed_forward: int = 640
    context: int = 2048
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """The width of one attention head."""
        return self.width // self.heads


class Attention(nn.Module):
    """Causal attention within each conversation of a row."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.q = nn.Linear(shape.width, shape.width, bias=False)
        self.k = nn.Linear(shape.width, shape.width, bias=False)
        self.v = nn.Linear(shape.width, shape.width, bias=False)
        self.o = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, rotation: Tensor, mask: Tensor) -> Tensor:
        """Mix the positions that the mask allows to see each other."""
        batch, length, width = x.shape
        split = (batch, length, self.heads, width // self.heads)
        q = rotate(self.q(x).view(split).transpose(1, 2), rotation)
        k = rotate(self.k(x).view(split).transpose(1, 2), rotation)
        v = self.v(x).view(split).transpose(1, 2)
        # Written out, because it is several times faster than `scaled_dot_product_attention`
        # when compiled for a CPU, with rows this short.
        scores = (q @ k.transpose(-1, -2)).float() * (width // self.heads) ** -0.5
        weights = scores.masked_fill(~mask, -1e9).softmax(-1).to(v.dtype)
        y = weights @ v
        return self.o(y.transpose(1, 2).reshape(batch, length, width))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each position by itself."""
        return self.down(functional.silu(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and feed-forward, each after a norm and added to its input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.attention = Attention(shape)
        self.feed_forward_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.feed_forward = FeedForward(shape)

    def forward(self, x: Tensor, rotation: Tensor, mask: Tensor) -> Tensor:
        """One layer."""
        x = x + self.attention(self.attention_norm(x), rotation, mask)
        return x + self.feed_forward(self.feed_forward_norm(x))  # type: ignore[no-any-return]


class Llama(nn.Module):
    """Turns token ids into logits. The output layer shares the embedding's weights."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.register_buffer("rotation", rotations(shape), persistent=False)
        for name, parameter in self.named_parameters():
            _initialise(name, parameter, shape)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The hidden states. `logits` turns them into scores of the next token."""
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.rotation[:, : ids.shape[1]], mask)  # type: ignore[index]
        return self.norm(x)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the next token."""
        return functional.linear(hidden, self.embedding.weight)


def rotations(shape: Shape) -> Tensor:
    """Cosine and sine of every position and pair: (2, context, head_width / 2)."""
    pairs = torch.arange(0, shape.head_width, 2) / shape.head_width
    angles = torch.outer(torch.arange(shape.context), shape.rope_base**-pairs)
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Apply rotary positions to pairs from the two halves of a head.

    A CPU reads halves faster, but llama.cpp rotates neighbours. So `export` moves each pair
    together.
    """
    first, second = x.float().chunk(2, dim=-1)
    cosine, sine = rotation
    turned = (first * cosine - second * sine, first * sine + second * cosine)
    return torch.cat(turned, dim=-1).to(x.dtype)


def _initialise(name: str, parameter: Tensor, shape: Shape) -> None:
    """Set small weights, and smaller ones where a layer adds to the residual stream."""
    if parameter.ndim == 2:
        adds = name.endswith(("attention.o.weight", "feed_forward.down.weight"))
        nn.init.normal_(parameter, std=0.02 / (2 * shape.layers) ** 0.5 if adds else 0.02)
