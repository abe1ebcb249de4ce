"""A new base of a list, some megabytes long, reaches the whole agent; until then the list before decides."""

from __future__ import annotations

import subprocess
import time

import pytest
from base_bench import serving

from agent.cli.demo.authority import DemoAuthority
from agent.cli.demo.broker import program
from agent.credentials import lists
from agent.credentials.formats import gatepost
from agent.events import base_chunk_topic
from agent.ruleset import load
from drivers.simulators.lane import Lane
from drivers.simulators.world import World

KEYS = 200_000
CHUNK = 256 * 1024
BUNDLE = "gatepost/v1/test/k1/bundle/list/status"
SETTINGS = {
    "codes": {"keys": "issuers.toml", "lists": ["status.gpl"], "bundles": "bundles"},
    "checkpoint": {
        "rescan_after_refusal_s": 0.01,
        "rescan_after_admit_s": 0.01,
        "passback_window_s": 0.0,
    },
}


def lanes(folder):
    return {"entry": Lane(folder / "entry", thermometer="gy_mcu", world=World(noise_c=0.03, seed=1))}


def new_base(folder, issuer, *red):
    """A list of three megabytes, on which these holders are red."""
    keys = sorted({number.to_bytes(16) for number in range(KEYS)} | set(map(key_of(issuer), red)))
    head = lists.ListHeader("status", issuer, 2, time.time(), warn_age_s=86_400, max_age_s=3 * 86_400)
    load.write_list(folder / "central.gpl", head, b"".join(keys), bytes([3] * len(keys)))
    return folder / "central.gpl"


def key_of(issuer):
    return lambda subject: gatepost.subject_key(issuer, subject)


@pytest.fixture
def web():
    yield from serving()


@pytest.mark.parametrize("way", ["http", "mqtt"])
def test_a_base_of_megabytes_comes_while_the_list_before_decides(build, wait_until, tmp_path, web, way):
    site = build(lanes, SETTINGS)
    authority = DemoAuthority()
    authority.install(site.folder / "bundles")
    authority.empty_list(site.folder / "status.gpl", site.issuer.name)
    site.kiosk.start()
    publish(site, BUNDLE, authority.colours(site.folder / "status.gpl", site.issuer.name, {}))
    site.kiosk.wait(lambda report: report["commands"]["succeeded"])
    code = site.issuer.code("green", "anna")
    assert site.pass_by("entry", code)["decision"] == "admit"

    file = new_base(tmp_path, site.issuer.name, "anna")
    assert file.stat().st_size > 3_000_000
    chunks = load.chunks_of(file, CHUNK, web.url if way == "http" else "")
    pushed = authority.bundle("list", load.list_content(load.open_list(file), chunks), "status")
    web.status = 503
    publish(site, BUNDLE, pushed)
    site.kiosk.wait(lambda report: any("is not here yet" in each["fault"] for each in report["lists"]))
    if way == "http":  # over MQTT it takes a minute until it is said
        report = site.kiosk.wait(lambda r: any(each["code"] == "list_fetch_failed" for each in r["problems"]))
        (problem,) = [each for each in report["problems"] if each["code"] == "list_fetch_failed"]
        assert problem["severity"] == "warning"
        assert f"list status: {web.url} answers 503" in problem["text"]
        wait_until(
            lambda: "list_fetch_failed" in [each["code"] for each in site.server.state.get("problems", [])],
            "the retained state says it",
        )
    told = site.pass_by("entry", code)
    assert told["decision"] == "admit_with_notice", f"the list before is in force within its age: {told}"

    web.data, web.status = file.read_bytes(), 0
    if way == "mqtt":
        with file.open("rb") as base:
            for index, piece in enumerate(iter(lambda: base.read(CHUNK), b"")):
                publish(site, base_chunk_topic(chunks.id, index), piece)
    wait_until(lambda: site.pass_by("entry", code)["decision"] == "refuse", "the new list decides", 60.0)
    site.kiosk.wait(lambda r: not r["problems"] and [each["fault"] for each in r["lists"]] == [""])
    site.all_delivered()
    site.kiosk.close()


def publish(site, topic, payload):
    """Retained; the broker has it when this returns."""
    words = ["-h", "127.0.0.1", "-p", str(site.broker.port), "-q", "1", "-r", "-t", topic, "-s"]
    subprocess.run([program("mosquitto_pub"), *words], input=payload, check=True, timeout=120)
