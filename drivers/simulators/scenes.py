"""Scenes before a kiosk's camera, drawn from a seed: phones and papers as people really hold them.

Each scene is a short film (gray frames, 15 a second) in which a code is brought into view and held; what makes it
hard is in its name. For benches and tests: nothing here is known to the decoders.
"""
# ruff: noqa: ARG001 - the parts of a scene share one form, and not each needs all of it

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from drivers.simulators import qr
from drivers.vision.opencv import Picture, cv2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FPS = 15
FRAMES = 45
WIDTH, HEIGHT = 1280, 720
_TEXTURE_PX = 10
"""Pixels a module in the flat drawing of a code, before it is held somewhere."""

Random: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class Pose:
    """How the code is held: middle and side in pixels, turn and tilt in radians."""

    x: float
    y: float
    side: float
    turn: float = 0.0
    tilt: float = 0.0


@dataclass(frozen=True)
class Scene:
    """What one kind of scene is made of; each part may be left out."""

    flat: Callable[[Picture, Random], Picture] | None = None
    """Changes the flat drawing: inverted, cracked, pixels of a display."""
    held: Callable[[float, Random], Pose] | None = None
    """The pose at a share (0 to 1) of the film, for an evenly distributed random state."""
    light: Callable[[Picture, float, Random], Picture] | None = None
    """Changes the frame at a share of the film."""
    level: str = "m"
    payload_bytes: int = 60
    quiet: int = qr.QUIET_MODULES
    screen: int = 235
    """Gray of the white."""
    ink: int = 20
    body: int = 15
    """Gray of what is around the white."""


def film(name: str, seed: int) -> tuple[bytes, Iterator[Picture]]:
    """The payload shown in a scene, and its frames."""
    random = np.random.default_rng([seed, *name.encode()])
    scene = SCENES[name]
    payload = _payload(scene.payload_bytes, random)
    return payload, _frames(scene, payload, random)


def _payload(length: int, random: Random) -> bytes:
    letters = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", np.uint8)
    return b"GP1:" + random.choice(letters, length - 4).tobytes()


def _frames(scene: Scene, payload: bytes, random: Random) -> Iterator[Picture]:
    flat = _drawn(scene, payload)
    if scene.flat is not None:
        flat = scene.flat(flat, random)
    room = cv2.resize(
        random.integers(30, 110, (9, 16)).astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    steady = random.normal(0, 1, 8)
    drift = int(random.integers(1 << 30))
    for number in range(FRAMES):
        share = number / FRAMES
        pose = (scene.held or _approaching)(share, np.random.default_rng(drift))
        tremble = random.normal(0, 1.2, 2)
        pose = Pose(
            pose.x + tremble[0] + 3 * steady[0],
            pose.y + tremble[1] + 3 * steady[1],
            pose.side,
            pose.turn,
            pose.tilt,
        )
        frame = _held_up(room, flat, pose)
        frame = cv2.GaussianBlur(frame, (0, 0), 0.7)  # a cheap lens
        if scene.light is not None:
            frame = scene.light(frame, share, random)
        noise = random.normal(0, 3.0, frame.shape)
        yield np.clip(frame + noise, 0, 255).astype(np.uint8)


def _drawn(scene: Scene, payload: bytes) -> Picture:
    """The flat code with its margin, on the body of a phone or a sheet."""
    modules = np.pad(qr.modules(payload, scene.level), scene.quiet)  # type: ignore[arg-type] # one of l, m, q, h
    flat = np.kron(
        np.where(modules, scene.ink, scene.screen).astype(np.uint8), np.ones((_TEXTURE_PX,) * 2, np.uint8)
    )
    return np.pad(flat, 6 * _TEXTURE_PX, constant_values=scene.body)


def _held_up(room: Picture, flat: Picture, pose: Pose) -> Picture:
    """The flat drawing at its pose before the room."""
    shrink = max(1.0, len(flat) / (1.5 * pose.side))
    size = int(len(flat) / shrink)
    small = cv2.resize(flat, (size, size), interpolation=cv2.INTER_AREA)
    half = pose.side / 2
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    depth = 1 + corners[:, 0] / half * math.sin(pose.tilt) * 0.35
    corners = corners * [math.cos(pose.tilt), 1] / depth[:, None]
    cos, sin = math.cos(pose.turn), math.sin(pose.turn)
    corners = corners @ np.array([[cos, sin], [-sin, cos]]) + [pose.x, pose.y]
    source = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), corners.astype(np.float32))
    frame = room.copy()
    cv2.warpPerspective(small, matrix, (WIDTH, HEIGHT), frame, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    return frame


def _approaching(share: float, random: Random) -> Pose:
    """Comes from below, grows to reading size in the first half, then is held."""
    x, turn, tilt, final = (
        random.uniform(-120, 120),
        random.normal(0, 0.12),
        random.normal(0, 0.25),
        random.uniform(300, 430),
    )
    near = min(1.0, share / 0.5)
    return Pose(WIDTH / 2 + x * near, HEIGHT / 2 + 260 * (1 - near) ** 2, 120 + (final - 120) * near, turn, tilt)


def _half_out(share: float, random: Random) -> Pose:
    """Never quite in the picture: a finger's width of the code is cut off at the right edge."""
    pose = _approaching(share, random)
    return Pose(WIDTH - pose.side * (0.5 - 0.27), HEIGHT / 2, pose.side, 0.0, 0.1)


def _far(share: float, random: Random) -> Pose:
    """Held too far away."""
    pose = _approaching(share, random)
    return Pose(pose.x, pose.y, 0.36 * pose.side, pose.turn, pose.tilt)


def _aslant(share: float, random: Random) -> Pose:
    pose = _approaching(share, random)
    return Pose(pose.x, pose.y, pose.side, random.uniform(0.3, 0.8), random.choice([-1, 1]) * 0.9)


def _glare(frame: Picture, share: float, random: Random) -> Picture:
    """A lamp's reflection that wanders over the screen."""
    rows, columns = np.indices(frame.shape, np.float32)
    x, y = WIDTH / 2 + 170 * math.sin(5 * share + 1), HEIGHT / 2 + 110 * math.cos(4 * share)
    spot = np.exp(-(((columns - x) / 85) ** 2 + ((rows - y) / 60) ** 2))
    lit: Picture = np.clip(frame + 420 * spot, 0, 255)
    return lit


def _lamps_off(frame: Picture, share: float, random: Random) -> Picture:
    """Little light, much noise."""
    dark: Picture = random.poisson(np.maximum(frame.astype(np.float32) * 0.11, 0)) * 1.2 + 4
    return dark


def _dim_screen(frame: Picture, share: float, random: Random) -> Picture:
    """A screen turned down, before a camera that exposes for the room."""
    dim: Picture = 70 + (frame.astype(np.float32) - 70) * 0.14
    return dim


def _overexposed(frame: Picture, share: float, random: Random) -> Picture:
    """A bright screen in a dark room: white bleeds over black."""
    wide = cv2.GaussianBlur(frame, (0, 0), 4).astype(np.float32)
    bright: Picture = np.clip(frame * 1.3 + wide * 0.75 - 20, 0, 255)
    return bright


def _moving(frame: Picture, share: float, random: Random) -> Picture:
    """A hand that does not hold still; slower towards the end."""
    length = max(1, int(20 * (1 - share) + 3 * random.random()))
    angle = random.uniform(0, math.pi)
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    end = (int(length + length * math.cos(angle)), int(length + length * math.sin(angle)))
    cv2.line(kernel, (length, length), end, 1.0)
    smeared: Picture = cv2.filter2D(frame, -1, kernel / kernel.sum())
    return smeared


def _defocused(frame: Picture, share: float, random: Random) -> Picture:
    """A fixed lens set to another distance."""
    return cv2.GaussianBlur(frame, (0, 0), 4.2 - 1.2 * share)


def _bands(frame: Picture, share: float, random: Random) -> Picture:
    """A screen dimmed by pulses: dark bands that wander down."""
    phase = 2 * math.pi * (np.arange(HEIGHT) / 105.0 + 1.7 * share * FRAMES)
    dimmed: Picture = frame * (0.58 + 0.42 * np.clip(2.2 * np.sin(phase), -1, 1))[:, None]
    return dimmed


def _display(flat: Picture, random: Random) -> Picture:
    """The grid of a display's pixels, which beats with the camera's."""
    grid = np.ones(flat.shape, np.float32)
    grid[::3] *= 0.35
    grid[:, ::3] *= 0.35
    shown: Picture = np.clip(flat * grid * 1.7, 0, 255).astype(np.uint8)
    return shown


def _inverted(flat: Picture, random: Random) -> Picture:
    """Dark mode."""
    return 255 - flat


def _cracked(flat: Picture, random: Random) -> Picture:
    """Glass with a star of cracks, some bright, some dark."""
    broken = flat.copy()
    middle = random.integers(len(flat) // 4, 3 * len(flat) // 4, 2)
    for _ in range(9):
        at, angle = middle.astype(np.float64), random.uniform(0, 2 * math.pi)
        for _ in range(14):
            angle += random.normal(0, 0.35)
            step = random.uniform(10, 60)
            there = at + step * np.array([math.cos(angle), math.sin(angle)])
            ends = (int(at[0]), int(at[1])), (int(there[0]), int(there[1]))
            cv2.line(broken, *ends, int(random.choice([0, 255])), int(random.integers(2, 7)))
            at = there
    return broken


def _thumbed(flat: Picture, random: Random) -> Picture:
    """A thumb over the edge."""
    covered = flat.copy()
    side = len(flat)
    place = (int(side * random.uniform(0.6, 0.8)), int(side * 0.86))
    cv2.ellipse(covered, place, (side // 8, side // 5), 20, 0, 360, 120, -1)
    return covered


SCENES: dict[str, Scene] = {
    "phone": Scene(),
    "paper": Scene(screen=210, ink=60, body=200),
    "aslant": Scene(held=_aslant),
    "far": Scene(held=_far),
    "dense": Scene(payload_bytes=700, level="l"),
    "dark mode": Scene(flat=_inverted, body=235),
    "tight margin": Scene(quiet=0, body=20),
    "display grid": Scene(flat=_display),
    "glare": Scene(light=_glare),
    "low light": Scene(light=_lamps_off),
    "dim screen": Scene(light=_dim_screen),
    "overexposed": Scene(light=_overexposed),
    "motion": Scene(light=_moving),
    "defocus": Scene(light=_defocused),
    "pulsed bands": Scene(light=_bands),
    "cracked glass": Scene(flat=_cracked),
    "thumb": Scene(flat=_thumbed, level="q"),
    "half out": Scene(held=_half_out, level="q"),
}
"""Every kind of scene."""
