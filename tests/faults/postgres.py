"""A private PostgreSQL, for what needs one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from agent.cli.demo.broker import MissingProgram


class Postgres:
    """A private PostgreSQL that can be ended at once. It syncs nothing: the disk belongs to the other tests too."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of its own, with a short path. Raises MissingProgram."""
        paths = [*os.environ["PATH"].split(os.pathsep), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
        found = shutil.which("pg_ctl", path=os.pathsep.join(paths))
        if not found:
            raise MissingProgram("PostgreSQL is not installed (apt-get install postgresql)")
        # it does not run as root: there it is somebody else in a namespace of its own
        as_whom = ["unshare", "-U", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
        if as_whom and subprocess.run([*as_whom, "true"], check=False).returncode:
            raise MissingProgram("PostgreSQL does not run as root, and this kernel makes no user namespaces")
        self._words, self._folder = [*as_whom, found, "-s", "-D", str(folder / "data")], folder
        if not (folder / "data").exists():
            self._run("initdb", "-o", "-A trust -U postgres -E UTF8 --locale=C -N")
        self.dsn = f"postgresql:///postgres?host={folder}&user=postgres"

    def _run(self, *words: str) -> None:
        subprocess.run([*self._words, *words], check=True, timeout=120, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-c fsync=off -c listen_addresses= -c unix_socket_directories={self._folder}"
        self._run("start", "-w", "-o", options, "-l", str(self._folder / "log"))

    @property
    def pid(self) -> int:
        """Of the process whose children are all others."""
        return int((self._folder / "data" / "postmaster.pid").read_text().split()[0])

    def crash(self) -> None:
        self._run("stop", "-m", "immediate")
