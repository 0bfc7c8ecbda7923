"""Reads calls that were recorded elsewhere, in any vendor's format."""
