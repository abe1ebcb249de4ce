from __future__ import annotations

import pytest
from lane_bench import (
    Bench,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()
