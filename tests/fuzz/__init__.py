"""Hostile requests and hostile answers, made from a seed: `python -m tests.fuzz`."""
