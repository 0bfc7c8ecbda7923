"""Copies of a whole record: made while servers use it, and restored. PostgreSQL makes its own."""

from briggs.storage.sqlite.copies import ShowShare, back_up, restore
from briggs.storage.sqlite.spool import count_spooled

__all__ = ["ShowShare", "back_up", "count_spooled", "restore"]
