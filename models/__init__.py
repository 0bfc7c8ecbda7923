"""Builds the built-in model: its text, tokenizer, training, GGUF file and evaluation."""
