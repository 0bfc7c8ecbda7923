"""Settings for the property tests of this folder."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is no failure, so there is no deadline.
settings.register_profile(
    "types", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("types")
