"""What every driver promises, asked of every driver that there is, on the wires that it will have."""

import ast
import inspect
import itertools
import random
import threading
import time
import typing
from dataclasses import fields, is_dataclass

import pytest

from drivers import registry
from drivers.contract import OUTPUT, BadOptions, BadReply, DeviceGone, Distance, Fix, Sighting
from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.stand_ins import MAKERS, stand_in

ALL = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]
SOURCES = [each for each in MAKERS if each[0] != "outputs"]
SINKS = [each for each in MAKERS if each[0] == "outputs"]
ELSEWHERE = {
    ("scanners", "camera"): "pictures, not a wire of bytes: tests/drivers/scanners/test_camera.py",
    ("scanners", "keyboard"): "keys, not a wire of bytes: tests/drivers/scanners/test_keyboard.py",
    ("ranging", "replayed"): "a file: tests/drivers/test_recording.py",
    ("scanners", "replayed"): "a file: tests/drivers/test_recording.py",
    ("thermometers", "replayed"): "a file: tests/drivers/test_recording.py",
    ("inputs", "gpio"): "a kernel line: tests/drivers/inputs/test_gpio_button.py",
    ("outputs", "gpio"): "a kernel line: tests/drivers/outputs/test_gpio.py",
    ("outputs", "simulated"): "no wire at all: tests/drivers/outputs/test_simulated.py",
}
UNCHECKED = tuple(
    f"drivers.{name}"
    for name in (
        "ranging.vl53l0x",
        "ranging.vl53l1x",
        "thermometers.amg8833",
        "thermometers.mlx90632",
        "thermometers.mlx90640",
    )
)
"""I²C parts that send no checksum: noise in their range looks like a value, as their datasheets say."""
CODE = b"GATEPOST:contract"
CARDS = {
    ("scanners", "em4100"): (bytes.fromhex("0F00C0FFEE"), b"card:em4100:0F00C0FFEE"),
    ("scanners", "id_card"): (b"11010519491231002X", b"card:prc-id:11010519491231002X"),
    ("scanners", "pn532"): (bytes.fromhex("04A1B2C3D4E5F6"), b"card:iso14443a:04A1B2C3D4E5F6"),
}
"""What lies before a card reader, and what it hands over for it."""
PATIENCE_S = 60.0


class JunkChip:
    """Answers every address with noise."""

    addresses = tuple(range(128))

    def __init__(self, seed):
        self.random = random.Random(seed)

    def write(self, address, data):
        pass

    def read(self, address, count):
        return self.random.randbytes(count)


@pytest.fixture
def device(request, world, tmp_path):
    kind, name = request.param
    world.stand(36.5)
    stand = stand_in(kind, name, world, tmp_path)
    with stand.here():
        module = registry.load(kind, name)
        names = {field.name for field in fields(module.Options)}
        patience = {"idle_gap_s": 2.0} if "idle_gap_s" in names else {}  # a busy machine is no pause
        stand.kind = request.param
        stand.another = lambda: module.Driver(module.Options(**stand.options, **patience))
        stand.driver = stand.another()
        yield stand
        stand.driver.close()


def stir(device):
    """Make a scanner scan; a thermometer speaks by itself."""
    if device.kind in CARDS:
        device.device.lay(CARDS[device.kind][0])
    elif hasattr(device.device, "encode"):
        device.plugged.send(device.device.encode(CODE))


def first_item(device):
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        stir(device)
        if item := device.driver.read(0.2):
            return item
    pytest.fail("nothing came")


def reopen(device):
    """Whether it is open; noise may well be another part's identity."""
    try:
        device.driver.open()
    except BadReply:
        return False
    return True


def read_on(device):
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        device.driver.read(0.1)


def value(item):
    if isinstance(item, Sighting):
        return item.payload
    if isinstance(item, Fix):
        return round(item.lat, 4), round(item.lon, 4), round(item.u_m, 2)
    return item.distance_mm if isinstance(item, Distance) else (round(item.surface_c, 2), item.u_c)


def is_true(item):
    """What a device may say of a person at 36.5 °C and 50 mm; a scanner may say anything."""
    if isinstance(item, Sighting):
        return True
    if isinstance(item, Fix):
        return (round(item.lat, 4), round(item.lon, 4)) == (31.2304, 121.4737)
    if isinstance(item, Distance):
        return item.distance_mm == 50.0
    return abs(item.surface_c - 36.5) <= item.u_c


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_says_where_its_facts_come_from_and_how_it_is_wired(kind, name):
    text = registry.load(kind, name).__doc__
    for word in ("Source", "Wiring", "Quirks"):
        assert word in text or (kind, name) == ("outputs", "simulated"), word


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_documents_every_option(kind, name):
    module = registry.load(kind, name)
    assert is_dataclass(module.Options)
    assert module.Options.__dataclass_params__.frozen
    written = [ast.parse(inspect.getsource(each)).body[0].body for each in module.Options.__mro__[:-1]]
    documented = {
        field.target.id
        for body in written
        for field, line in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(line, ast.Expr)
    }
    assert {field.name for field in fields(module.Options)} == documented


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_can_be_tried_without_the_device(kind, name):
    assert (kind, name) in MAKERS or (kind, name) in ELSEWHERE


@pytest.mark.parametrize("device", SOURCES, indirect=True, ids="/".join)
def test_opens_and_closes_twice(device):
    for _ in range(2):
        device.driver.open()
        item = first_item(device)
        assert item.simulated
        assert device.driver.simulated
        assert item.at_s <= time.monotonic()
        device.driver.close()
        device.driver.close()


@pytest.mark.parametrize("device", SOURCES, indirect=True, ids="/".join)
def test_measures_what_is_there(device):
    device.driver.open()
    item = first_item(device)
    if isinstance(item, Sighting):
        assert item.payload == CARDS.get(device.kind, (CODE, CODE))[1]
    else:
        assert is_true(item)


@pytest.mark.parametrize("device", SOURCES, indirect=True, ids="/".join)
def test_is_silent_within_the_limit(device, fair_clock):
    device.driver.open()
    if isinstance(device.plugged, Adapter):
        assert first_item(device)  # a chip never speaks by itself: what is asked too early gives None
    else:
        device.plugged.faults.mute = True
    began_s = fair_clock()
    quiet = [device.driver.read(0.02) for _ in range(3)]
    assert None in quiet
    assert fair_clock() - began_s < 0.06 + 1.0


@pytest.mark.parametrize("device", SOURCES, indirect=True, ids="/".join)
def test_says_so_when_unplugged_and_comes_back_under_another_node(device):
    device.driver.open()
    assert first_item(device)
    device.plugged.unplug()
    with pytest.raises(DeviceGone):
        read_on(device)
    with pytest.raises(DeviceGone):
        device.driver.open()
    device.plugged.plug()
    device.driver.open()
    assert first_item(device)


@pytest.mark.parametrize("device", SOURCES, indirect=True, ids="/".join)
def test_can_be_closed_while_it_waits(device):
    device.driver.open()
    failures = []

    def wait():
        try:
            while True:
                device.driver.read(0.5)
        except DeviceGone:
            return
        except Exception as failure:  # noqa: BLE001 - whatever else comes out is what is asked for
            failures.append(failure)

    thread = threading.Thread(target=wait)
    thread.start()
    device.driver.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert not failures


@pytest.mark.parametrize("device", SOURCES, indirect=True, ids="/".join)
def test_gives_the_same_items_however_the_bytes_are_split(device):
    device.driver.open()
    whole = value(first_item(device))
    if isinstance(device.plugged, Adapter):
        pytest.skip("a bus transfer is never split")
    device.plugged.faults.split = True
    stir(device)
    seen = []
    end_s = time.monotonic() + PATIENCE_S
    while len(seen) < 3 and time.monotonic() < end_s:
        stir(device)
        if item := device.driver.read(0.2):
            seen.append(value(item))
    assert seen == [whole] * 3


@pytest.mark.parametrize("device", SOURCES, indirect=True, ids="/".join)
def test_makes_nothing_but_items_silence_or_a_complaint_of_junk(device):
    noise = random.Random(1)
    device.driver.open()
    if isinstance(device.plugged, Adapter):
        device.plugged.chips = (JunkChip(1),)
    is_open = True
    for _ in range(25):
        if not (is_open := is_open or reopen(device)):
            continue
        if not isinstance(device.plugged, Adapter):
            device.plugged.faults.prefix = noise.randbytes(300)
            device.plugged.faults.flip = 0x5A
            device.plugged.send(noise.randbytes(20))
        try:
            item = device.driver.read(0.02)
        except BadReply as complaint:
            assert complaint.remedy  # noqa: PT017 - a complaint is allowed, not demanded
            device.driver.close()
            is_open = False
        else:
            assert item is None or is_true(item) or device.driver.__module__ in UNCHECKED


@pytest.mark.parametrize("device", SINKS, indirect=True, ids="/".join)
def test_gate_acts_and_goes_back_by_itself(device):
    device.driver.open()
    assert device.driver.simulated
    device.driver.pulse(0.3)
    with device.device.changed:
        assert device.device.changed.wait_for(device.device.pulses, PATIENCE_S)
    ((_, length_s),) = device.device.pulses()
    assert length_s >= 0.1  # as the board heard it: a busy machine may be late with the first command
    assert not device.device.is_on()


@pytest.mark.parametrize("device", SINKS, indirect=True, ids="/".join)
def test_gate_refuses_a_pulse_without_bounds(device):
    device.driver.open()
    for seconds in (0.0, -1.0, 1e9, float("nan")):
        with pytest.raises(BadOptions):
            device.driver.pulse(seconds)


@pytest.mark.parametrize("device", SINKS, indirect=True, ids="/".join)
def test_opening_switches_off_what_somebody_else_left_on(device):
    device.driver.open()
    device.driver.pulse(10.0)
    with device.device.changed:
        assert device.device.changed.wait_for(device.device.is_on, PATIENCE_S)
    after_a_kill = device.another()
    after_a_kill.open()
    try:
        with device.device.changed:
            assert device.device.changed.wait_for(lambda: not device.device.is_on(), 120)
    finally:
        after_a_kill.close()


@pytest.mark.parametrize("device", SINKS, indirect=True, ids="/".join)
def test_gate_goes_back_when_closed_in_the_middle(device):
    device.driver.open()
    device.driver.pulse(5.0)
    with device.device.changed:
        assert device.device.changed.wait_for(device.device.is_on, PATIENCE_S)
    device.driver.close()
    device.driver.close()
    with device.device.changed:
        assert device.device.changed.wait_for(lambda: not device.device.is_on(), PATIENCE_S)


@pytest.mark.parametrize("device", SINKS, indirect=True, ids="/".join)
def test_output_goes_off_before_its_time_when_told_to(device):
    device.driver.open()
    for _ in range(2):
        device.driver.pulse(5.0)
        with device.device.changed:
            assert device.device.changed.wait_for(device.device.is_on, PATIENCE_S)
        device.driver.off()
        with device.device.changed:
            assert device.device.changed.wait_for(lambda: not device.device.is_on(), PATIENCE_S)
    device.driver.pulse(0.05)
    with device.device.changed:
        assert device.device.changed.wait_for(lambda: len(device.device.pulses()) == 3, PATIENCE_S)


@pytest.fixture
def outputs(device):
    """Three outputs of one board."""
    module = registry.load(*device.kind)
    (name,) = [
        entry
        for entry, hint in typing.get_type_hints(module.Options, include_extras=True).items()
        if OUTPUT in getattr(hint, "__metadata__", ())
    ]
    made = [module.Driver(module.Options(**device.options, **{name: number})) for number in (2, 3, 4)]
    yield made
    for each in made:
        each.close()


@pytest.mark.parametrize("device", SINKS, indirect=True, ids="/".join)
def test_outputs_of_one_board_do_not_disturb_each_other(device, outputs):
    for output in outputs:
        output.open()
    threads = [threading.Thread(target=output.pulse, args=(0.2,)) for output in outputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    board = device.device
    with board.changed:
        assert board.changed.wait_for(lambda: len([1 for _, _, on in board.changes if not on]) == 3, PATIENCE_S)
    assert len(board.changes) == 6
    outputs[0].close()
    outputs[1].check()
    outputs[1].pulse(0.05)


@pytest.mark.parametrize("device", SINKS, indirect=True, ids="/".join)
def test_all_outputs_of_a_board_miss_it_and_all_come_back(device, outputs):
    for output in outputs:
        output.open()
    device.plugged.unplug()
    for output in outputs:
        with pytest.raises(DeviceGone):
            output.check()
        output.close()
        with pytest.raises(DeviceGone):
            output.open()
    device.plugged.plug()
    for output in reversed(outputs):
        output.open()
        output.check()
        output.pulse(0.05)


@pytest.mark.parametrize("device", SINKS, indirect=True, ids="/".join)
def test_gate_is_missed_when_unplugged_and_comes_back(device):
    device.driver.open()
    device.driver.check()
    device.plugged.unplug()
    with pytest.raises(DeviceGone):
        device.driver.check()
    with pytest.raises(DeviceGone):
        device.driver.pulse(0.1)
    with pytest.raises(DeviceGone):
        device.driver.open()
    device.plugged.plug()
    device.driver.open()
    device.driver.check()
