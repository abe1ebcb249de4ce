"""What tests of the running agent share."""

import pytest

ABSENT = """\
[kiosk]
id = "k1"
[run]
directory = "run"
[clock]
trust = "system"
floor_file = "clock"
[screening]
crowd_file = "crowd.json"
[outbox]
path = "outbox.db"
[codes]
keys = "issuers.toml"
[mqtt]
host = "127.0.0.1"
port = 1
[lanes.entry]
direction = "entry"
scanner = { driver = "line", port = "nothing-here" }
thermometer = { driver = "mlx90614", bus = "/dev/i2c-99" }
gate = { driver = "simulated" }
"""


@pytest.fixture
def kiosk_file(tmp_path):
    """The configuration of one lane with devices that are not there and no broker; trusts nobody."""
    (tmp_path / "issuers.toml").write_text("")
    file = tmp_path / "agent.toml"
    file.write_text(ABSENT)
    return file
