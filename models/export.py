"""Write a trained checkpoint as one GGUF file with Q8_0 weights: `python -m models.export`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, TokenType
from gguf.quants import quantize
from numpy.typing import NDArray

from models.llama import Shape
from models.tokenizer import CHAT_TEMPLATE, END_OF_TEXT, IM_END, SPECIAL_TOKENS

BUILT_IN = Path("src/briggs/providers/briggs-tiny.gguf")
NAME = "briggs-tiny"

# Our names for the weights of one layer, and those of llama.cpp.
LAYER = {
    "attention_norm": "attn_norm",
    "attention.q": "attn_q",
    "attention.k": "attn_k",
    "attention.v": "attn_v",
    "attention.o": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
}


def main() -> None:
    """Export the last checkpoint of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("models/run"))
    parser.add_argument("--out", type=Path, default=BUILT_IN)
    arguments = parser.parse_args()
    export(arguments.run, arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size} bytes")


def export(run: Path, out: Path) -> None:
    """Write one file with the weights, the tokenizer and the chat template."""
    saved = torch.load(run / "checkpoint.pt")
    shape = Shape(**saved["shape"])
    writer = gguf.GGUFWriter(out, "llama")
    _add_shape(writer, shape, sum(weight.numel() for weight in saved["network"].values()))
    _add_tokenizer(writer, json.loads((run / "tokenizer.json").read_text())["model"])
    for name, weight in saved["network"].items():
        if name.endswith((".attention.q.weight", ".attention.k.weight")):
            weight = neighbours(weight, shape.heads)
        _add_weight(writer, gguf_name(name), weight.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name: str) -> str:
    """llama.cpp's name for one of our weights."""
    if name == "embedding.weight":
        return "token_embd.weight"
    if name == "norm.weight":
        return "output_norm.weight"
    _, number, part = name.removesuffix(".weight").split(".", 2)
    return f"blk.{number}.{LAYER[part]}.weight"


def neighbours(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder each head's rows: pairs that rotate together, in two halves, become neighbours."""
    halves = weight.view(heads, 2, -1, weight.shape[1])
    return halves.transpose(1, 2).reshape(weight.shape)


def _add_shape(writer: gguf.GGUFWriter, shape: Shape, parameters: int) -> None:
    writer.add_name(NAME)
    writer.add_description("The small model built into Briggs, trained on generated text only.")
    writer.add_license("apache-2.0")
    writer.add_size_label(f"{parameters / 1e6:.1f}M")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.vocabulary)


def _add_tokenizer(writer: gguf.GGUFWriter, model: dict[str, Any]) -> None:
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    assert tokens[: len(SPECIAL_TOKENS)] == SPECIAL_TOKENS, "export writes ids by this order"
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.CONTROL if token in SPECIAL_TOKENS else TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_eos_token_id(SPECIAL_TOKENS.index(IM_END))
    writer.add_eot_token_id(SPECIAL_TOKENS.index(IM_END))
    writer.add_pad_token_id(SPECIAL_TOKENS.index(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_weight(writer: gguf.GGUFWriter, name: str, weight: NDArray[np.float32]) -> None:
    """Add a weight: matrices in blocks of eight bits, norms as they are."""
    kind = GGMLQuantizationType.Q8_0 if weight.ndim == 2 else GGMLQuantizationType.F32
    writer.add_tensor(name, quantize(weight, kind), raw_dtype=kind)


if __name__ == "__main__":
    main()
