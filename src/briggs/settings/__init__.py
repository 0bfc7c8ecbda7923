"""`briggs.toml` and the environment, read once and checked as a whole."""

from briggs.settings.file import (
    CoolDownSettings,
    Durability,
    FileSettings,
    LimitSettings,
    LocalSettings,
    ModelSettings,
    PriceSettings,
    ProviderSettings,
    RetrySettings,
    TargetSettings,
)
from briggs.settings.problems import Problem, is_name, read_target, suggest
from briggs.settings.reading import (
    Check,
    Located,
    Reading,
    Settings,
    SettingsError,
    default_data_folder,
    find_file,
    open_settings,
    read_file,
)

__all__ = [
    "Check",
    "CoolDownSettings",
    "Durability",
    "FileSettings",
    "LimitSettings",
    "LocalSettings",
    "Located",
    "ModelSettings",
    "PriceSettings",
    "Problem",
    "ProviderSettings",
    "Reading",
    "RetrySettings",
    "Settings",
    "SettingsError",
    "TargetSettings",
    "default_data_folder",
    "find_file",
    "is_name",
    "open_settings",
    "read_file",
    "read_target",
    "suggest",
]
