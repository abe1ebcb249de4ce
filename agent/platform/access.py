"""Whether this program may read or write a file, and if not, why, and what to do."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from pathlib import Path

from agent.platform.files import open_file

SERVICE_USER = "gatepost"
SETTINGS = Path("/etc/gatepost")
MADE_AT_START = (Path("/run/gatepost"), Path("/var/lib/gatepost"))
"""Folders that the service is given when it starts (RuntimeDirectory=, StateDirectory= of its unit)."""
_SECRETS = Path("/run/credentials")
"""Files that systemd hands over when the service starts (LoadCredential=)."""


def unreadable(file: Path) -> str:
    """Why the file cannot be read; empty when it can, or when it comes only when the service starts."""
    if file.is_relative_to(_SECRETS):
        return ""
    try:
        with os.fdopen(open_file(file), "rb") as opened:
            opened.read(1)
    except OSError as error:
        return why(error, file)
    return ""


def unwritable(folder: Path) -> str:
    """Why nothing can be written into the folder, which is made when it is missing; empty when it can."""
    if any(folder.is_relative_to(made) and not made.exists() for made in MADE_AT_START):
        return ""
    there = next(above for above in (folder, *folder.parents) if os.path.lexists(above))
    if not there.is_dir():
        return f"{there} is no folder"
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            return f"{there} is on a file system that is read-only (mount it with rw, or name another folder)"
        name = user()
        if _is_the_services(folder):
            return f"the user {name} may not write to {there}, it is the service's (ask with sudo)"
        return f"the user {name} may not write to {there} (sudo install -d -o {name} -g {name} -m 700 {folder})"
    return ""


_FILES = {
    errno.ENOENT: "{} is not there",
    errno.EEXIST: "{} is there already (name another)",
    errno.ENOSPC: "no room is left where {} is (df -h)",
    errno.EROFS: "{} is on a file system that is read-only",
    errno.EFBIG: "{} is longer than any such file: more than 16 MiB",
    errno.EISDIR: "{} is a folder, not a file",
    errno.ENOTDIR: "{} lies in what is no folder",
}
"""What an error means for a file."""


def why(error: OSError, file: Path | None = None) -> str:
    """What an error of opening a file means, and what to do; without `file`, of the one that the error names."""
    if file is None:
        if error.filename is None:
            return f"output: {error.strerror or error}"
        file = Path(error.filename)
    if error.errno == errno.ENOENT and not file.absolute().parent.exists():
        return f"{file} is not there: there is no folder {file.parent}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"the user {user()} may not open {file} ({_let_in(file)})"
    return _FILES.get(error.errno or 0, f"{{}} cannot be opened: {error.strerror}").format(file)


def _let_in(file: Path) -> str:
    """What lets us read it: the topmost folder in the way first."""
    name = user()
    if _is_the_services(file):
        return "ask with sudo"
    for folder in reversed(file.absolute().parents):
        if not os.access(folder, os.X_OK, effective_ids=True):
            return f"its folder is closed: sudo chgrp {name} {folder} && sudo chmod g+rx {folder}"
    if not os.path.lexists(file):
        return "its folder belongs to somebody else"
    return f"sudo chgrp {name} {file} && sudo chmod 640 {file}"


def _is_the_services(path: Path) -> bool:
    """Whether somebody else than the service asks for what is its own."""
    own = (SETTINGS, *MADE_AT_START)
    return user() != SERVICE_USER and any(path.is_relative_to(folder) for folder in own)


def user() -> str:
    """With whose rights this program looks."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def group(path: Path) -> str:
    """To which group a file belongs."""
    number = path.stat().st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
