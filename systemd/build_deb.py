#!/usr/bin/env python3
"""Build the Debian packages of this tree, for several processors, on any Linux with pip and dpkg-deb.

    systemd/build_deb.py OUT [amd64 arm64] [--fast]

`OUT/ARCH/*.deb` is what a machine of that processor installs. `--fast`: do not compress, and without the pictures
for boards that cannot run a browser, for a package that is installed here and now.

Two packages: `gatepost-release-VERSION` holds the agent and its libraries, for every Python of SUPPORTED in one
file, and stands beside other releases; `gatepost` holds what all releases share: unit, udev rules, user, command.
The libraries are the wheels of requirements.lock, unpacked: nothing is compiled, so the builder's processor and
Python do not matter. The same tree gives the same bytes: times are those of the last commit, names are sorted.

A release is laid out as a virtual environment that knows several Pythons:

| path in /usr/lib/gatepost/releases/VERSION | content |
|---|---|
| `pyvenv.cfg`, `bin/python` | a link to the system's Python |
| `lib/common` | the agent, and libraries that fit every Python |
| `lib/python3.X/site-packages` | libraries for that one, and a path file that adds `common` |
| `lib/common/agent/defaults/pictures` | a lane's screen in each size, painted by the builder's Chromium |

The pictures are the same in each build with the same Chromium and fonts; a builder without them says so, and its
packages have none.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ROOT / "systemd" / "debian"
SUPPORTED = ("3.11", "3.13")
"""Pythons of Debian 12 and 13, and of the Raspberry Pi OS made from them."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_17", "manylinux2014")
"""Debian 12 has glibc 2.36. A wheel for a newer one would be refused by pip."""
MAINTAINER = (
    os.environ.get("DEBFULLNAME", "Gatepost") + " <" + os.environ.get("DEBEMAIL", "gatepost@localhost") + ">"
)
FAST = "--fast"
LEFT_OUT = re.compile(r"(^|/)(tests?|testing/tests)/.*|.*\.(pyi|pxd|pyx|h|hpp|a|c)$|.*/__pycache__/.*")
"""Of the libraries: their own tests, and what only compilers and type checkers read."""
DEPENDS = "python3 (>= 3.11), python3 (<< 3.14), libc6 (>= 2.36), libstdc++6, libgcc-s1, zlib1g"


def version_of(tree: list[str]) -> str:
    """The version in agent/__init__.py; for a tree that is not tagged with it, plus the commit's time and a digest.
    GATEPOST_VERSION overrules both.
    """
    if given := os.environ.get("GATEPOST_VERSION"):
        return given
    text = (ROOT / "agent/__init__.py").read_text()
    base = re.search(r'__version__ = "([^"]+)"', text)
    if base is None:
        raise SystemExit("agent/__init__.py names no version")
    tags = git("tag", "--points-at", "HEAD").split()
    if f"v{base[1]}" in tags and not git("status", "--porcelain"):
        return base[1]
    digest = hashlib.sha256()
    for name in tree:
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    stamp = subprocess.run(
        ["date", "-u", "-d", f"@{epoch()}", "+%Y%m%d%H%M%S"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return f"{base[1]}+{stamp}.{digest.hexdigest()[:8]}"


def git(*words: str) -> str:
    """What git prints; empty where there is none."""
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@cache
def epoch() -> int:
    """The time that all files get: SOURCE_DATE_EPOCH, the last commit's, or that of the changelog's last edit."""
    given = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct")
    return int(given) if given else int((ROOT / "CHANGELOG.md").stat().st_mtime)


def tree() -> list[str]:
    """The files of this tree that go into packages, sorted."""
    folders = ("agent", "drivers", "config", "systemd", "docs")
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", *folders).splitlines()
    if not listed:
        listed = [
            path.relative_to(ROOT).as_posix()
            for folder in folders
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
    single = ["README.md", "CHANGELOG.md", "LICENSE", "requirements.lock"]
    return sorted({name for name in [*listed, *single] if (ROOT / name).is_file()})


# ---- libraries


def fetch(machine: str, python: str, into: Path) -> list[Path]:
    """The wheels of requirements.lock for a processor and a Python; hashes are checked by pip."""
    into.mkdir(parents=True, exist_ok=True)
    platforms = [word for name in PLATFORMS for word in ("--platform", f"{name}_{machine}")]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q", "download"),
            *("--require-hashes", "--only-binary", ":all:", "--no-deps", "--dest", str(into)),
            *("--implementation", "cp", "--python-version", python, *platforms),
            *("-r", str(ROOT / "requirements.lock")),
        ],
        check=True,
    )
    return sorted(into.glob("*.whl"))


def fits_all(wheel: Path) -> bool:
    """Whether a wheel serves every supported Python: pure, or built for the stable interface of the oldest."""
    pythons, interfaces = wheel.name.removesuffix(".whl").split("-")[-3:-1]
    if interfaces == "none":
        return "py3" in pythons.split(".")
    oldest = int(SUPPORTED[0].replace(".", ""))
    return interfaces == "abi3" and int(pythons.removeprefix("cp")) <= oldest


def unpack(wheel: Path, into: Path) -> None:
    """Lay out a wheel's modules; its scripts are left out, nobody calls them."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            inside = re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", entry.filename)
            if entry.is_dir() or ".data/" in inside or LEFT_OUT.search(inside):
                continue
            target = (into / inside).resolve()
            if not target.is_relative_to(into.resolve()):
                raise SystemExit(f"{wheel.name}: {entry.filename} leads out of its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(entry))


# ---- pictures

_BAKE = """
import os, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from agent.web.baking import SIZES, bake
from agent.web.pictures import shown_pictures

def paint(size):
    with tempfile.TemporaryDirectory(prefix="gatepost-bake-") as profile:
        list(bake(size, sys.argv[1], Path(sys.argv[2], "{}x{}".format(*size)), Path(profile), shown_pictures()))

with ThreadPoolExecutor(os.cpu_count()) as pool:
    list(pool.map(paint, SIZES))
"""


def no_pictures_because() -> str:
    """Why this machine cannot paint the pictures; empty when it can."""
    if chromium() is None:
        return "Chromium is not on this machine"
    fonts = shutil.which("fc-list") and subprocess.run(["fc-list", ":lang=zh-cn"], capture_output=True, check=False)
    if not (fonts and fonts.stdout):
        return "no Chinese font is on this machine"
    if this_python() not in SUPPORTED:
        return f"this is Python {this_python()}, and there are libraries for {' and '.join(SUPPORTED)}"
    return "" if os.uname().machine in MACHINES.values() else f"there are no libraries for {os.uname().machine}"


def chromium() -> str | None:
    """The program."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def this_python() -> str:
    """The version that runs this."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def paint_pictures(cache: Path) -> Path:
    """Let the tree that is packed paint the pictures of its screens. Raises CalledProcessError."""
    libraries, pictures = cache / "libraries", cache / "pictures"
    for wheel in fetch(os.uname().machine, this_python(), cache / "wheels"):
        unpack(wheel, libraries)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{libraries}", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [sys.executable, "-sP", "-c", _BAKE, str(chromium()), str(pictures)], check=True, env=environment
    )
    return pictures


# ---- packages


def release(
    root: Path, version: str, files: list[str], wheels: dict[str, list[Path]], pictures: Path | None = None
) -> None:
    """Lay out /usr/lib/gatepost/releases/VERSION below `root`."""
    home = root / "usr/lib/gatepost/releases" / version
    common = home / "lib/common"
    shared = {wheel.name: wheel for found in wheels.values() for wheel in found if fits_all(wheel)}
    for wheel in shared.values():
        unpack(wheel, common)
    for python, found in wheels.items():
        own = home / f"lib/python{python}/site-packages"
        own.mkdir(parents=True)
        for wheel in found:
            if wheel.name not in shared:
                unpack(wheel, own)
        (own / "common.pth").write_text("../../common\n")
    for name in files:
        if name.startswith(("agent/", "drivers/")):
            copy(ROOT / name, common / name)
        elif name.startswith("config/"):
            copy(ROOT / name, common / "agent/defaults" / name)
    if pictures is not None:
        shutil.copytree(pictures, common / "agent/defaults/pictures")
    module = common / "agent/__init__.py"
    module.write_text(re.sub(r"(?m)^__version__ = .*$", f'__version__ = "{version}"', module.read_text()))
    about = common / f"gatepost-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gatepost\nVersion: {version}\n")
    (about / "entry_points.txt").write_text("[console_scripts]\ngatepost = agent.cli:main\n")
    (home / "bin").mkdir()
    (home / "bin/python").symlink_to("/usr/bin/python3")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n")
    place = f"/usr/lib/gatepost/releases/{version}"
    program = (
        f"#!{place}/bin/python -sP\n"
        "import sys\n\nsys.dont_write_bytecode = True\n\nfrom agent.cli import main\n\nsys.exit(main())\n"
    )
    (home / "bin/gatepost").write_text(program)
    copy(PARTS / "compile", home / "bin/compile")


def shared_parts(root: Path, files: list[str]) -> None:
    """Lay out what all releases share below `root`."""
    units = ["gatepost.service", "gatepost-screen.service", "gatepost-display@.service", "gatepost-release.service"]
    units += [f"gatepost-{name}.{kind}" for name in ("upgrade", "wipe") for kind in ("path", "service")]
    for unit in units:
        copy(ROOT / "systemd" / unit, root / "usr/lib/systemd/system" / unit)
    copy(ROOT / "systemd/70-gatepost.rules", root / "usr/lib/udev/rules.d/70-gatepost.rules")
    copy(ROOT / "systemd/gatepost-tmpfiles.conf", root / "usr/lib/tmpfiles.d/gatepost.conf")
    copy(PARTS / "gatepost.sysusers", root / "usr/lib/sysusers.d/gatepost.conf")
    copy(ROOT / "systemd/10-backoff.conf", root / "usr/share/gatepost/10-backoff.conf")
    copy(ROOT / "agent/upgrade/root_helper.py", root / "usr/sbin/gatepost-release")
    for page in ("gatepost.1", "gatepost-release.8"):
        target = root / f"usr/share/man/man{page[-1]}/{page}.gz"
        target.parent.mkdir(parents=True)
        target.write_bytes(zipped((PARTS / page).read_bytes()))
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/gatepost").symlink_to("/usr/lib/gatepost/current/bin/gatepost")
    doc = root / "usr/share/doc/gatepost"
    for name in files:
        if name.startswith("docs/") or name in {"README.md", "systemd/README.md", "config/agent.toml"}:
            copy(ROOT / name, doc / name)


def copy(source: Path, target: Path) -> None:
    """Copy a file's content."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def documented(root: Path, package: str, version: str) -> None:
    """Copyright and changelog, where Debian wants them."""
    doc = root / "usr/share/doc" / package
    copy(PARTS / "copyright", doc / "copyright")
    date = subprocess.run(
        ["date", "-u", "-R", "-d", f"@{epoch()}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    entry = (
        f"{package} ({version}) stable; urgency=medium\n\n"
        f"  * What changed: changelog.gz of the package gatepost.\n\n -- {MAINTAINER}  {date}\n"
    )
    (doc / "changelog.gz").write_bytes(zipped(entry.encode()))
    if package == "gatepost":
        (doc / "upstream-changelog.md.gz").write_bytes(zipped((ROOT / "CHANGELOG.md").read_bytes()))
    else:
        copy(ROOT / "requirements.lock", doc / "requirements.lock")
    overrides = PARTS / f"{'gatepost' if package == 'gatepost' else 'release'}.lintian-overrides"
    if overrides.exists():
        target = root / "usr/share/lintian/overrides" / package
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(re.sub(r"(?m)^(?=[a-z])", f"{package}: ", overrides.read_text()))


def zipped(content: bytes) -> bytes:
    """Compress, without a name or a time."""
    return gzip.compress(content, 9, mtime=0)


PROGRAMS = {"gatepost", "python", "compile", "gatepost-release", "preinst", "postinst", "prerm", "postrm"}


def pack(root: Path, control: dict[str, str], scripts: dict[str, str], out: Path) -> Path:
    """Make a .deb of a folder: modes and times are the same on every builder."""
    control = {**control, "Installed-Size": str(size_of(root) // 1024)}
    meta = root / "DEBIAN"
    meta.mkdir()
    (meta / "control").write_text("".join(f"{name}: {value}\n" for name, value in control.items()))
    for name, text in scripts.items():
        (meta / name).write_text(text)
    sums = []
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            os.utime(path, (epoch(), epoch()), follow_symlinks=False)
            continue
        inside = path.relative_to(root)
        runs = path.name in PROGRAMS and inside.parent.name in {"bin", "sbin", "DEBIAN"}
        path.chmod(0o755 if path.is_dir() or runs else 0o644)
        if path.is_file() and inside.parts[0] != "DEBIAN":
            sums.append(f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {inside}\n")
    (meta / "md5sums").write_text("".join(sums))
    for path in sorted([root, *root.rglob("*")], reverse=True):
        if not path.is_symlink():
            os.utime(path, (epoch(), epoch()))
    root.chmod(0o755)
    out.mkdir(parents=True, exist_ok=True)
    name = control["Package"].removesuffix(f"-{control['Version']}")
    made = out / f"{name}_{control['Version']}_{control['Architecture']}.deb"
    packer = ["-Znone"] if FAST in sys.argv else ["-Zxz", "-z6", "--threads-max=1"]  # more threads: other bytes
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", *packer, "--build", str(root), str(made)],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch())},
    )  # fmt: skip
    return made


def size_of(root: Path) -> int:
    """Bytes of all files, each rounded up to a block."""
    return sum(
        -(-path.stat().st_size // 4096) * 4096 for path in root.rglob("*") if stat.S_ISREG(path.lstat().st_mode)
    )


def scripts_of(prefix: str, version: str) -> dict[str, str]:
    """The maintainer's scripts of a package."""
    names = ("preinst", "postinst", "prerm", "postrm", "triggers")
    return {
        name: (PARTS / f"{prefix}.{name}").read_text().replace("@VERSION@", version)
        for name in names
        if (PARTS / f"{prefix}.{name}").exists()
    }


COMMON = {
    "Section": "misc",
    "Priority": "optional",
    "Maintainer": MAINTAINER,
    "Homepage": "",
}


def build(
    out: Path, architecture: str, version: str, files: list[str], cache: Path, pictures: Path | None
) -> list[Path]:
    """Both packages for one processor."""
    machine = MACHINES[architecture]
    wheels = {python: fetch(machine, python, cache / f"{machine}-{python}") for python in SUPPORTED}
    base = {name: value for name, value in COMMON.items() if value}
    made = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "release"
        release(root, version, files, wheels, pictures)
        package = f"gatepost-release-{version}"
        documented(root, package, version)
        control = {
            "Package": package, "Version": version, "Architecture": architecture, **base,
            "Depends": DEPENDS, "Recommends": "libzbar0t64 | libzbar0",
            "Provides": f"gatepost-release (= {version})",
            "Description": f"agent of a checkpoint kiosk, release {version}\n"
            " The program and its libraries, for the Pythons of Debian 12 and 13. Several\n"
            " releases may be installed side by side: gatepost-release(8) chooses one.",
        }  # fmt: skip
        made.append(pack(root, control, scripts_of("release", version), out / architecture))
        root = Path(folder) / "gatepost"
        shared_parts(root, files)
        documented(root, "gatepost", version)
        control = {
            "Package": "gatepost", "Version": version, "Architecture": "all", **base,
            "Pre-Depends": "init-system-helpers (>= 1.54~)",
            "Depends": "gatepost-release, python3, systemd, udev",
            "Description": "agent of a checkpoint kiosk: service, device rules, command\n"
            " Reads a signed code, measures a temperature, decides by a signed policy,\n"
            " opens a gate, and delivers every event over MQTT. This package holds what\n"
            " all releases share; the agent is in a package gatepost-release-VERSION.",
        }  # fmt: skip
        made.append(pack(root, control, scripts_of("gatepost", version), out / architecture))
    return made


def main(words: list[str]) -> int:
    """Build for each processor at once."""
    if not words:
        print(__doc__, file=sys.stderr)
        return 2
    out, *wanted = [word for word in words if word != FAST]
    files = tree()
    version = version_of(files)
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor() as pool:
        pictures = None
        if FAST not in sys.argv:
            if why := no_pictures_because():
                print(
                    f"Without pictures for boards that cannot run a browser: {why} (make browser)", file=sys.stderr
                )
            else:
                pictures = paint_pictures(Path(cache))
        jobs = [
            pool.submit(build, Path(out), name, version, files, Path(cache), pictures)
            for name in wanted or MACHINES
        ]
        for path in (path for job in jobs for path in job.result()):
            print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
