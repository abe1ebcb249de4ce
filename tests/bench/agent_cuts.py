"""The logging disk's own program, for a load that hands on what it keeps: see agent_load.py.

    agent_cuts.py POWERCUT.PY --card …

Run by a Python that has `mfusepy`. After `ack dN` nothing up to N is promised any more.
"""

import importlib.util
import sys
from pathlib import Path


def main() -> int:
    spec = importlib.util.spec_from_file_location("powercut", Path(sys.argv.pop(1)))
    assert spec is not None
    assert spec.loader is not None
    powercut = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(powercut)
    count = powercut.tally

    def tally(total: dict[str, int], cut: bytearray, check: str, told: set[str], work: str) -> None:
        free = max((int(each[1:]) for each in told if each.startswith("d")), default=0)
        count(total, cut, check, {each for each in told if each.isdigit() and int(each) > free}, work)

    powercut.tally = tally
    status: int = powercut.main()
    return status


if __name__ == "__main__":
    sys.exit(main())
