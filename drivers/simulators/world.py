"""What is physically before one lane: a person or a wall, a warm skin, a code. May be told from any thread."""

from __future__ import annotations

import math
import random
import threading

ZERO_K = 273.15
BACKDROP_MM = 2000.0


class World:
    """The state that simulated devices measure. Temperatures in degrees Celsius, distances in millimetres."""

    def __init__(self, ambient_c: float = 23.0, noise_c: float = 0.02, seed: int = 0) -> None:
        """`noise_c`: standard deviation of what a sensor adds to each sample."""
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311 - noise of a sensor, and repeatable
        self._ambient_c = ambient_c
        self._noise_c = noise_c
        self._skin_c: float | None = None
        self._distance_mm = BACKDROP_MM
        self._fill = 0.0
        self._code: bytes | None = None
        self._looks = 0

    def stand(self, skin_c: float, *, distance_mm: float = 50.0, fill: float = 1.0) -> None:
        """Somebody stands before the thermometer and fills this share of its field of view."""
        with self._lock:
            self._skin_c, self._distance_mm, self._fill = skin_c, distance_mm, fill
            self._looks = 0

    def leave(self) -> None:
        """Nobody is there, and no code."""
        with self._lock:
            self._skin_c, self._distance_mm, self._fill, self._code = None, BACKDROP_MM, 0.0, None
            self._looks = 0

    def forget_looks(self) -> None:
        """Another agent is started: it has not seen yet who is there."""
        with self._lock:
            self._looks = 0

    def show(self, code: bytes) -> None:
        """A code is held before the scanner."""
        with self._lock:
            self._code = code

    def hide(self) -> None:
        """The code is taken away."""
        with self._lock:
            self._code = None

    def warm(self, ambient_c: float) -> None:
        """The room, and the wall behind, take this temperature."""
        with self._lock:
            self._ambient_c = ambient_c

    @property
    def ambient_c(self) -> float:
        """Temperature of the room and of the wall behind."""
        with self._lock:
            return self._ambient_c

    @property
    def distance_mm(self) -> float:
        """How far the nearest surface is."""
        with self._lock:
            return self._distance_mm

    @property
    def code(self) -> bytes | None:
        """The code that is shown."""
        with self._lock:
            return self._code

    @property
    def is_occupied(self) -> bool:
        """True when somebody stands there."""
        with self._lock:
            return self._skin_c is not None

    @property
    def looks(self) -> int:
        """How often a thermometer has read since somebody came or left: from 3 on it has seen it."""
        with self._lock:
            return self._looks

    def seen_c(self) -> float:
        """What a radiometer reads now: skin and wall mixed by fourth powers, plus a sample's noise."""
        with self._lock:
            self._looks += 1
            wall = (self._ambient_c + ZERO_K) ** 4
            skin = wall if self._skin_c is None else (self._skin_c + ZERO_K) ** 4
            mixed_c = math.sqrt(math.sqrt(self._fill * skin + (1 - self._fill) * wall)) - ZERO_K
            return mixed_c + self._random.gauss(0.0, self._noise_c)

    def die_c(self, self_heating_c: float = 1.5) -> float:
        """What a sensor's own die has: the room, its self-heating, a sample's noise."""
        with self._lock:
            return self._ambient_c + self_heating_c + self._random.gauss(0.0, self._noise_c)
