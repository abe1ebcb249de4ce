"""What nobody on this project made: photographs of codes and skin temperatures, from the wire to the subscriber."""

import csv
import json
from collections import Counter

import pytest

from drivers.simulators import qr
from drivers.simulators.lane import Lane
from drivers.simulators.world import World

CAMERAS = ("entry-a", "entry-b")
READABLE = ("nominal", "bright_spots", "rotations", "perspective", "shadows", "qrcode-1", "qrcode-2", "qrcode-3")
"""Kinds of photographs that a kiosk has to be able to read."""
PHOTOGRAPHS, WITHOUT_CODE = 40, 12
THERMOMETERS, PEOPLE = 6, 60
WIRE_C = 0.02
"""Resolution of an MLX90614's word; half of it is lost by rounding, and half a hundredth in the event."""
COLD_C = 33.0
"""The screening's default, below which skin says nothing."""
COLD_S = 20.0
"""So long the kiosk waits for skin that says something; all others are measured by then, on a busy machine too."""


def certificates(shared):
    """Pictures of certificates by 37 issuers, none of whose keys this kiosk has."""
    return sorted(path for path in (shared / "codes" / "qa").iterdir() if path.suffix.lower() == ".png")


def photographs(shared):
    """Photographs that hold one code each, each code another, with its text."""
    truth = json.loads((shared / "qr" / "truth.json").read_text())
    by_text = {
        picture["codes"][0]["text"]: shared / "qr" / name
        for name, picture in sorted(truth.items())
        if picture["category"] in READABLE and len(picture["codes"]) == 1 and picture["codes"][0]["text"]
    }
    return {path: text for text, path in list(by_text.items())[:PHOTOGRAPHS]}


@pytest.fixture(scope="module")
def shown(shared, build, tmp_path_factory):
    """All pictures shown to two cameras, and what came of it: (site, texts of the photographs)."""
    texts = photographs(shared)
    empty = sorted((shared / "qr" / "zxing-fp").iterdir())[:WITHOUT_CODE]
    pictures = [*certificates(shared), *texts, *empty]
    albums = {lane: tmp_path_factory.mktemp(lane) for lane in CAMERAS}
    for number, picture in enumerate(pictures):
        link = albums[CAMERAS[number % len(CAMERAS)]] / f"{number:04}{picture.suffix.lower()}"
        link.symlink_to(picture)
    settings = {
        # so long is a picture shown that a code in another place counts as another code
        f"lanes.{lane}.scanner": {"device": str(album), "each_s": 0.5, "fps": 10, "away_s": 0.3}
        for lane, album in albums.items()
    }
    site = build(lambda folder: {lane: Lane(folder / lane, scanner="camera") for lane in CAMERAS}, settings)
    for album in albums.values():
        qr.save(site.issuer.code("red"), album / "the-end.png")
    site.kiosk.start()
    return site, texts


@pytest.fixture(scope="module")
def passages(shown, wait_until):
    """The passages at the central server, once both lanes are through with their pictures; the agent is stopped."""
    site, _ = shown
    wait_until(
        lambda: sum(p["reasons"] == ["code_red"] for p in site.server.passages) == len(CAMERAS),
        "the last picture",
        100,
    )
    site.kiosk.stop()
    site.server.judge()
    return site.server.passages


def test_certificates_of_strangers_are_read_and_go_to_staff(shared, passages):
    seen = [passage for passage in passages if passage["credential"]["format"] == "dcc"]
    assert len(seen) == len(certificates(shared))
    assert Counter((p["decision"], *p["reasons"]) for p in seen) == {("refer", "issuer_unknown"): len(seen)}
    assert not any(passage["gate_opened"] for passage in seen)
    assert {passage["credential"]["issuer"] for passage in seen} == {None}, (
        "nobody's word counts before it is known"
    )


def test_photographs_are_read_and_open_nothing(shown, passages):
    _, texts = shown
    seen = [passage for passage in passages if passage["credential"]["status"] == "unrecognised"]
    assert len(texts) * 0.95 <= len(seen) <= len(texts)
    assert Counter((p["decision"], *p["reasons"]) for p in seen) == {("refer", "code_unrecognised"): len(seen)}


def test_every_passage_comes_from_a_code(shown, passages):
    assert {p["credential"]["status"] for p in passages} == {"unknown_issuer", "unrecognised", "valid"}
    assert not any(p["gate_opened"] for p in passages)


def test_no_text_of_a_photograph_leaves_the_kiosk(shown, passages):
    site, texts = shown
    heaps = [payload for _, payload in site.server.raw]
    heaps += [json.dumps(line, ensure_ascii=False).encode() for line in site.lines]
    heaps += [path.read_bytes() for path in site.folder.glob("outbox.db*")]
    telling = {text.encode() for text in texts.values() if len(text) > 8}
    assert len(telling) > len(texts) / 2
    assert not [text for text in telling for heap in heaps if text in heap]


def foreheads(shared):
    """Centres of foreheads as an imager saw them, °C: from the coldest to the warmest, with all warm ones."""
    with (shared / "fever" / "FLIR_group1.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    column = rows[2].index("T_FHCC1")
    skins = sorted(float(row[column]) for row in rows[3:] if row[column].replace(".", "").isdigit())
    warm = [skin for skin in skins if skin >= 35.6]
    others = skins[: -len(warm)]
    return others[:: len(others) // (PEOPLE - len(warm))][: PEOPLE - len(warm)] + warm


def expected(skin_c, limit_c):
    """Decision and reason for a green code and this skin."""
    if skin_c < COLD_C:
        return "refer", "temperature_missing"
    return ("refer", "fever") if skin_c >= limit_c else ("admit", "code_green")


def test_temperatures_of_real_foreheads(shared, build, wait_until):
    """Each is measured by its own chip over I²C with checksums, and arrives as it was, judged by the limits."""
    lanes = [f"entry-{number}" for number in range(THERMOMETERS)]
    site = build(
        lambda folder: {
            lane: Lane(folder / lane, world=World(noise_c=0.001, seed=number)) for number, lane in enumerate(lanes)
        },
        {"checkpoint": {"temperature_timeout_s": COLD_S}},
    )
    site.kiosk.start()
    people = foreheads(shared)
    assert len(people) == PEOPLE
    queues = {lane: people[number::THERMOMETERS] for number, lane in enumerate(lanes)}
    for turn in range(PEOPLE // THERMOMETERS):
        for lane in lanes:
            site.step_aside(lane)
            site.kiosk.lanes[lane].world.stand(queues[lane][turn])
            site.kiosk.lanes[lane].show(site.issuer.code("green"))
        wait_until(lambda count=(turn + 1) * THERMOMETERS: len(site.server.passages) == count, f"turn {turn}")
        for lane in lanes:
            site.kiosk.lanes[lane].world.leave()
    site.server.judge()

    outcomes = Counter()
    for lane in lanes:
        arrived = [passage for passage in site.server.passages if passage["lane"] == lane]
        for skin_c, passage in zip(queues[lane], arrived, strict=True):
            measured = passage["temperature"]
            assert abs(measured["surface_c"] - skin_c) <= WIRE_C / 2 + 0.006, (skin_c, measured)
            assert measured["uncertainty_c"] >= 0.5, "what the part's own data sheet says, at least"
            decision = passage["decision"], passage["reasons"][0]
            assert decision == expected(measured["surface_c"], measured["threshold_c"]), (skin_c, passage)
            outcomes[decision] += 1
    assert outcomes["refer", "fever"] >= 10
    assert outcomes["refer", "temperature_missing"] >= 2
    assert outcomes["admit", "code_green"] >= 40
