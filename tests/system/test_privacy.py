"""Whose code it was stays at the gate: not in the log, not on disk, not on the wire."""

import json
import signal

from agent.cli.demo.issuer import Issuer
from agent.cli.demo.kiosk import has_devices
from agent.codes import gatepost

WORDS = (b"CANARY", b"canary")
NAME = "CANARY-Zhang-San-110101199003077578"


def files(folder):
    return [
        path for path in folder.rglob("*") if path.is_file() and path.name not in ("agent.toml", "issuers.toml")
    ]


def test_no_code_text_and_no_subject_anywhere(build):
    site = build(settings={"run": {"directory": "run", "log": "debug"}})
    site.kiosk.start()
    stranger = Issuer("canary-issuer")
    shown = [
        site.issuer.code("green", NAME),
        site.issuer.code("expired", NAME + "1"),
        site.issuer.code("forged", NAME + "2"),
        stranger.code("green", NAME + "3"),
        b"https://example.org/CANARY",
        b"GP1:CANARY%%",
        b"HC1:CANARY",
        b"shc:/CANARY",
        "姓名:CANARY\x1b[31m\x00".encode(),
    ]
    secrets = [*WORDS, *shown]
    for issuer, number in ((site.issuer, ""), (site.issuer, "1"), (site.issuer, "2")):
        key = gatepost.subject_key(issuer.name, NAME + number)
        secrets += [key, key.hex().encode()]

    for code in shown[:5]:
        site.pass_by("entry", code)
    site.all_delivered()
    site.broker.stop()  # from here on events stay in the outbox
    for code in shown:
        site.pass_by("exit", code)
    site.all_stored()
    status = (site.folder / "run" / "status.json").read_bytes()
    site.kiosk.stop(signal.SIGKILL)

    kept = {str(path.relative_to(site.folder)): path.read_bytes() for path in files(site.folder)}
    assert {"outbox.db", "outbox.db-wal", "mosquitto.db"} <= kept.keys()
    heaps = {
        **kept,
        "status.json": status,
        "log": "\n".join(json.dumps(line, ensure_ascii=False) for line in site.lines).encode(),
    }
    assert heaps["log"].count(b'"event": "passage"') == 5 + len(shown)

    site.broker.start()
    site.kiosk.start(has_devices)
    site.all_delivered()
    assert len(site.centre.passages) == 5 + len(shown)
    heaps["broker"] = b"\n".join(payload for _, payload in site.centre.raw)
    found = [(where, secret) for where, heap in heaps.items() for secret in secrets if secret in heap]
    assert not found
