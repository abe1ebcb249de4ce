"""A camera that watches for codes: USB (V4L2), ribbon cable (CSI), network (MJPEG, RTSP), video file, pictures.

Sources: V4L2 UVC driver and control names (kernel documentation, userspace-api/media/v4l), OpenCV VideoIO
flags (docs.opencv.org, videoio.hpp), RFC 2046 for the parts of an MJPEG stream; ISO/IEC 18004 for the codes.

Wiring: any UVC camera on USB; take its path under /dev/v4l/by-id, which survives replugging. Mount it so that a
phone at reading distance shows its code with 3 pixels a module or more (`gatepost camera` tells).

A code is told once when it comes into view, on the first frame that it can be read in; while it stays, nothing is
said; when it has been out of view for `away_s`, a Departure. Quirks: an unplugged camera may go on handing out its
last picture, a covered or broken one sends black ones: both are noticed and the camera is given up, to be opened
again.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from drivers.bounds import Ge, Gt, Le
from drivers.contract import BadOptions, BadReply, DeviceGone, Proof
from drivers.vision import steps_order, symbologies
from drivers.vision.length_gate import BLIND_S, LengthGate
from drivers.wire import address
from drivers.wire.isolated import Apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.contract import Departure, Sighting
    from drivers.vision.neural import Neural
    from drivers.vision.opencv import Picture
    from drivers.vision.watcher import Watcher
    from drivers.wire.frames import Frame, Grabber, Lens
    from drivers.wire.mjpeg import MayDrop

BUS, PROOF = "USB, IP, CSI", Proof.KERNEL
_BLACK_LEVEL, _BLACK_SPREAD = 20, 2
"""A picture all of whose pixels lie below this level and this near together: no sensor in the dark is so smooth."""

_SCHEME = re.compile(r"[a-z]+:", re.IGNORECASE)
"""`csi:0`, `rtsp://…`: no file."""

_EYES = (
    "drivers.vision.neural",
    "drivers.vision.pipeline",
    "drivers.vision.watcher",
    "drivers.wire.frames",
    "drivers.wire.mjpeg",
    "drivers.wire.picamera",
    "drivers.wire.stills",
    "drivers.wire.v4l2",
)
"""What `open` imports; all need OpenCV."""
_PAUSE_S = 1.0
"""When nobody looked for so long the machine was asleep or overloaded: that time says nothing about the camera."""


@dataclass(frozen=True)
class Options:
    """Settings of a camera."""

    device: str
    """V4L2 path (best one of /dev/v4l/by-id), csi:0 for a Raspberry Pi's ribbon-cable camera, http:// or rtsp://
    address (`rtsp://name:password@host:554/stream`), video file, or folder of pictures."""
    width: Annotated[int, Gt(0)] = 1280
    """Pixels asked for; the camera gives what it can."""
    height: Annotated[int, Gt(0)] = 720
    """Pixels asked for."""
    fps: Annotated[float, Gt(0), Le(240)] = 30.0
    """Frames a second asked for; also the speed at which a folder of pictures is shown."""
    fourcc: str = "MJPG"
    """Pixel format asked for, four letters: MJPG, YUYV or GREY."""
    exposure: float | None = None
    """Fixed exposure in the camera's own unit (UVC: 100 µs, CSI: 1 µs); unset: automatic. Phone screens want it
    short."""
    focus: float | None = None
    """Fixed focus in the camera's own unit (CSI: dioptres); unset: automatic. Fixed is better where people stand at
    a mark."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise by which the picture is turned: for a camera mounted on its side or head down."""
    mirror: bool = False
    """Change left and right, before `rotate`: for a camera that looks through a mirror."""
    region: tuple[float, float, float, float] | None = None
    """Part of the picture, once turned, that belongs to this lane: left, top, right, bottom, each from 0 to 1."""
    away_s: Annotated[float, Gt(0)] = 1.0
    """A code counts as gone when it is out of view for so long, seconds."""
    stale_s: Annotated[float, Gt(0)] = 3.0
    """Without a new picture that changes for so long the camera is closed and opened again, seconds."""
    oldest_s: Annotated[float, Gt(0)] = 0.5
    """A frame older than this when its turn comes is dropped, seconds."""
    budget_ms: Annotated[float, Ge(0)] = 12.0
    """CPU time for hard reading steps on one frame, milliseconds."""
    symbologies: tuple[str, ...] = (symbologies.QR,)
    """What is read: qr; beside it aztec (rail tickets), pdf417 (boarding passes), datamatrix. Each costs CPU time
    on every third picture; QR codes alone are looked for with hard steps."""
    steps: tuple[str, ...] = steps_order.ALL
    """Reading steps in the order in which they are used; a step that is left out is not used. `half` and `full` run
    on every frame in which something moved, the others within `budget_ms`."""
    neural: str = ""
    """Python of a venv that has the reader for the step `neural` (docs/camera.md tells how to make one); empty:
    none."""
    each_s: Annotated[float, Ge(0)] = 1.0
    """How long each picture of a folder is shown, seconds; 0: for one frame."""
    loop: bool = False
    """Begin again at the end of a video file or folder."""
    own_process: Literal["auto", "yes", "no"] = "auto"
    """Whether it gets a process of its own, so that a camera that hangs in the kernel stalls nothing: `auto` gives
    one to V4L2, CSI and network cameras, whose libraries can hang and whose far end may send anything."""
    simulated: bool = False
    """Mark all sightings as simulated. A file, a folder or an address on this machine always is."""

    def __post_init__(self) -> None:
        if len(self.fourcc) != 4:  # noqa: PLR2004 - the four of fourcc
            raise ValueError("fourcc has four letters, as MJPG")
        steps_order.check(self.steps)
        symbologies.check(self.symbologies)
        if is_address(self.device):
            address.check(self.device)
        if self.region is not None:
            left, top, right, bottom = self.region
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError("region is left, top, right, bottom, each from 0 to 1, left < right, top < bottom")

    def in_folder(self, folder: Path) -> Options:
        """With a relative path of a file or a folder of pictures taken from there."""
        moved = {"device": self.device} if _SCHEME.match(self.device) else {"device": str(folder / self.device)}
        if "/" in self.neural:
            moved["neural"] = str(folder / self.neural)
        return replace(self, **moved)  # type: ignore[arg-type]  # both are texts


NETWORK = ("http", "https", "rtsp", "rtsps")


def is_address(device: str) -> bool:
    """A camera on the network."""
    return device.partition("://")[0].lower() in NETWORK


def lens_for(options: Options, may_drop: MayDrop = lambda *_: False) -> Lens:
    """The lens that suits the device's name, turned upright. `may_drop`: as for `mjpeg.Mjpeg`."""
    from drivers.wire.frames import Turned  # noqa: PLC0415 - OpenCV is for the thread that needs it

    lens = _lens(options, may_drop)
    if options.rotate or options.mirror:
        return Turned(lens, options.rotate, mirrored=options.mirror)
    return lens


def _lens(options: Options, may_drop: MayDrop) -> Lens:
    from drivers.wire import mjpeg, picamera, stills, v4l2  # noqa: PLC0415 - OpenCV is for the thread that needs it

    device = options.device
    scheme = urlsplit(device).scheme
    if scheme in {"http", "https"}:
        return mjpeg.Mjpeg(device, simulated=options.simulated or _is_here(device), may_drop=may_drop)
    if scheme in {"rtsp", "rtsps"}:
        return v4l2.NetworkCamera(device, simulated=options.simulated or _is_here(device))
    settings = v4l2.CaptureSettings(
        options.width, options.height, options.fps, options.fourcc, options.exposure, options.focus
    )
    if picamera.is_csi(device):
        return picamera.PiCamera(device, settings, simulated=options.simulated)
    if v4l2.is_device(device):
        return v4l2.Camera(device, settings, simulated=options.simulated)
    path = Path(device)
    if path.is_dir() or path.suffix.lower() in stills.SUFFIXES:
        return stills.Stills(device, fps=options.fps, each_s=options.each_s, loop=options.loop)
    return v4l2.Film(device, fps=None, loop=options.loop)


def _apart(options: Options) -> Apart | None:
    """The process of its own that the camera gets, if it gets one."""
    can_hang = options.device.startswith(("/dev/", "csi:")) or is_address(options.device)
    if options.own_process == "no" or (options.own_process == "auto" and not can_hang):
        return None
    return Apart(options.device, "scanners", "camera", replace(options, own_process="no"), _EYES)


class Driver:
    """Sightings and departures from one camera."""

    def __init__(
        self, options: Options, wire: Lens | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`wire`: a lens, instead of the one that `options.device` names; `clock`: dates its frames, seconds."""
        self._clock = clock
        self._options = options
        self._wire = wire
        self._apart = _apart(options) if wire is None else None
        self._lens: Lens | None = None
        self._grabber: Grabber | None = None
        self._watcher: Watcher | None = None
        self._neural: Neural | None = None
        self._ready: deque[Sighting | Departure] = deque()
        self._lengths = LengthGate(min(BLIND_S, options.stale_s / 2))  # pictures are read while it is not stale
        self._vitality = _Vitality(options.device, options.stale_s, clock())

    @property
    def simulated(self) -> bool:
        """True for a file, a folder, an address on this machine, or when the options say so."""
        source = self._apart or self._lens
        return self._options.simulated or (source is not None and source.simulated)

    @property
    def ended(self) -> bool:
        """True at the end of a file or folder; never for a camera."""
        return self._lens is not None and self._lens.ended and not self._ready

    def open(self) -> None:
        """Take the camera; what was in view before is forgotten."""
        self.close()
        if self._apart is not None:
            self._apart.open()
            return
        try:
            from drivers.vision.neural import Neural  # noqa: PLC0415 - the same
            from drivers.vision.pipeline import Pipeline  # noqa: PLC0415 - the same
            from drivers.vision.watcher import Watcher  # noqa: PLC0415 - OpenCV is for the thread that needs it
            from drivers.wire.frames import Grabber  # noqa: PLC0415 - the same
        except ImportError as error:
            raise BadOptions(self._options.device, str(error), "install the decoder libraries") from error
        lens = self._wire or lens_for(self._options, self._lengths.may_drop)
        lens.open()
        self._lens = lens
        self._ready.clear()
        self._neural = Neural(self._options.neural) if self._options.neural else None
        symbols = [name for name in self._options.symbologies if name != symbologies.QR]
        pipeline = Pipeline(self._options.budget_ms / 1000, self._options.steps, self._neural, symbols)
        self._watcher = Watcher(
            pipeline, self._options.away_s, region=self._options.region, simulated=lens.simulated
        )
        self._lengths.reset()
        self._vitality = _Vitality(lens.name, self._options.stale_s if lens.live else float("inf"), self._clock())
        self._grabber = Grabber(lens, self._may_drop) if lens.live else None

    def read(self, limit_s: float) -> Sighting | Departure | None:
        """What the camera saw next."""
        if self._apart is not None:
            return self._apart.read(limit_s)
        end_s = self._clock() + limit_s
        while not self._ready and (left_s := end_s - self._clock()) > 0:
            self._read_frame(left_s)
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Let go of the camera."""
        if self._apart is not None:
            self._apart.close()
        grabber, self._grabber = self._grabber, None
        lens, self._lens = self._lens, None
        if lens is not None:
            lens.close()
        if grabber is not None:
            grabber.stop()
        neural, self._neural = self._neural, None
        if neural is not None:
            neural.close()

    def _read_frame(self, limit_s: float) -> None:
        lens, watcher, grabber = self._lens, self._watcher, self._grabber
        if lens is None or watcher is None:
            raise DeviceGone(self._options.device, "is closed")
        frame = grabber.newest(limit_s) if grabber is not None else lens.next(limit_s)
        now_s = self._clock()
        if frame is not None and now_s - frame.at_s <= self._options.oldest_s:
            self._see(watcher, frame)
        self._vitality.changed(self._lengths.dropped_s)
        self._vitality.check(now_s)
        if lens.ended:
            self._ready.extend(watcher.blind(now_s))

    def _may_drop(self, frame: Frame) -> bool:
        """Whether a frame need not be looked at; asked in the grabber's thread."""
        return frame.length is not None and self._lengths.may_drop(frame.length, frame.at_s)

    def _see(self, watcher: Watcher, frame: Frame) -> None:
        from drivers.vision.opencv import UnreadablePicture  # noqa: PLC0415 - OpenCV is for the thread that needs it

        try:
            small = frame.small() if watcher.idle else frame.gray()
            black = _is_black(small) and _is_black(frame.gray()[::16, ::16])  # in a small one noise averages out
            told = watcher.glance(small, frame.at_s)
            self._ready.extend(watcher.examine(frame.gray(), frame.at_s) if told is None else told)
        except UnreadablePicture:
            self._lengths.reset()
            self._vitality.broken(frame.at_s)
            return
        if frame.length is not None and watcher.vacant:
            self._lengths.learn(frame.length, frame.at_s)
        else:
            self._lengths.reset()
        self._vitality.picture(frame.at_s, frame.fingerprint(), black=black)


def _is_black(picture: Picture) -> bool:
    brightest = int(picture.max())
    return brightest < _BLACK_LEVEL and brightest - int(picture.min()) < _BLACK_SPREAD


class _Vitality:
    """Is the camera alive: do pictures come, can they be read, do they differ, do they show anything?"""

    def __init__(self, name: str, stale_s: float, at_s: float) -> None:
        self._name = name
        self._stale_s = stale_s
        self._came_s = self._read_s = self._changed_s = self._lit_s = self._checked_s = at_s
        self._fingerprint: int | None = None

    def broken(self, at_s: float) -> None:
        """A frame came that is no picture."""
        self._came_s = at_s

    def changed(self, at_s: float) -> None:
        """A frame came that was not looked at, but differs from the one before it."""
        self._came_s = max(self._came_s, at_s)
        self._changed_s = max(self._changed_s, at_s)

    def picture(self, at_s: float, fingerprint: int, *, black: bool) -> None:
        """A picture came."""
        self._came_s = self._read_s = at_s
        if fingerprint != self._fingerprint:
            self._fingerprint = fingerprint
            self._changed_s = at_s
        if not black:
            self._lit_s = at_s

    def check(self, now_s: float) -> None:
        """Raises DeviceGone or BadReply once something has been amiss for too long."""
        unwatched_s, self._checked_s = now_s - self._checked_s, now_s
        if unwatched_s > _PAUSE_S:
            self._came_s += unwatched_s
            self._read_s += unwatched_s
            self._changed_s += unwatched_s
            self._lit_s += unwatched_s
        past_s = now_s - self._stale_s
        if self._came_s < past_s:
            raise DeviceGone(self._name, "sends no pictures", "check plug, cable and power")
        if self._read_s < past_s:
            raise BadReply(self._name, "sends broken pictures", "try another cable, fourcc or size")
        if self._lit_s < past_s:
            raise DeviceGone(self._name, "sends black pictures", "take off the cover, check the cable")
        if self._changed_s < past_s:
            raise DeviceGone(self._name, "its picture is frozen", "unplug the camera and plug it in again")


def _is_here(url: str) -> bool:
    """The address is on this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
