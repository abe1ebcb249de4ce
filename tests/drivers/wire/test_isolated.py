"""A scanner in a process of its own: the same answers, and what hangs or dies there is replaced."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivers.contract import Departure, DeviceGone
from drivers.scanners.camera import Driver, Options
from drivers.wire import fork_server, isolated
from drivers.wire.fork_server import Process
from tests.drivers.patience import opened, until


@pytest.fixture
def apart(simulator):
    driver = opened(Driver(Options(simulator.url, away_s=0.3, own_process="yes")))
    yield driver
    driver.close()


@pytest.fixture
def fresh_server(monkeypatch):
    """None runs yet; one that the test starts ends with it."""
    monkeypatch.setattr(fork_server, "_server", None)
    yield
    if fork_server._server is not None:
        process, line = fork_server._server
        line.close()
        process.wait()


def test_a_camera_in_a_process_of_its_own_tells_the_same(simulator, apart, items_of):
    assert apart.simulated
    simulator.world.show(b"GP1:\x00\xff")
    assert [item.payload for item in items_of(apart, 60, enough=1)] == [b"GP1:\x00\xff"]
    simulator.world.hide()
    assert [type(item) for item in items_of(apart, 60, enough=1)] == [Departure]
    simulator.unplug()
    with pytest.raises(DeviceGone, match="stream"):
        items_of(apart, 60)


@pytest.mark.parametrize(("blow", "says"), [(signal.SIGSTOP, "hangs"), (signal.SIGKILL, "process ended")])
def test_a_process_that_hangs_or_dies_is_noticed_and_replaced(simulator, apart, blow, says, items_of, fair_clock):
    first = apart._apart.pid
    os.kill(first, blow)
    began_s = fair_clock()
    with pytest.raises(DeviceGone, match=says):
        items_of(apart, 60)
    assert fair_clock() - began_s < 4
    assert not Path(f"/proc/{first}").exists()

    opened(apart)
    simulator.world.show(b"again")
    assert [item.payload for item in items_of(apart, 60, enough=1)] == [b"again"]


def test_a_pause_of_the_whole_machine_is_no_hanging_camera(simulator, apart, items_of, monkeypatch):
    os.kill(apart._apart.pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr("drivers.wire.isolated.SILENT_S", 0.3)
        time.sleep(0.4)  # nobody reads in the meantime, as if all had been paused
        assert apart.read(0.05) is None
    os.kill(apart._apart.pid, signal.SIGCONT)
    simulator.world.show(b"after the pause")
    assert [item.payload for item in items_of(apart, 60, enough=1)] == [b"after the pause"]


def test_a_process_that_is_slow_hangs_only_after_long(simulator, apart, items_of):
    """One that computes all the while stands in for a child that a busy machine lets come to nothing."""
    silent = apart._apart._child
    os.kill(silent.pid, signal.SIGSTOP)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        apart._apart._child = Process(busy.pid)
        assert items_of(apart, 4) == []
        os.kill(busy.pid, signal.SIGSTOP)
        with pytest.raises(DeviceGone, match="hangs"):
            items_of(apart, 60)
    silent.end(60)


def test_cameras_share_the_memory_of_what_they_import(simulator, apart):
    other = opened(Driver(Options(simulator.url, own_process="yes")))
    for each in (apart, other):
        rollup = Path(f"/proc/{each._apart.pid}/smaps_rollup").read_text()
        (shared_kb,) = (int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Shared_Dirty:"))
        assert shared_kb > 8_000
    other.close()


def test_a_fork_server_that_dies_is_replaced_and_its_children_live_on(simulator, apart, items_of):
    server, _ = fork_server._server
    server.kill()
    server.wait()
    other = opened(Driver(Options(simulator.url, own_process="yes")))
    simulator.world.show(b"to both")
    for each in (apart, other):
        assert [item.payload for item in items_of(each, 60, enough=1)] == [b"to both"]
    other.close()


def test_a_fork_server_without_requests_forgets_what_it_imported(simulator, monkeypatch, fresh_server):
    monkeypatch.setattr(fork_server, "SPARE_S", 0.0)
    for _ in range(2):
        driver = opened(Driver(Options(simulator.url, own_process="yes")))
        driver.close()
        server, _ = fork_server._server
        until(lambda pid=server.pid: "select.select" in Path(f"/proc/{pid}/cmdline").read_text())
        assert "cv2" not in Path(f"/proc/{server.pid}/maps").read_text()
    assert server.poll() is None


def test_a_fork_server_ends_with_the_agent():
    program = "from drivers.wire import fork_server; print(fork_server.start((), print)[0])"
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    until(lambda: not Path(f"/proc/{int(asked.stdout.split()[0])}").exists())


def test_a_process_that_cannot_be_started_is_said(simulator, monkeypatch, fresh_server):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(DeviceGone, match="gets no process: No such file"):
        Driver(Options(simulator.url, own_process="yes")).open()


def test_what_is_not_foreseen_in_a_process_of_its_own_is_said_and_ends_it(simulator, fresh_server, capfd):
    apart = isolated.Apart("a camera", "scanners", "no_such_driver", None)
    with pytest.raises(DeviceGone, match="its process ended"):
        apart.open()
    assert "no_such_driver" in capfd.readouterr().err


def test_what_keeps_a_camera_from_opening_is_told_from_its_process():
    with pytest.raises(DeviceGone, match="is not there"):
        Driver(Options("/dev/v4l/by-id/none", own_process="yes")).open()


def test_what_a_process_of_its_own_logs_is_said_in_the_agents_log(simulator, caplog):
    driver = Driver(Options(simulator.url, own_process="yes", neural="/nowhere/python", steps=("half", "neural")))
    driver.open()
    end_s = time.monotonic() + 60
    while not caplog.records and time.monotonic() < end_s:
        driver.read(0.1)
    driver.close()
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("drivers.vision.neural", "WARNING")
    assert record.getMessage().startswith("/nowhere/python: no neural reader there")


class Holed:
    """Reads nothing, and lets go of all but the last of many pieces; the last one keeps the heap from shrinking."""

    def __init__(self):
        self.pieces = [bytes(2000) for _ in range(40_000)]

    def read(self, _limit_s):
        if len(self.pieces) == 1:
            raise DeviceGone("holed", "is done")
        del self.pieces[:-1]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim")
def test_freed_memory_is_given_back(monkeypatch):
    monkeypatch.setattr(isolated, "GIVE_BACK_EVERY_S", 0)
    driver = Holed()
    full_kb = held_kb()
    with pytest.raises(DeviceGone):
        isolated.send_what_is_read(driver, lambda _said: None)
    assert full_kb - held_kb() > 60_000


def held_kb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
