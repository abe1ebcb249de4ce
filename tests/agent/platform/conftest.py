"""What tests of the clock share."""

import pytest
from clock_bench import Kept, Kernel

from agent.platform.clock import Options


@pytest.fixture
def kernel():
    return Kernel()


@pytest.fixture
def make(kernel, file):
    """A clock with the kernel's word and the file, as the agent makes it when it starts."""
    return lambda **options: Kept(Options(last_known_time_file=file, **options), kernel.sources)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "clock"
