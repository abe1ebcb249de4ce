"""What `gatepost run` loads before it is online: what it needs later, or never, is CPU time of a start."""

from __future__ import annotations

import subprocess
import sys

LATER = (
    "agent.enrolment",
    "agent.events.contract",
    "agent.events.schemas",
    "agent.issuers",
    "annotated_types",
    "cv2",
    "http",
    "nacl",
    "numpy",
    "pydantic",
    "rich",
    "starlette",
    "typing_extensions",
    "uvicorn",
    "xml",
    "zxingcpp",
)
"""For an enrolment, schemas, lists and their download, pictures, a first Ed25519 code, the second service."""


def test_what_is_not_needed_is_not_loaded() -> None:
    words = "import sys, agent.cli.run; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "agent.app" in loaded
    assert not [name for name in loaded for later in LATER if name == later or name.startswith(f"{later}.")]
