"""Bedrock's formats: Converse, and Anthropic's own for Claude."""
