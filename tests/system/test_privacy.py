"""Whose code it was stays at the gate: not in the log, not on disk, not on the wire, and soon not in memory either.

In mode `trace` it goes to the central server, sealed: the same words must be nowhere, and the central server must
find them.
"""

import itertools
import json
import re
import signal
import time
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from agent.cli.demo.issuer import Issuer
from agent.cli.demo.kiosk import has_devices
from agent.credentials import bundle
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import ClockState, TimeBounds
from agent.privacy import hpke, opened
from agent.ruleset import load
from tests.processes import family

UNIT = Path(__file__).parents[2] / "systemd" / "gatepost.service"
WORDS = (b"CANARY", b"canary-bird")
NAME = "CANARY-Zhang-San-110101199003077578"
OTHERS = 5
"""People who come after the canaries on each lane, before memory is looked through."""
BUNDLES = {"codes": {"keys": "issuers.toml", "bundles": "bundles"}}


class CentralServer:
    """Anyone who signs bundles and holds the private key that opens what is sealed."""

    def __init__(self):
        self.private = hpke.new_private_key()
        self._signer = signing.new_private_key()

    def ask_to_trace(self, folder):
        """Put the root and the word on personal data where the kiosk looks for them."""
        kid, now = self._signer.public.kid.hex(), time.time()
        role = {"threshold": 1, "keyids": [kid]}
        keys = {kid: b64encode(self._signer.public.spki).decode()}
        store = load.BundleStore(folder)
        store.install(self._signed("root", {"keys": keys, "roles": {"root": role, "privacy": role}}))
        public = b64encode(hpke.public_bytes(self.private)).decode()
        valid = "from = 2020-01-01T00:00:00Z\nuntil = 2100-01-01T00:00:00Z\n"
        text = f'mode = "trace"\n[[key]]\nkeyid = "test"\npublic = "{public}"\n{valid}'
        store.accept(self._signed("privacy", text), TimeBounds(now, now, ClockState.SYNCED))

    def _signed(self, kind, content):
        now = int(time.time())
        members = {
            "type": kind,
            "name": "",
            "fleet": "test",
            "version": 1,
            "issued_at": now,
            "expires_at": now + 86_400,
        }
        return bundle.sign(members | {"warn_age_s": 1, "max_age_s": 2, "content": content}, [self._signer])


class Canaries:
    """Codes that name somebody, and every word that would give him away."""

    def __init__(self, issuer):
        stranger = Issuer("canary-bird")
        self.codes = [
            issuer.code("green", NAME),
            issuer.code("expired", NAME + "1"),
            issuer.code("forged", NAME + "2"),
            stranger.code("green", NAME + "3"),
            b"https://example.org/CANARY",
            b"GP1:CANARY%%",
            b"HC1:CANARY",
            b"shc:/CANARY",
            "姓名:CANARY\x1b[31m\x00".encode(),
        ]
        self.secrets = [*WORDS, *(code[-30:] for code in self.codes)]
        for number in ("", "1", "2"):
            key = gatepost.subject_key(issuer.name, NAME + number)
            self.secrets += [key, key.hex().encode()]

    def found(self, heaps):
        """(where, which) for every word that is in a heap."""
        return [(where, secret) for where, heap in heaps.items() for secret in self.secrets if secret in heap]


def files(folder):
    return [
        path for path in folder.rglob("*") if path.is_file() and path.name not in ("agent.toml", "issuers.toml")
    ]


@pytest.mark.parametrize("mode", ["verify-only", "trace"])
def test_no_code_text_and_no_subject_anywhere(build, mode):
    site = build(settings={"runtime": {"directory": "run", "log_level": "debug"}, **BUNDLES})
    server, canaries = CentralServer(), Canaries(site.issuer)
    if mode == "trace":
        server.ask_to_trace(site.folder / "bundles")
    site.kiosk.start()
    for code in canaries.codes[:5]:
        site.pass_by("entry", code)
    site.all_delivered()
    site.broker.stop()  # from here on events stay in the outbox
    for code in canaries.codes:
        site.pass_by("exit", code)
    site.all_stored()
    status = (site.folder / "run" / "status.json").read_bytes()
    site.kiosk.stop(signal.SIGKILL)

    kept = {str(path.relative_to(site.folder)): path.read_bytes() for path in files(site.folder)}
    assert {"outbox.db", "outbox.db-wal", "mosquitto.db"} <= kept.keys()
    log = "\n".join(json.dumps(line, ensure_ascii=False) for line in site.lines)
    assert log.count('"event": "passage"') == 5 + len(canaries.codes)
    assert ("details withheld" in log) == (mode == "trace")
    assert ("surface_c" in log) == (mode == "verify-only")

    site.broker.start()
    site.kiosk.start(has_devices)
    site.all_delivered()
    wire = b"\n".join(payload for _, payload in site.server.raw)
    assert not canaries.found({**kept, "status.json": status, "log": log.encode(), "broker": wire})

    passages = [event for event in site.server.events if event["type"] == "gatepost.passage.v1"]
    assert len(passages) == 5 + len(canaries.codes)
    if mode == "verify-only":
        assert not any("sealed" in event["data"] for event in passages)
        return
    assert not any(
        event["data"]["credential"]["status"] != "withheld" or event["data"]["reasons"] for event in passages
    )
    told = [opened(event, server.private)["data"] for event in passages]
    assert {b64decode(code) for data in told for code in data["payloads"]} == set(canaries.codes)
    assert {data["credential"]["status"] for data in told} >= {"valid", "expired", "bad_signature", "unrecognised"}
    assert any(data["temperature"]["surface_c"] for data in told)


def test_the_service_leaves_no_word_in_memory_once_the_person_has_left(build):
    """With the settings of the service's own file: what memory is let go of, after its time, is overwritten."""
    short = {  # how long the codes and holders of docs/privacy.md are remembered
        "checkpoint": {
            "rescan_after_admit_s": 1.0,
            "passback_window_s": 1.0,
        },
        "screening": {
            "baseline_file": "baseline.json",
            "clinical_timeout_s": 1.0,
            "retest_wait_s": 0.5,
            "retest_memory_s": 1.0,
        },
    }
    site = build(settings=BUNDLES | short)
    server, canaries = CentralServer(), Canaries(site.issuer)
    server.ask_to_trace(site.folder / "bundles")
    site.kiosk.start(**environment_of_the_service())
    for lane, code in itertools.product(("entry", "exit"), canaries.codes[:7]):
        site.pass_by(lane, code)
    for _ in range(OTHERS):
        site.pass_by("entry", "green")
        site.pass_by("exit", "green")
    try:
        # a look reads some hundred megabytes
        site.wait_until(lambda: not canaries.found(memory_of(site.kiosk.pid)), "no word in memory", every_s=2.0)
    except AssertionError:
        pytest.fail(f"still there: {canaries.found(memory_of(site.kiosk.pid))}")


def environment_of_the_service():
    words = re.findall(r"^Environment=(.*)$", UNIT.read_text(), re.MULTILINE)
    settings = dict(word.split("=", 1) for line in words for word in line.split())
    del settings["GATEPOST_BOOT_ID"]  # systemd's own word
    assert settings.keys() >= {"PYTHONMALLOC", "GLIBC_TUNABLES"}
    return settings


def memory_of(pid):
    """What a core dump of the agent and its children would hold, by mapping."""
    heaps = {}
    for each in family(pid):
        try:
            lines = Path(f"/proc/{each}/maps").read_text().splitlines()
            with Path(f"/proc/{each}/mem").open("rb", buffering=0) as memory:
                for line in lines:
                    if " r--p " in line or " r-xp " in line:
                        continue  # the agent has never written there
                    begin, end = (int(word, 16) for word in line.split(maxsplit=1)[0].split("-"))
                    heaps[f"{each} {line}"] = read(memory, begin, end)
        except PermissionError:
            pytest.skip("this user may not look into the agent's memory")
    return heaps


def read(memory, begin, end):
    try:
        memory.seek(begin)
        return memory.read(end - begin)
    except (OSError, ValueError, OverflowError):
        return b""  # not to be read: a guard page, the kernel's own, a device's
