"""The peer mqtt-io on the bench: its configuration, its process."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rows import peers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("mqtt-io==2.7.0", "pyserial==3.5")
ABSENT = "mqtt-io 2.7.0 cannot be installed here"


def python() -> Path | None:
    """The Python that has it."""
    return peers(*PACKAGES)


def configuration(port: int, *, sensors: int = 0, interval_s: int = 1, serial: str = "") -> dict[str, Any]:
    """`sensors`: of its own mock module; `serial`: a pty that is read as a stream of bytes."""
    return {
        "mqtt": {"host": "127.0.0.1", "port": port, "topic_prefix": "peer"},
        "sensor_modules": [{"name": "mock", "module": "mock"}] if sensors else [],
        "sensor_inputs": [
            {"name": f"sensor{number}", "module": "mock", "interval": interval_s} for number in range(sensors)
        ],
        "stream_modules": [
            {
                "name": "codes",
                "module": "serial",
                "device": serial,
                "baud": 9600,
                "timeout": 0,
                "read_interval": 0.01,
            }
        ]
        if serial
        else [],
    }


@contextmanager
def running(folder: Path, config: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """The peer as a process; raises LookupError when it is not there."""
    process = start(folder, config)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def start(folder: Path, config: dict[str, Any]) -> subprocess.Popen[bytes]:
    """The same without an end."""
    program = python()
    if program is None:
        raise LookupError(ABSENT)
    file = folder / "mqtt-io.yml"
    file.write_text(json.dumps({key: value for key, value in config.items() if value}))  # JSON is YAML
    words = [str(program), "-m", "mqtt_io", str(file)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
