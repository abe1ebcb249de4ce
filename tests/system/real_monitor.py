"""Baked pictures on a real kernel: mode setting and page flips on a graphics card, read back from its monitor.

    make monitor-test          # root or not; needs apt, qemu-system-x86, cpio, chromium and a network; two minutes

Boots Debian's own kernel in QEMU with the card that it emulates (`bochs`), and no more than Python and this tree.
The guest (`real_monitor_guest.py`) shows pictures; here the monitor is read after each step and compared.
"""

from __future__ import annotations

import atexit
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import segno

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from agent.web.baked import key_of  # noqa: E402 - of this tree
from agent.web.baking import bake  # noqa: E402
from agent.web.options import PanelOptions  # noqa: E402
from agent.web.painter import Baked  # noqa: E402
from agent.web.pictures import compose, shown_pictures  # noqa: E402

SIZE = (1280, 800)
PANEL = PanelOptions(width_px=SIZE[0], height_px=SIZE[1])
SHOWN = ("ready", "admit", "refer", "fault")
MODULES = ("drm", "drm_kms_helper", "ttm", "drm_ttm_helper", "drm_vram_helper", "bochs")
BOOT_LIMIT_S, DRAWN_S = 400.0, 20.0
KEPT = ROOT / ".cache" / "monitor"
"""What the monitor showed instead, as pictures."""
DARK = 1.0
"""Mean of all pixels: a console's cursor may stand there."""
_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko; done
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
export PYTHONPATH=/tree:/site PYTHONHOME={home} OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
{python} -S /tree/guest.py
poweroff -f
"""


def run(*words: str, **more: object) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, **more).stdout  # type: ignore[call-overload, no-any-return]


def fetch(into: Path) -> Path:
    """Debian's kernel and a static busybox, unpacked."""
    kernel = re.findall(r"linux-image-6\S+", run("apt-cache", "depends", "linux-image-amd64"))[0]
    run("apt-get", "-qq", "download", kernel, "busybox-static", cwd=into)
    for package in into.glob("*.deb"):
        run("dpkg", "-x", str(package), str(into))
    return next((into / "lib/modules").iterdir())


def copy_with_libraries(file: Path, root: Path) -> None:
    """A program or library, and what it is linked with, at the same places."""
    linked = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False).stdout
    for name in {str(file), *re.findall(r"(/\S+)", linked)}:
        target = root / name.lstrip("/")
        if not target.exists() and Path(name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, target)
            target.chmod(0o755)


def lay_out(root: Path, kernel: Path, pictures: Path) -> None:
    """The guest's only file system."""
    for folder in ("bin", "proc", "sys", "dev", "tmp", "modules", "site"):
        (root / folder).mkdir(parents=True)
    shutil.copy(kernel.parents[2] / "bin/busybox", root / "bin/busybox")
    for name in MODULES:
        shutil.copy(next(kernel.rglob(f"{name}.ko")), root / "modules")
    python, library = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    leave_out = shutil.ignore_patterns("__pycache__", "test", "tests", "site-packages", "idlelib", "config-*")
    shutil.copytree(library, root / str(library).lstrip("/"), ignore=leave_out)
    for package in (np, segno):
        folder = Path(package.__file__).parent
        shutil.copytree(folder, root / "site" / folder.name, ignore=leave_out)
    libraries = Path(np.__file__).parents[1] / "numpy.libs"
    if libraries.exists():
        shutil.copytree(libraries, root / "site" / libraries.name)
    for file in (python, *library.glob("lib-dynload/*.so"), *Path(np.__file__).parent.glob("_core/*.so")):
        copy_with_libraries(file, root)
    for name in ("agent", "drivers"):
        shutil.copytree(ROOT / name, root / "tree" / name, ignore=leave_out)
    shutil.copy(Path(__file__).with_name("real_monitor_guest.py"), root / "tree/guest.py")
    shutil.copytree(pictures, root / "pictures")
    init = root / "init"
    init.write_text(_INIT.format(modules=" ".join(MODULES), python=python, home=sys.base_prefix))
    init.chmod(0o755)
    found = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with (root.parent / "root.cpio").open("wb") as out:
        subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=found.encode(), stdout=out, check=True
        )


class Machine:
    """The guest, and what its monitor shows."""

    def __init__(self, folder: Path, image: Path) -> None:
        self._folder, self._taken = folder, 0
        words = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "Nehalem", "-m", "1024", "-display", "none"]
        words += ["-vga", "std", "-kernel", str(image), "-initrd", str(folder / "root.cpio"), "-no-reboot"]
        words += ["-append", "console=ttyS0 quiet panic=1", "-serial", "stdio"]
        words += ["-monitor", f"unix:{folder}/monitor,server,nowait"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def monitor(self, name: str) -> np.ndarray:
        self._taken += 1
        file = self._folder / f"{name}-{self._taken}.ppm"
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(f"{self._folder}/monitor")
            wire.sendall(f"screendump {file}\n".encode())
            until_s = time.monotonic() + DRAWN_S
            picture = None
            while picture is None and time.monotonic() < until_s:
                time.sleep(0.1)
                picture = _whole(file)
        assert picture is not None, "QEMU gave no picture of the monitor"
        return picture[:, :, ::-1]

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def main() -> int:
    for program in ("qemu-system-x86_64", "cpio", "chromium", "dpkg", "apt-get"):
        if shutil.which(program) is None:
            print(f"{program} is not on this machine: apt-get install qemu-system-x86 cpio chromium")
            return 2
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="gp-monitor-") as name:
        folder = Path(name)
        shown = {each: line for each, line in shown_pictures().items() if each in SHOWN}
        pictures = folder / "pictures"
        list(bake(SIZE, "chromium", pictures, folder / "profile", shown))
        (folder / "packages").mkdir()
        kernel = fetch(folder / "packages")
        lay_out(folder / "root", kernel, pictures)
        machine = Machine(folder, next((folder / "packages/boot").glob("vmlinuz-*")))
        atexit.register(machine.process.kill)
        began_s = time.monotonic()
        steps: list[str] = []
        assert machine.process.stdout is not None
        for line in machine.process.stdout:
            if time.monotonic() - began_s > BOOT_LIMIT_S:
                machine.process.kill()
            if not (found := re.search(r"STEP ([\w-]+) ([\w-]+)(.*)", line)):
                print(f"  guest: {line.rstrip()}")
                continue
            step, wanted, said = found.groups()
            until_s, good = time.monotonic() + DRAWN_S, False
            while not good and time.monotonic() < until_s:  # the kernel draws a frame buffer when it finds time
                seen = machine.monitor(step)
                good = seen.mean() < DARK if wanted == "dark" else _equals(seen, Baked(pictures), wanted)
            if not good:
                KEPT.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(KEPT / f"{step}.png"), seen[:, :, ::-1])
            print(f"{'ok  ' if good else 'FAIL'} {step}: the monitor is {wanted}{said}", flush=True)
            wrong += not good
            steps.append(step)
            machine.go_on()
        machine.process.wait()
    if "end" not in steps:
        print("FAIL the guest did not come to its end")
        return 1
    return 1 if wrong else 0


def _whole(file: Path) -> np.ndarray | None:
    """A picture, once QEMU has written all of it."""
    data = file.read_bytes() if file.exists() else b""
    head = re.match(rb"P6\s(\d+) (\d+)\s255\s", data)
    if head is None or len(data) < head.end() + 3 * int(head[1]) * int(head[2]):
        return None
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def _equals(seen: np.ndarray, pictures: Baked, name: str) -> bool:
    wanted = pictures.pixels(key_of(compose(shown_pictures()[name], PANEL)), (), None)[1]
    return seen.shape == wanted.shape and bool((seen == wanted).all())


if __name__ == "__main__":
    sys.exit(main())
