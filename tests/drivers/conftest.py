import json
import time
from pathlib import Path

import pytest

from drivers.simulators.camera import CameraSimulator
from drivers.simulators.world import World

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "sensors" / "vectors.json"


class ScriptedLine:
    """A serial line whose far end has already said all it will say, in these pieces."""

    name = "scripted line"
    simulated = True

    def __init__(self, pieces):
        self.pieces = list(pieces)
        self.written = []

    def open(self):
        pass

    def read(self, limit_s):
        return self.pieces.pop(0) if self.pieces else b""

    def write(self, data):
        self.written.append(data)

    def drain(self):
        pass

    def retune(self, baud):
        pass

    def close(self):
        pass


@pytest.fixture
def scripted_line():
    return ScriptedLine


@pytest.fixture
def world():
    return World(noise_c=0.0)


@pytest.fixture(scope="session")
def vectors():
    """Golden frames by family: what the parts' own documents print, and a few computed from them."""
    if not VECTORS.exists():
        pytest.skip(f"golden vectors are not there: {VECTORS}")
    entries = json.loads(VECTORS.read_text())

    def of(family, kind=None):
        return [entry for entry in entries if entry["family"] == family and kind in (None, entry["kind"])]

    return of


@pytest.fixture
def items_of():
    """What a driver hands over until there are `enough`, or the limit passes."""

    def items(driver, limit_s, enough=None):
        end_s = time.monotonic() + limit_s
        found = []
        while time.monotonic() < end_s and (enough is None or len(found) < enough):
            item = driver.read(0.1)
            if item is not None:
                found.append(item)
        return found

    return items


@pytest.fixture
def simulator():
    """A camera that shows what its world holds up."""
    world = World()
    camera = CameraSimulator(lambda: world.code, width=640, height=480, fps=60)
    camera.world = world
    camera.start()
    yield camera
    camera.stop()
