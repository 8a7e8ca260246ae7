"""How many random examples a test tries: the same few every time, or as many others as ``GLASSGRAD_EXAMPLES`` says."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

MORE = int(os.environ.get("GLASSGRAD_EXAMPLES", "0"))


def examples(count: int) -> settings:
    """``count`` examples that are the same in every run."""
    return settings(
        derandomize=not MORE,
        max_examples=MORE or count,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
