"""The only package that speaks SQL."""

from briggs.storage.completions import Page
from briggs.storage.database import Durability
from briggs.storage.errors import (
    AlreadySettled,
    NotRecorded,
    StoreError,
    StoreLocked,
    StoreTooNew,
)
from briggs.storage.feedback import FeedbackQuery
from briggs.storage.feedback_queue import Order, Wish
from briggs.storage.queries import Query
from briggs.storage.store import Store, StoreStatistics
from briggs.types.errors import StoreUnavailable

__all__ = [
    "AlreadySettled",
    "Durability",
    "FeedbackQuery",
    "NotRecorded",
    "Order",
    "Page",
    "Query",
    "Store",
    "StoreError",
    "StoreLocked",
    "StoreStatistics",
    "StoreTooNew",
    "StoreUnavailable",
    "Wish",
]
