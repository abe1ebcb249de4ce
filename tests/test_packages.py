"""The Debian packages as they are laid out: same bytes each time, nothing outside, scripts that a shell can read.

Installing them on empty machines: `make deb-test`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from agent.platform import packaged

ROOT = Path(__file__).parents[1]
SCRIPTS = [*sorted((ROOT / "systemd/debian").glob("*.p[or]*[mt]")), ROOT / "systemd/debian/compile"]

needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not on this machine")


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_deb", ROOT / "systemd/build_deb.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("rich-15.0.0-py3-none-any.whl", True),
        ("pyserial-3.5-py2.py3-none-any.whl", True),
        ("cryptography-50.0.2-cp311-abi3-manylinux_2_28_aarch64.whl", True),
        ("opencv_python_headless-5.0.0.93-cp37-abi3-manylinux_2_28_aarch64.whl", True),
        ("zxing_cpp-3.1.1-cp312-abi3-manylinux_2_26_aarch64.manylinux_2_28_aarch64.whl", False),
        ("numpy-2.4.6-cp313-cp313-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", False),
    ],
)
def test_only_what_fits_the_oldest_python_is_shared(builder: ModuleType, name: str, *, fits: bool) -> None:
    assert builder.fits_all(Path(name)) is fits


def wheel(folder: Path, name: str, entries: dict[str, str]) -> Path:
    made = folder / name
    with zipfile.ZipFile(made, "w") as archive:
        for place, text in entries.items():
            archive.writestr(place, text)
    return made


def test_a_wheel_is_unpacked_without_its_tests_and_scripts(builder: ModuleType, tmp_path: Path) -> None:
    entries = {
        "lib/__init__.py": "1", "lib/tests/test_it.py": "2", "lib/core.pyi": "3", "lib-1.data/scripts/run": "4",
        "lib-1.data/purelib/more.py": "5", "lib-1.dist-info/METADATA": "6",
    }  # fmt: skip
    builder.unpack(wheel(tmp_path, "lib-1-py3-none-any.whl", entries), tmp_path / "out")
    found = {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*") if path.is_file()
    }
    assert found | {"lib-1.dist-info/METADATA"} == {"lib/__init__.py", "more.py", "lib-1.dist-info/METADATA"}


def test_a_wheel_that_leads_out_is_refused(builder: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="leads out"):
        builder.unpack(wheel(tmp_path, "bad-1-py3-none-any.whl", {"../../evil.py": "1"}), tmp_path / "out")


def laid_out(builder: ModuleType, root: Path, wheels: Path) -> Path:
    """A release with two small libraries, laid out and packed."""
    wheels.mkdir()
    pure = wheel(wheels, "pure-1-py3-none-any.whl", {"pure.py": "1"})
    own = {
        python: wheel(wheels, f"own-1-cp{python.replace('.', '')}-none-linux.whl", {"own.py": python})
        for python in builder.SUPPORTED
    }
    files = [
        name for name in builder.tree() if name.startswith(("agent/__init__", "agent/cli/__init__", "config/agent"))
    ]
    builder.release(root, "1.2.3", files, {python: [pure, own[python]] for python in builder.SUPPORTED})
    control = {"Package": "gatepost-release-1.2.3", "Version": "1.2.3", "Architecture": "all"}
    control |= {"Maintainer": "nobody <n@localhost>", "Description": "a release"}
    made: Path = builder.pack(root, control, builder.scripts_of("release", "1.2.3"), root.parent / "out")
    return made


def test_a_release_knows_every_python(builder: ModuleType, tmp_path: Path) -> None:
    root = tmp_path / "root"
    files = [name for name in builder.tree() if name.startswith("agent/")]
    builder.release(root, "1.2.3", files, dict.fromkeys(builder.SUPPORTED, ()))
    home = root / "usr/lib/gatepost/releases/1.2.3"
    for python in builder.SUPPORTED:
        site = home / f"lib/python{python}/site-packages"
        assert (site / (site / "common.pth").read_text().strip()).resolve() == (home / "lib/common").resolve()
    assert '__version__ = "1.2.3"' in (home / "lib/common/agent/__init__.py").read_text()
    assert (home / "bin/gatepost").read_text().startswith("#!/usr/lib/gatepost/releases/1.2.3/bin/python -sP\n")


def test_a_release_has_its_pictures_where_the_display_looks(builder: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pictures/800x480").mkdir(parents=True)
    (tmp_path / "pictures/800x480/index.json").write_text("{}")
    root = tmp_path / "root"
    builder.release(root, "1.2.3", ["agent/__init__.py"], {}, tmp_path / "pictures")
    common = root / "usr/lib/gatepost/releases/1.2.3/lib/common"
    assert (common / packaged.PICTURES.relative_to(ROOT) / "800x480/index.json").is_file()


def test_a_builder_that_cannot_paint_says_why(builder: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert builder.no_pictures_because() == "Chromium is not on this machine"
    monkeypatch.undo()
    monkeypatch.setattr(builder, "chromium", lambda: "/usr/bin/chromium")
    monkeypatch.setattr(builder, "SUPPORTED", ("3.0",))
    assert re.search("no Chinese font|libraries for 3.0", builder.no_pictures_because())


@needs_dpkg
def test_the_same_tree_gives_the_same_bytes(builder: ModuleType, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        os.umask(0o077 if name == "one" else 0o022)
        made = laid_out(builder, tmp_path / name / "root", tmp_path / name / "wheels")
        digests.append(hashlib.sha256(made.read_bytes()).hexdigest())
    assert digests[0] == digests[1]


@needs_dpkg
def test_everybody_may_read_it_and_root_owns_it(builder: ModuleType, tmp_path: Path) -> None:
    made = laid_out(builder, tmp_path / "root", tmp_path / "wheels")
    lines = subprocess.run(["dpkg-deb", "-c", made], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines
    modes = {line[:10] for line in lines}
    assert modes == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"}
    assert all(line.split()[1] == "root/root" for line in lines)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_shell_can_read_the_scripts(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_scripts_call_only_what_the_helper_knows() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "agent/upgrade/root_helper.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    for script in SCRIPTS:
        for line in script.read_text().splitlines():
            for action in re.findall(r'"\$helper" ([a-z]+)', line):
                assert f"gatepost-release {action} " in done.stderr


def test_what_is_shared_is_all_there(builder: ModuleType, tmp_path: Path) -> None:
    builder.shared_parts(tmp_path, builder.tree())
    unit = (tmp_path / "usr/lib/systemd/system/gatepost.service").read_text()
    assert "/usr/lib/gatepost/current/bin/gatepost run" in unit
    documentation = unit.partition("Documentation=file:")[2].splitlines()[0]
    assert (tmp_path / documentation.lstrip("/")).is_file()
    assert (tmp_path / "usr/bin/gatepost").readlink() == Path("/usr/lib/gatepost/current/bin/gatepost")


@pytest.mark.parametrize(
    ("says_no_to", "sentence"),
    [
        ("sys.version_info", "Gatepost needs Python 3.11 or newer; '{python}' is Python 3.9.2."),
        ("struct.calcsize", "Gatepost needs a 64-bit system: '{python}' has 32 bits"),
    ],
)
def test_a_python_that_cannot_do_is_named_before_anything_is_fetched(
    tmp_path: Path, says_no_to: str, sentence: str
) -> None:
    python = tmp_path / "python3"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in -V) echo Python 3.9.2 ;; *"{says_no_to}"*) exit 1 ;; *) exit 0 ;; esac\n'
    )
    python.chmod(0o755)
    done = subprocess.run(
        [ROOT / "systemd" / "packages", python, "venv"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert sentence.format(python=python) in done.stderr
