"""OpenCV for pictures, met here only and set up for a kiosk: one thread, no OpenCL, quiet.

Import this late (it costs 36 MB and 0.1 s): only the thread or process that looks at pictures does.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

# V4L2 waits 10 s for a frame unless told so before the import; two decoder threads hold back one frame each; RTSP
# over UDP loses parts of pictures; FFmpeg checks no certificate unless it is told to, and against what; what it
# writes to standard error may hold a camera's password (-8: nothing).
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")
os.environ.setdefault(
    "OPENCV_FFMPEG_CAPTURE_OPTIONS",
    "threads;1|flags;low_delay|rtsp_transport;tcp|tls_verify;1|ca_file;"
    + (ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"),
)
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(40_000_000))

import cv2

if TYPE_CHECKING:
    import numpy.typing as npt

Picture: TypeAlias = "npt.NDArray[Any]"
"""A grayscale picture, uint8, height x width."""

cv2.setNumThreads(1)
cv2.ocl.setUseOpenCL(False)

__all__ = ["Picture", "UnreadablePicture", "cv2", "from_bytes", "small_from_bytes", "to_jpeg", "to_png", "upright"]


class UnreadablePicture(ValueError):
    """The bytes are no picture, a broken one, or one beyond 40 megapixels."""


def from_bytes(data: bytes | npt.NDArray[np.uint8]) -> Picture:
    """A JPEG, PNG, WebP, BMP … as grayscale, upright as its EXIF says; what is transparent lies on a ground that
    sets off what is not. Raises UnreadablePicture.
    """
    if bytes(data[:4]) in _MAY_BE_TRANSPARENT:
        picture = _decoded(data, cv2.IMREAD_UNCHANGED)
        if picture.ndim == _WITH_COLOURS and picture.shape[2] == _WITH_ALPHA:
            return _on_ground(picture)
    return _decoded(data, cv2.IMREAD_GRAYSCALE)


_MAY_BE_TRANSPARENT = (b"\x89PNG", b"RIFF", b"GIF8", b"II*\0", b"MM\0*")
_WITH_COLOURS, _WITH_ALPHA = 3, 4


def _on_ground(picture: Picture) -> Picture:
    """A picture with an alpha channel as grayscale: dark things on white, and bright things alone on black."""
    if picture.dtype != np.uint8:
        picture = (picture >> 8).astype(np.uint8)
    alpha = picture[:, :, 3].astype(np.float32) / 255
    gray = cv2.cvtColor(picture[:, :, :3], cv2.COLOR_BGR2GRAY)
    seen = gray[alpha > 0.5]  # noqa: PLR2004 - more there than not
    ground = 0.0 if seen.size and np.percentile(seen, 5) > 127 else 255.0  # noqa: PLR2004 - the middle of the scale
    return (gray * alpha + ground * (1 - alpha)).round().astype(np.uint8)


def small_from_bytes(data: bytes | npt.NDArray[np.uint8]) -> Picture:
    """As `from_bytes`, an eighth of its width and height: of a JPEG the means of its blocks, which need no inverse
    transform and cost two thirds.
    """
    return _decoded(data, cv2.IMREAD_REDUCED_GRAYSCALE_8)


def _decoded(data: bytes | npt.NDArray[np.uint8], way: int) -> Picture:
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), way)
    except cv2.error as error:
        raise UnreadablePicture("not a picture that can be read, or too large") from error
    if picture is None:
        raise UnreadablePicture("not a picture that can be read")
    return picture


def upright(picture: Picture, degrees: int, *, mirrored: bool) -> Picture:
    """The picture, left and right changed over when `mirrored`, then turned clockwise by 0, 90, 180 or 270."""
    if mirrored:
        picture = cv2.flip(picture, 1)
    return cv2.rotate(picture, _TURNS[degrees]) if degrees else picture


_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def to_jpeg(picture: Picture, quality: int = 85) -> bytes:
    """The picture as JPEG."""
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def to_png(picture: Picture) -> bytes:
    """The picture as PNG."""
    return cv2.imencode(".png", picture)[1].tobytes()
