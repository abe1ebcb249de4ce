import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from drivers.contract import DeviceGone
from drivers.simulators.pty import Port
from drivers.simulators.scan_engines import LineScanner
from drivers.wire.uart import Uart, holders, is_pty, ports


@pytest.fixture
def port(tmp_path):
    with Port(tmp_path / "usb-port", LineScanner()) as port:
        yield port


@pytest.fixture
def uart(port):
    uart = Uart(str(port.link), 9600)
    uart.open()
    yield uart
    uart.close()


def test_reads_what_comes_and_knows_that_nobody_real_is_there(port, uart):
    port.send(b"hello")
    assert uart.read(2.0) == b"hello"
    assert uart.simulated
    assert is_pty(str(port.link))
    assert not is_pty("/dev/ttyUSB0")


def test_silence_is_empty_and_ends(uart):
    began_s = time.monotonic()
    assert uart.read(0.05) == b""
    assert time.monotonic() - began_s >= 0.05
    assert uart.read(0.0) == b""


@pytest.mark.parametrize("act", ["read", "write", "drain", "retune"])
def test_every_call_says_that_the_plug_was_pulled(port, uart, act):
    port.unplug()
    calls = {
        "read": lambda: uart.read(0.1),
        "write": lambda: uart.write(b"x"),
        "drain": uart.drain,
        "retune": lambda: uart.retune(115200),
    }
    with pytest.raises(DeviceGone, match="check the plug"):
        calls[act]()


def test_a_closed_port_says_so(uart):
    uart.close()
    with pytest.raises(DeviceGone, match="not open"):
        uart.read(0.1)


def test_close_wakes_a_reader(uart):
    done = threading.Event()

    def read():
        try:
            while True:
                uart.read(60.0)
        except DeviceGone:
            done.set()

    threading.Thread(target=read, daemon=True).start()
    uart.close()
    assert done.wait(90)


def test_a_write_that_was_done_is_not_late(uart, monkeypatch):
    """However long the machine was busy with something else meanwhile."""
    monkeypatch.setattr("drivers.wire.uart.WRITE_LIMIT_S", 1e-9)
    uart.close()
    uart.open()
    for _ in range(20):
        uart.write(b"\x7e\x00\x08")


def test_a_line_that_takes_nothing_is_gone(monkeypatch):
    monkeypatch.setattr("drivers.wire.uart.WRITE_LIMIT_S", 0.05)
    far, near = os.openpty()
    line = Uart(os.ttyname(near), 9600)
    line.open()
    with pytest.raises(DeviceGone, match="takes nothing"):
        line.write(bytes(1_000_000))
    line.close()
    os.close(far)
    os.close(near)


def test_a_port_in_use_names_who_uses_it(port, uart):
    with pytest.raises(DeviceGone, match="in use by another program"):
        Uart(str(port.link), 9600).open()


def test_who_uses_it_is_named_also_when_the_kernel_has_cut_his_name_within_a_letter(port):
    hold = (
        "import sys; port = open(sys.argv[1], 'rb', 0); open('/proc/self/comm', 'w').write('a读卡程序甲乙');"
        "print(flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", hold, str(port.link)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert [each for each in holders(str(port.link)) if f"({holder.pid})" in each] == [
            f"a读卡程序\\xe7\\x94 ({holder.pid})"
        ]
        holder.stdin.close()


def test_a_missing_port_says_which_there_are(tmp_path):
    with pytest.raises(DeviceGone, match=r"no such port \((ports there are|no serial port)"):
        Uart(str(tmp_path / "absent"), 9600).open()


def test_a_file_is_no_port(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DeviceGone, match="not a serial port"):
        Uart(str(tmp_path / "file"), 9600).open()


def test_a_serial_port_without_a_chip_is_not_listed():
    for kind in Path("/sys/class/tty").glob("ttyS*/type"):
        assert (f"/dev/{kind.parent.name}" in ports()) <= (kind.read_text().strip() != "0")


def test_a_replug_leads_to_another_node_by_the_same_name(port, uart):
    before = os.path.realpath(port.link)
    port.unplug()
    port.plug()
    assert os.path.realpath(port.link) != before
    uart.open()
    port.send(b"again")
    assert uart.read(2.0) == b"again"
