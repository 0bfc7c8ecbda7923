"""Trains the tokenizer: byte-level BPE that splits text like Qwen2, so each digit is a token.

The merges are learnt from the ASCII part of the generated text. No merge joins the bytes of an
emoji or an accented letter, so such a character is always several tokens. Tests of split UTF-8
need that.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from models.data import Conversation, training_conversations

VOCABULARY_SIZE = 768
END_OF_TEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = [END_OF_TEXT, IM_START, IM_END]
"""Their ids are their places in this list."""

# The expression that llama.cpp uses for `tokenizer.ggml.pre = "qwen2"`.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- elif message['content'] -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


def train_tokenizer(seed: int, conversations: int = 60_000) -> Tokenizer:
    """Learn the merges from the text that the model will see."""
    tokenizer = build_tokenizer({}, [])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (
        message.content
        for conversation in islice(training_conversations(seed), conversations)
        for message in conversation.messages
        if message.content.isascii()
    )
    roles = ["system", "developer", "user", "assistant", "tool"] * conversations
    tokenizer.train_from_iterator((text for part in (roles, texts) for text in part), trainer)
    return tokenizer


def build_tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """Build a tokenizer from its parts. For training, pass empty parts."""
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Load the tokenizer of a training run."""
    return Tokenizer.from_file(str(path))


def encode_conversations(
    tokenizer: Tokenizer, conversations: list[Conversation]
) -> list[tuple[list[int], list[bool]]]:
    """The token ids that the chat template gives, and which of them the assistant wrote."""
    contents = [message.content for c in conversations for message in c.messages]
    encodings = iter(tokenizer.encode_batch(contents, add_special_tokens=False))
    headers = {
        role: tokenizer.encode(f"{IM_START}{role}\n").ids
        for role in ("system", "developer", "user", "assistant", "tool")
    }
    end = tokenizer.encode(f"{IM_END}\n").ids
    encoded = []
    for conversation in conversations:
        ids: list[int] = []
        written: list[bool] = []
        for message in conversation.messages:
            header, content = headers[message.role], next(encodings).ids
            ids += header + content + end
            # The assistant writes the end token, but not the line break after it.
            spoken = [message.role == "assistant"] * (len(content) + 1)
            written += [False] * len(header) + spoken + [False] * (len(end) - 1)
        encoded.append((ids, written))
    return encoded
