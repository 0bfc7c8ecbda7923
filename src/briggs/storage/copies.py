"""Copies of a whole record: made while servers use it, and restored. PostgreSQL makes its own."""

from briggs.storage.sqlite.copies import ShowShare, back_up, restore

__all__ = ["ShowShare", "back_up", "restore"]
