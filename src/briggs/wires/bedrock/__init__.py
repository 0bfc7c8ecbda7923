"""Bedrock's format: Converse."""
