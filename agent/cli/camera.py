"""`gatepost camera`: aim a camera: its picture in the terminal, with advice; record it, replay it.

    gatepost camera                         the first camera of the configuration, live, until Ctrl-C
    gatepost camera look entry.scanner      that lane's camera, as it is configured
    gatepost camera look /dev/video0        a device, an address, a video file, or a folder of pictures
    gatepost camera record entry.scanner out.avi --codes   ten seconds to send along with a bug report
    gatepost camera replay out.avi          what the agent would have read in it, and when

Code contents are never shown. Stop the agent first: a camera serves one program at a time.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import configuration, terminal
from agent.cli.help import number, seconds
from drivers.contract import DeviceGone, DriverError, Sighting
from drivers.scanners import camera
from drivers.vision import symbologies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.vision.framing_advice import Aim
    from drivers.vision.opencv import Picture
    from drivers.wire.frames import Frame, Lens

PICTURES = ("auto", "blocks", "sixel", "kitty", "none")
_BLOCKS = (96, 54)
_PIXELS = (640, 360)
_WAIT_S = 0.5
_SILENT_S = 5.0
_HOME, _CLEAR = "\x1b[H", "\x1b[J"

_CODE_CM, _DEGREES = number(0.1, 1000.0, 5.0), number(1.0, 179.0, 60.0)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `camera`."""
    parser = subparsers.add_parser("camera", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    look = actions.add_parser("look", help="what the camera sees and what to do about it (the default)")
    record = actions.add_parser("record", help="keep what the camera sees as a video file")
    replay = actions.add_parser("replay", help="what the agent would see in a video file or a folder, and when")
    for each in (parser, look):
        again = each is look  # what stands before the action counts as well
        _add(each, "--picture", "auto", again, choices=PICTURES, help="how to draw it (default: auto)")
        _add(each, "--png", None, again, type=Path, help="also write the picture here, the code framed")
        _add(each, "--seconds", None, again, type=seconds, help="stop after so long (default: Ctrl-C)")
        _add(each, "--code-cm", 5.0, again, type=_CODE_CM, help="side of the code shown (default: 5)")
        _add(each, "--view-degrees", 60.0, again, type=_DEGREES, help="the camera's field of view (default: 60)")
        configuration.add_argument(each, again=again)
    where = "LANE.scanner of the configuration (entry.scanner), device, address, file or folder"
    look.add_argument("source", nargs="?", help=f"{where} (default: the configuration's first camera)")
    look.add_argument(
        "--rotate", type=int, choices=(0, 90, 180, 270), default=0, help="turn the source's pictures clockwise"
    )
    look.add_argument("--mirror", action="store_true", help="change left and right in the source's pictures")
    record.add_argument("source", help=where)
    record.add_argument("file", type=Path, help="where to, an .avi; must not exist")
    _add(record, "--seconds", None, True, type=seconds, help="how long (default: 10)")
    record.add_argument(
        "--codes",
        action="store_true",
        help="allow it: people and their codes are in the picture, and stay in the file",
    )
    configuration.add_argument(record, again=True)
    record.set_defaults(rotate=0, mirror=False)
    replay.add_argument("source", help="video file or folder")


def _add(parser: argparse.ArgumentParser, name: str, default: object, again: bool, **how: Any) -> None:
    parser.add_argument(name, default=argparse.SUPPRESS if again else default, **how)


def run(args: argparse.Namespace) -> int:
    """0 when done; 1 with one sentence on standard error."""
    try:
        if args.action == "record":
            return _record(args)
        if args.action == "replay":
            return _replay(args.source)
        return _watch(args)
    except BrokenPipeError:
        raise  # the reader of a pipe has left: no fault of the camera
    except (DriverError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def _watch(args: argparse.Namespace) -> int:
    from drivers.vision import framing_advice  # noqa: PLC0415 - OpenCV is for who looks

    options = _options(args)
    if options is None:
        return 1
    lens = _opened(options)
    symbols = [name for name in options.symbologies if name != symbologies.QR]
    is_terminal = sys.stdout.isatty()
    seen = read = broken = 0
    turned = f", turned by {options.rotate}°" * bool(options.rotate) + ", mirrored" * options.mirror
    print(f"{lens.name}: opened{turned}")
    for frame in _frames(lens, args.seconds or 0.0):
        picture = _readable(frame)
        if picture is None:
            print(f"{frame.name or lens.name}: a broken picture, passed over (another cable, fourcc or size?)")
            broken += 1
            continue
        judged = framing_advice.measured(picture, symbols)
        seen, read = seen + 1, read + bool(judged.step)
        advice = framing_advice.advice(judged, code_cm=args.code_cm, view_degrees=args.view_degrees)
        drawn = _drawn(frame, judged, args)
        if drawn and is_terminal and lens.live:
            terminal.draw(_HOME + _CLEAR)
        if drawn:
            terminal.draw(drawn + "\n")
        print(_line(frame, judged, advice), flush=True)
    lens.close()
    print(f"{read} of {seen} pictures read" + f", {broken} broken" * bool(broken))
    return 0 if read or not (seen or broken) else 1


def _readable(frame: Frame) -> Picture | None:
    """The picture; None of a frame that is none, as a camera's first often is."""
    from drivers.vision.opencv import UnreadablePicture  # noqa: PLC0415 - OpenCV is for who looks

    try:
        return frame.gray()
    except UnreadablePicture:
        return None


def _options(args: argparse.Namespace) -> camera.Options | None:
    """Of the source that was named; of a lane's camera, as configured; else of the configuration's first."""
    source = getattr(args, "source", None)
    if source and not source.endswith(".scanner"):
        return camera.Options(
            source, each_s=0.0, rotate=args.rotate, mirror=args.mirror, symbologies=symbologies.ALL
        )
    config = configuration.read(args.config)
    if config is None:
        return None
    found = {
        f"{name}.scanner": options
        for name, lane in config.lanes.items()
        if isinstance(options := getattr(lane.scanner, "options", None), camera.Options)
    }
    wanted = source or next(iter(found), "at all")
    if wanted not in found:
        there = f"there is {', '.join(found)}" if found else "no lane has one"
        print(f"{args.config}: no camera {wanted}: {there}; or name a device: /dev/video0", file=sys.stderr)
        return None
    return found[wanted]


def _opened(options: camera.Options) -> Lens:
    lens = camera.lens_for(options)
    lens.open()
    return lens


def _frames(lens: Lens, seconds: float) -> Iterator[Frame]:
    """What the lens shows: of a live one the newest frames, of a file or folder each until its end."""
    from drivers.wire.frames import Grabber  # noqa: PLC0415 - OpenCV is for who looks

    grabber = Grabber(lens) if lens.live else None
    end_s = time.monotonic() + (seconds or math.inf)
    came_s = time.monotonic()
    while time.monotonic() < end_s and not lens.ended:
        frame = grabber.newest(_WAIT_S) if grabber is not None else lens.next(_WAIT_S)
        if frame is not None:
            came_s = time.monotonic()
            yield frame
        elif lens.live and time.monotonic() - came_s > _SILENT_S:
            raise DeviceGone(lens.name, f"has sent no picture for {_SILENT_S:g} s", "check plug, cable and power")


def _drawn(frame: Frame, judged: Aim, args: argparse.Namespace) -> str:
    """The picture as the terminal takes it; empty when it is not wanted or goes to a file."""
    from drivers.vision import opencv, terminal_preview  # noqa: PLC0415 - OpenCV is for who looks

    marked = terminal_preview.marked(frame.gray(), judged.corners)
    if args.png is not None:
        args.png.write_bytes(opencv.to_png(marked))
    way = args.picture
    if way == "auto":
        way = _terminal() if sys.stdout.isatty() else "none"
    if way == "none":
        return ""
    if way == "blocks":
        return terminal_preview.half_blocks(terminal_preview.fitted(marked, *_BLOCKS))
    return getattr(terminal_preview, way)(terminal_preview.fitted(marked, *_PIXELS))  # type: ignore[no-any-return] # sixel or kitty, both give text


def _terminal() -> str:
    """What this terminal can draw, by what it says of itself; half blocks work in all."""
    return "kitty" if "kitty" in os.environ.get("TERM", "") or "KITTY_WINDOW_ID" in os.environ else "blocks"


def _line(frame: Frame, judged: Aim, advice: list[str]) -> str:
    parts = [frame.name] if frame.name else []
    parts.append(f"read by {judged.step} ({judged.payload_bytes} bytes)" if judged.step else "not read")
    if judged.module_px:
        parts.append(f"{judged.modules} modules of {judged.module_px:.1f} px")
    parts.append(
        f"edges {judged.edge_px:.1f} px, brightness {judged.brightness:.0f}, contrast {judged.contrast:.0f}"
    )
    return "  ".join(parts) + "\n    " + ("; ".join(advice) if advice else "good")


def _record(args: argparse.Namespace) -> int:
    from drivers.wire import v4l2  # noqa: PLC0415 - OpenCV is for who looks

    if not args.codes:
        print("what passes before the camera stays in the file: say --codes to allow it", file=sys.stderr)
        return 1
    if args.file.exists():
        print(f"{args.file}: is there already", file=sys.stderr)
        return 1
    options = _options(args)
    if options is None:
        return 1
    lens = _opened(options)
    writer: v4l2.FilmWriter | None = None
    count = 0
    for frame in _frames(lens, 10.0 if args.seconds is None else args.seconds):
        picture = _readable(frame)
        if picture is None:
            continue
        if writer is None:
            shape = picture.shape
            writer = v4l2.FilmWriter(str(args.file), options.fps, (shape[1], shape[0]))
        if picture.shape == shape:
            writer.write(picture)
            count += 1
    lens.close()
    if writer is not None:
        writer.close()
        args.file.chmod(0o600)
    print(f"{args.file}: {count} frames")
    return 0 if count else 1


def _replay(source: str) -> int:
    """The agent's own driver on the file: what it would have told, and when."""
    driver = camera.Driver(camera.Options(source, each_s=0.5))
    driver.open()
    began_s = time.monotonic()
    sightings = 0
    while not driver.ended:
        item = driver.read(_WAIT_S)
        if item is None:
            continue
        sightings += isinstance(item, Sighting)
        what = f"a code of {len(item.payload)} bytes" if isinstance(item, Sighting) else "it has left"
        print(f"{item.at_s - began_s:8.2f} s  {what}", flush=True)
    driver.close()
    print(f"{sightings} sightings")
    return 0
