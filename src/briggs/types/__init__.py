"""The nouns: msgspec and the standard library only, no I/O."""
