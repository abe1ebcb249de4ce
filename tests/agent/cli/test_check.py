"""`gatepost check` looks at every file that a configuration names, before the service meets it."""

import os
import re
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from agent.cli import main
from agent.credentials import bundle
from agent.credentials.lists import ListHeader
from agent.crypto import signing
from agent.model import ClockState, TimeBounds
from agent.ruleset import load

ROOT = Path(__file__).parents[3]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's rights")


@pytest.fixture
def tmp_path(open_tmp_path):
    """Where the configuration lies: some tests look at it as another user."""
    return open_tmp_path


@pytest.fixture
def kiosk(kiosk_file, pair):
    """The configuration with TLS; its files lie beside it."""
    authority = pair(kiosk_file.parent, "ca")
    pair(kiosk_file.parent, "own", authority)
    text = kiosk_file.read_text().replace(
        "port = 1\n", "port = 8883\n[commands]\njournal_file = 'command-journal.json'\n", 1
    )
    text = text.replace('path = "outbox.db"', 'path = "outbox.db"\nlimit_mb = 1')
    tls = 'tls = true\nca_file = "ca.crt"\ncert_file = "own.crt"\nkey_file = "own.key"\n'
    tls += 'renewed_cert_file = "client.pem"\n'
    kiosk_file.write_text(text.replace("[mqtt]\n", f"[mqtt]\n{tls}"))
    return kiosk_file


@pytest.fixture
def check(capsys):
    """Checks a file; (exit status, standard output, the faults)."""

    def checked(file):
        status = main(["check", "-c", str(file)])
        out, err = capsys.readouterr()
        return status, out, err.splitlines()[:-1]

    return checked


def line_of(file, option):
    return 1 + file.read_text()[: file.read_text().index(f"\n{option} = ") + 1].count("\n")


def test_right_files_with_paths_from_the_folder_of_the_configuration(kiosk, check, monkeypatch):
    monkeypatch.chdir("/")
    assert check(kiosk)[::2] == (0, [])


def test_the_authority_of_the_broker_need_not_be_that_of_the_kiosk(kiosk, check, pair):
    pair(kiosk.parent, "ca")
    assert check(kiosk)[::2] == (0, [])


@pytest.mark.parametrize("driver", ["amg8833", "mlx90640", "omron_d6t", "mlx90614"])
@pytest.mark.parametrize("part", ["thermometer", "room"])
def test_a_thermometer_that_only_shows_that_somebody_is_there_is_remarked(kiosk, check, driver, part):
    text = kiosk.read_text()
    start = text.index("thermometer = {")
    other = f'{part} = {{ driver = "{driver}" }}'
    kiosk.write_text(text[:start] + other + text[text.index("}", start) + 1 :])
    status, out, _ = check(kiosk)
    assert status == 0
    assert ("until it is calibrated, everybody goes to staff" in out) is (
        part == "thermometer" and driver != "mlx90614"
    )


def gone(folder, _):
    (folder / "own.key").unlink()


def no_pem(folder, _):
    (folder / "own.crt").write_bytes(bytes(range(256)))


def der(folder, pair):
    certificate, _ = pair(folder, "ca")
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.DER))


def swapped(folder, _):
    (folder / "own.crt").write_bytes((folder / "own.key").read_bytes())


def key_of_another(folder, pair):
    pair(folder, "other")
    (folder / "own.key").write_bytes((folder / "other.key").read_bytes())


def no_key(folder, _):
    (folder / "own.key").write_bytes((folder / "ca.crt").read_bytes())


def locked(folder, pair):
    pair(folder, "own", passphrase=b"secret")


def ended(folder, pair):
    pair(folder, "own", days=-5)


def not_begun(folder, pair):
    pair(folder, "own", starts_days=9)


def ended_authority(folder, pair):
    pair(folder, "ca", days=-5)


def folder_for_a_file(folder, _):
    (folder / "ca.crt").unlink()
    (folder / "ca.crt").mkdir()


@pytest.mark.parametrize(
    ("spoil", "option", "words"),
    [
        (gone, "key_file", ["own.key is not there"]),
        (no_pem, "cert_file", ["holds no certificate in PEM form", "openssl x509 -inform der"]),
        (der, "ca_file", ["holds no certificate in PEM form", "openssl x509 -inform der"]),
        (swapped, "cert_file", ["own.crt holds a private key"]),
        (key_of_another, "key_file", ["own.key is not the key to the certificate in", "own.crt"]),
        (no_key, "key_file", ["own.key holds no private key in PEM form"]),
        (locked, "key_file", ["passphrase", "openssl pkey"]),
        (ended, "cert_file", ["has ended 5 days ago", "renewed", "timedatectl"]),
        (not_begun, "cert_file", ["is valid only in 9 days", "timedatectl"]),
        (ended_authority, "ca_file", ["has ended 5 days ago"]),
        (folder_for_a_file, "ca_file", ["ca.crt is a folder"]),
    ],
)
def test_what_is_wrong_with_the_files_of_tls(kiosk, check, pair, spoil, option, words):
    spoil(kiosk.parent, pair)
    status, out, faults = check(kiosk)
    assert (status, out) == (1, "")
    assert len(faults) == 1, faults
    assert faults[0].startswith(f"{kiosk}:{line_of(kiosk, option)}: mqtt.{option}: ")
    assert all(word in faults[0] for word in words), faults[0]


def test_a_certificate_that_ends_soon_is_told_and_is_no_fault(kiosk, check, pair):
    pair(kiosk.parent, "own", days=20.5)
    status, out, faults = check(kiosk)
    assert (status, faults) == (0, [])
    assert "! mqtt: the kiosk's own certificate ends in 20 days: renew it" in out


def test_a_renewed_pair_is_what_counts(kiosk, check, pair):
    pair(kiosk.parent, "own", days=-5)
    pair(kiosk.parent, "new", starts_days=-1)
    link = kiosk.parent / "client.pem"
    link.write_bytes((kiosk.parent / "new.key").read_bytes() + (kiosk.parent / "new.crt").read_bytes())
    assert check(kiosk)[::2] == (0, [])


def test_a_port_that_is_usual_for_the_other_thing_is_told(kiosk, check):
    assert "mqtt.port" not in check(kiosk)[1]
    kiosk.write_text(kiosk.read_text().replace("port = 8883", "port = 1883"))
    assert "! mqtt.port: 1883 is usual in the clear, but tls = true" in check(kiosk)[1]


def test_what_a_broker_of_many_does_not_bear_is_told(kiosk, check):
    for setting in ("a dot", "keepalive_s", "state_interval_s", "mqtt.delivery"):
        assert setting not in check(kiosk)[1]
    text = kiosk.read_text()
    name = text.partition('id = "')[2].partition('"')[0]
    text = text.replace(f'id = "{name}"', f'id = "{name}.new"')
    kiosk.write_text(text.replace("port = 8883", "port = 8883\nfleet_size = 100000\nmore_hosts = ['b']"))
    told = check(kiosk)[1]
    assert 'delivery = "receipt" the kiosk keeps' in told
    assert f'kiosk.id: "{name}.new" has a dot' in told
    assert "14,286 pings a second" in told
    assert "1,667 retained messages a second" in told


def test_other_files_are_looked_at_too(kiosk, check):
    folder = kiosk.parent
    text = kiosk.read_text().replace(
        '"issuers.toml"', '"issuers.toml"\nlists = ["a.gpl", "b.gpl"]\nbundles = "sent"'
    )
    kiosk.write_text(text.replace('last_known_time_file = "clock"', 'last_known_time_file = "issuers.toml/clock"'))
    (folder / "b.gpl").write_bytes(b"no list")
    (folder / "outbox.db").mkdir()
    status, _, faults = check(kiosk)
    assert status == 1
    told = {fault.split(": ")[1]: fault for fault in faults}
    assert set(told) == {"codes.lists", "clock.last_known_time_file", "outbox.path"}
    assert len(faults) == 4
    assert any(
        "a.gpl is not there: until it is whole everybody at an entry goes to staff" in each for each in faults
    )
    assert "issuers.toml is no folder" in told["clock.last_known_time_file"]
    assert "outbox.db is a folder" in told["outbox.path"]
    assert all(
        fault.startswith(f"{kiosk}:{line_of(kiosk, fault.split(': ')[1].split('.')[1])}: ") for fault in faults
    )


@pytest.mark.parametrize(("seconds", "is_told"), [("0.8", False), ("1.0", False), ("1.2", True), ("5.0", True)])
def test_a_lane_that_waits_for_who_has_left_is_remarked(kiosk, check, seconds, is_told):
    text = kiosk.read_text()
    assert "\n[checkpoint]\n" not in text
    kiosk.write_text(f"{text}\n[checkpoint]\npresence_timeout_s = {seconds}\n")
    status, out, faults = check(kiosk)
    assert (status, faults) == (0, [])
    assert ("is let in on that one's code" in out) is is_told


def test_a_folder_for_the_server_without_a_root_is_told_and_a_spoilt_root_is_a_fault(kiosk, check):
    kiosk.write_text(kiosk.read_text().replace('"issuers.toml"', '"issuers.toml"\nbundles = "sent"'))
    status, out, _ = check(kiosk)
    assert status == 0
    assert f"! codes.bundles: no root in {kiosk.parent}/sent" in out
    assert "gatepost keys install ROOT.bundle" in out
    (kiosk.parent / "sent").mkdir()
    (kiosk.parent / "sent" / "root.bundle").write_bytes(b"spoilt")
    status, _, (fault,) = check(kiosk)
    assert status == 1
    assert f":{line_of(kiosk, 'bundles')}: codes.bundles: the root in {kiosk.parent}/sent" in fault


def test_a_bundle_of_a_group_that_the_kiosk_has_left_is_told(kiosk, check):
    store, key = load.BundleStore(kiosk.parent / "sent"), signing.new_private_key()
    role = {"threshold": 1, "keyids": [key.public.kid.hex()]}
    roles = {
        "keys": {key.public.kid.hex(): b64encode(key.public.spki).decode()},
        "roles": {"root": role, "keys": role},
    }
    now = int(time.time())
    for kind, content, target in (("root", roles, {}), ("keys", "", {"target": "@north"})):
        members = {
            "type": kind,
            "name": "",
            "fleet": "city",
            "version": 1,
            "issued_at": now,
            "expires_at": now + 9_999_999,
        }
        data = bundle.sign(members | {"warn_age_s": 1, "max_age_s": 1, "content": content} | target, [key])
        if kind == "root":
            store.install(data)
        else:
            store.accept(data, TimeBounds(now, now, ClockState.SYNCED), ("@north",))
    text = kiosk.read_text().replace('"issuers.toml"', '"issuers.toml"\nbundles = "sent"')
    kiosk.write_text(text)
    assert "keys.bundle: it is for @north, to which this kiosk does not belong" in check(kiosk)[1]
    kiosk.write_text(text.replace("[kiosk]", '[kiosk]\ngroups = ["north"]'))
    assert "@north" not in check(kiosk)[1]


def test_a_card_with_less_room_than_the_events_may_take_is_told(kiosk, check):
    kiosk.write_text(kiosk.read_text().replace("limit_mb = 1", "limit_mb = 1e9"))
    status, out, _ = check(kiosk)
    assert status == 0
    assert "! outbox.limit_mb: events may take 1e+09 MB, but " in out


def test_a_device_that_is_not_there_is_told_and_is_no_fault(kiosk, check):
    status, out, _ = check(kiosk)
    assert status == 0
    assert "! entry.thermometer is not there now: /dev/i2c-99" in out


CAMERA = 'scanner = {{ driver = "camera", device = "{}" }}'
REPLAYED = 'scanner = {{ driver = "replayed", file = "{}" }}'
LINE = 'scanner = { driver = "line", port = "nothing-here" }'


@pytest.mark.parametrize(
    ("scanner", "name", "words"),
    [
        (CAMERA, "pictures", "entry.scanner cannot be used now: device: {} is not there"),
        (CAMERA, "queue.avi", "entry.scanner cannot be used now: device: {} is not there"),
        (CAMERA, "empty", "entry.scanner cannot be used now: device: {} is an empty folder"),
        (REPLAYED, "day.jsonl", "entry.scanner cannot be used now: file: {} is not there"),
    ],
)
def test_a_folder_video_or_recording_that_is_not_there_is_told(kiosk, check, scanner, name, words):
    (kiosk.parent / "empty").mkdir()
    place = kiosk.parent / name
    kiosk.write_text(kiosk.read_text().replace(LINE, scanner.format(place)))
    status, out, _ = check(kiosk)
    assert status == 0
    assert words.format(place) in out


def test_a_camera_s_file_lies_beside_the_configuration(kiosk, check, monkeypatch):
    """Wherever the command was typed: the service runs in another folder."""
    (kiosk.parent / "pictures").mkdir()
    (kiosk.parent / "pictures" / "1.png").touch()
    kiosk.write_text(kiosk.read_text().replace(LINE, CAMERA.format("pictures")))
    monkeypatch.chdir("/")
    assert "entry.scanner cannot be used" not in check(kiosk)[1]
    kiosk.write_text(kiosk.read_text().replace('"pictures"', '"film.avi"'))
    assert f"device: {kiosk.parent}/film.avi is not there" in check(kiosk)[1]


@pytest.mark.parametrize("address", ["http://10.0.0.7/video", "rtsp://a:b@10.0.0.7/x", "csi:0"])
def test_a_camera_that_is_no_file_is_not_looked_for_as_one(kiosk, check, address):
    kiosk.write_text(kiosk.read_text().replace(LINE, CAMERA.format(address)))
    kiosk.chmod(0o644)
    out = check(kiosk)[1]
    assert "entry.scanner cannot be used" not in out
    assert (f"lanes.entry.scanner.device: others may read {kiosk}" in out) == ("@" in address)


def test_a_user_name_of_another_kiosk_is_told(kiosk, check):
    text = kiosk.read_text()
    for name, is_told in (("site/k1", False), ("site/k2", True), ("kiosk", True)):
        kiosk.write_text(text.replace("[mqtt]\n", f'[mqtt]\nusername = "{name}"\n'))
        status, out, _ = check(kiosk)
        assert status == 0
        assert (f'! mqtt.username: "{name}" is not this kiosk, "site/k1"' in out) == is_told, out


def test_a_secret_that_others_may_read_is_told(kiosk, check):
    key = kiosk.parent / "own.key"
    kiosk.write_text(kiosk.read_text().replace("[mqtt]\n", '[mqtt]\nusername = "site/k1"\npassword = "x"\n'))
    for file, setting in ((key, "mqtt.key_file"), (kiosk, "mqtt.password")):
        file.chmod(0o644)
        assert (
            f"! {setting}: others may read {file} (mode 644), which holds a secret: sudo chmod o= {file}"
            in (check(kiosk)[1])
        )
        file.chmod(0o640)
        assert f"{setting}: others" not in check(kiosk)[1]


def test_a_secret_in_a_file_beside_the_configuration_is_told(kiosk, check):
    part = kiosk.parent / "agent.toml.d" / "10-broker.toml"
    part.parent.mkdir(mode=0o755)
    part.write_text('[mqtt]\nusername = "site/k1"\npassword = "x"\n')
    kiosk.chmod(0o640)
    part.chmod(0o644)
    assert f"! mqtt.password: others may read {part} (mode 644)" in check(kiosk)[1]
    part.chmod(0o640)
    kiosk.chmod(0o644)
    assert "mqtt.password: others" not in check(kiosk)[1], "none stands there"


@pytest.mark.parametrize(
    ("host", "is_told"),
    [("broker.example", True), ("10.0.0.7", True), ("localhost", False), ("127.0.0.2", False), ("::1", False)],
)
def test_a_password_that_goes_out_without_tls_is_told(kiosk_file, check, host, is_told):
    text = kiosk_file.read_text().replace("[mqtt]\n", '[mqtt]\nusername = "site/k1"\npassword = "hunter2"\n', 1)
    kiosk_file.write_text(re.sub(r'host = ".*"', f'host = "{host}"', text))
    out = check(kiosk_file)[1]
    assert (f"! mqtt.password: goes to {host} without TLS" in out) == is_told, out
    assert "hunter2" not in out


def test_the_broker_is_tried_when_asked_for(kiosk_file, broker, capsys):
    assert main(["check", "-c", str(kiosk_file), "--broker"]) == 1
    assert "broker: 127.0.0.1:1: nobody listens there" in capsys.readouterr().err
    kiosk_file.write_text(kiosk_file.read_text().replace("port = 1\n", f"port = {broker.port}\n"))
    assert main(["check", "-c", str(kiosk_file), "--broker"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "✓ takes gatepost/v1/site/k1/event/check" in out
    kiosk_file.write_text("")
    assert main(["check", "-c", str(kiosk_file), "--broker"]) == 1
    assert "broker" not in capsys.readouterr().out


@needs_root
def test_root_looks_with_the_rights_of_another(kiosk, tmp_path, capsys):
    folder = tmp_path
    folder.chmod(0o777)
    for file in folder.iterdir():
        file.chmod(0o644)
    (folder / "own.key").chmod(0o600)
    (folder / "outbox.db").write_bytes(b"")
    (folder / "outbox.db").chmod(0o600)
    (folder / "issuers.toml").chmod(0o600)
    assert main(["check", "-c", str(kiosk), "--user", "nobody"]) == 1
    assert os.geteuid() == os.getegid() == 0
    *faults, count = capsys.readouterr().err.splitlines()
    told = {line.split(": ")[1]: line for line in faults}
    assert set(told) == {"mqtt.key_file", "outbox.path", "codes.keys"}, faults
    assert f"the user nobody may not open {folder}/own.key (sudo chgrp" in told["mqtt.key_file"]
    assert "outbox.db is not open to the user nobody, has root written it?" in told["outbox.path"]
    assert "the user nobody may not open" in told["codes.keys"]
    assert count == "3 faults, looked at as the user nobody."


def test_another_user_is_for_root(kiosk, capsys):
    assert main(["check", "-c", str(kiosk), "--user", "who-is-that"]) == 1
    assert "--user who-is-that: there is no such user" in capsys.readouterr().err


@needs_root
def test_code_in_a_folder_that_the_service_may_not_enter_is_no_fault(kiosk, tmp_path):
    """As in root's own home: a copy of the code, which nobody else may enter."""
    folder = tmp_path
    for file in folder.iterdir():
        file.chmod(0o644)
    folder.chmod(0o777)
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    for name in ("agent", "drivers", "config"):
        shutil.copytree(ROOT / name, closed / name, ignore=shutil.ignore_patterns("__pycache__"))
    run = "import sys; from agent.cli import main; raise SystemExit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", run, "check", "-c", str(kiosk), "--user", "nobody"]
    env = {**os.environ, "PYTHONPATH": str(closed), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, cwd=closed, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "right. Kiosk" in done.stdout


def test_what_the_kiosk_shares_is_tried_at_the_broker(broker, kiosk_file, capsys):
    room = 'room = {capacity = 9, kiosks = ["k1", "other"]}\n'
    (kiosk_file.parent / "venue.toml").write_text(f'name = "hall"\n{room}')
    text = kiosk_file.read_text().replace("port = 1\n", f"port = {broker.port}\n", 1)
    shared = '[venue]\nfile = "venue.toml"\n[tickets]\nkiosks = ["k1", "other"]\nused_file = "used.sqlite"\n'
    placed = 'direction = "entry"\nplaces = ["concert"]\n'
    kiosk_file.write_text(text.replace('direction = "entry"\n', placed, 1) + shared)
    assert main(["check", "-c", str(kiosk_file), "--broker"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "/used, and delivers " in said
    assert "/tally, and delivers " in said


def test_what_speaks_of_nobody_is_told(kiosk, check):
    folder = kiosk.parent
    lists = [("a.gpl", "Shop"), ("b.gpl", "shop"), ("c.gpl", "card")]
    for name, issuer in lists:
        head = ListHeader("revoked", issuer, 1, time.time(), 9e6, 9e6)
        load.write_list(folder / name, head, bytes(16))
    keys = folder / "issuers.toml"
    public = b64encode(signing.new_private_key().public.spki).decode()
    keys.write_text(f'[[key]]\nissuer = "shop"\nkid = "aa"\npublic = "{public}"\n')
    names = ", ".join(f'"{name}"' for name, _ in lists)
    kiosk.write_text(kiosk.read_text().replace('"issuers.toml"', f'"issuers.toml"\nlists = [{names}]', 1))
    told = check(kiosk)[1]
    assert "the revoked list of Shop speaks of nobody: the keys file names no such issuer; is shop meant?" in told
    assert told.count("speaks of nobody") == 1
    keys.write_text(
        keys.read_text() + '[[revoked]]\nkid = "ab"\nrids = ["x"]\n[[revoked]]\nkid = "aa"\nrids = ["x"]\n'
    )
    told = check(kiosk)[1]
    assert "[[revoked]] of the key ab, which no [[key]] is, revokes nobody" in told
    assert told.count("[[revoked]]") == 1


def test_a_keys_file_without_a_version_is_remarked_and_an_older_one_a_fault(kiosk, check):
    keys = kiosk.parent / "issuers.toml"
    status, out, _ = check(kiosk)
    assert (status, "has no version: an older copy" in out) == (0, True)
    keys.write_text("version = 2\n" + keys.read_text())
    status, out, _ = check(kiosk)
    assert (status, "has no version" in out) == (0, False)
    load.AcceptedVersions(kiosk.parent / load.FILES_ACCEPTED).store("keys issuers.toml", {"version": 3})
    status, _, faults = check(kiosk)
    assert status == 1
    assert "codes.keys" in faults[0]
    assert "is version 2, and 3 was in force" in faults[0]
