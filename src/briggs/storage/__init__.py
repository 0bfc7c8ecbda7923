"""The only package that speaks SQL."""

from briggs.storage.bars import Bin
from briggs.storage.database import Durability
from briggs.storage.errors import (
    AlreadySettled,
    NotRecorded,
    StoreError,
    StoreLocked,
    StoreTooNew,
)
from briggs.storage.feedback import FeedbackQuery
from briggs.storage.folders import open_folder as lock_folder
from briggs.storage.pages import Page, Summary, SummaryPage
from briggs.storage.queries import Query, Sort
from briggs.storage.retention import Due
from briggs.storage.store import Store, StoreStatistics
from briggs.storage.surveys import Survey
from briggs.types.errors import StoreUnavailable

__all__ = [
    "AlreadySettled",
    "Bin",
    "Due",
    "Durability",
    "FeedbackQuery",
    "NotRecorded",
    "Page",
    "Query",
    "Sort",
    "Store",
    "StoreError",
    "StoreLocked",
    "StoreStatistics",
    "StoreTooNew",
    "StoreUnavailable",
    "Summary",
    "SummaryPage",
    "Survey",
    "lock_folder",
]
