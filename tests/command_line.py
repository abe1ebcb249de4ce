"""`gatepost` with what it prints, without a process of its own: starting Python takes longer than most commands."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from unittest import mock

from agent.cli import main


def gatepost(*words: object, answers: str = "") -> subprocess.CompletedProcess[str]:
    """Run one command as a person types it, who gives `answers` where it asks."""
    out, err = io.StringIO(), io.StringIO()
    arguments = [str(word) for word in words]
    asked = mock.patch.object(sys, "stdin", io.StringIO(answers))
    with asked, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as ended:  # of the parser
            status = ended.code if isinstance(ended.code, int) else 1
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())
