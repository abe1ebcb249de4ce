"""`gatepost camera` as it is typed: on a folder, a film, and what is not there."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from agent import cli
from drivers.simulators import qr
from drivers.vision import opencv

SECRET = b"GP1:nobody may read this on a terminal"


@pytest.fixture
def folder(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    code = np.pad(qr.drawn(SECRET, 6), 60, constant_values=120)
    (pictures / "1-code.png").write_bytes(opencv.to_png(code))
    (pictures / "2-wall.png").write_bytes(opencv.to_png(np.full((300, 400), 128, np.uint8)))
    return pictures


def test_look_says_what_it_sees_and_never_what_a_code_says(folder, tmp_path, capsys):
    png = tmp_path / "seen.png"

    assert cli.main(["camera", "look", str(folder), "--png", str(png), "--picture", "blocks"]) == 0

    out = capsys.readouterr().out
    assert "1-code.png  read by" in out
    assert f"({len(SECRET)} bytes)" in out
    assert "2-wall.png  not read" in out
    assert "no code in view" in out
    assert "1 of 2 pictures read" in out
    assert "▀" in out
    assert "GP1" not in out
    assert opencv.from_bytes(png.read_bytes()).shape == (300, 400)


def test_record_and_replay(folder, tmp_path, capsys):
    film = tmp_path / "film.avi"
    (folder / "2-wall.png").unlink()

    assert cli.main(["camera", "record", str(folder), str(film)]) == 1
    assert "--codes" in capsys.readouterr().err
    assert cli.main(["camera", "record", str(folder), str(film), "--codes"]) == 0
    assert film.stat().st_mode & 0o077 == 0
    assert cli.main(["camera", "record", str(folder), str(film), "--codes"]) == 1
    assert "is there already" in capsys.readouterr().err

    assert cli.main(["camera", "replay", str(film)]) == 0
    out = capsys.readouterr().out
    assert f"a code of {len(SECRET)} bytes" in out
    assert "1 sightings" in out


@pytest.mark.parametrize(
    "words", [["look", "/dev/video77"], ["replay", "nothing.avi"], ["look", "-c", "none.toml"]]
)
def test_what_is_not_there_is_a_sentence_and_at_most_what_to_do_next(words, capsys):
    assert cli.main(["camera", *words]) == 1
    assert 1 <= len(capsys.readouterr().err.strip().splitlines()) <= 2


def test_a_reader_that_leaves_the_pipe_is_no_fault(folder):
    words = [
        sys.executable,
        "-c",
        "from agent.cli import main; raise SystemExit(main())",
        "camera",
        "look",
        str(folder),
    ]
    with subprocess.Popen([*words, "--picture", "none"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as looking:
        looking.stdout.close()
        assert looking.stderr.read() == b""


def test_a_camera_of_the_configuration_is_named_as_its_lane_is(folder, kiosk_file, tmp_path, capsys):
    text = kiosk_file.read_text()
    kiosk_file.write_text(
        text.replace('driver = "line", port = "nothing-here"', f'driver = "camera", device = "{folder}"')
    )
    film, config = tmp_path / "film.avi", ("-c", str(kiosk_file))
    assert cli.main(["camera", "record", "entry.scanner", str(film), "--codes", *config]) == 0
    assert cli.main(["camera", "look", "exit.scanner", *config]) == 1
    assert "no camera exit.scanner: there is entry.scanner; or name a device" in capsys.readouterr().err


LANE = """\
[kiosk]
id = "k1"
[lanes.entry]
direction = "entry"
scanner = {{ driver = "camera", device = "{folder}", each_s = 0.0 }}
thermometer = {{ driver = "gy_mcu", port = "/dev/ttyUSB0" }}
gate = {{ driver = "simulated" }}
"""


@pytest.mark.parametrize("words", [["--config", "X", "look"], ["look", "--config", "X"], ["--config", "X"]])
def test_the_configuration_may_be_named_before_the_action_and_after(words, folder, tmp_path, capsys):
    file = tmp_path / "agent.toml"
    file.write_text(LANE.format(folder=folder))
    assert cli.main(["camera", *(str(file) if word == "X" else word for word in words)]) == 0
    assert "1 of 2 pictures read" in capsys.readouterr().out


@pytest.fixture
def live():
    """A network camera that sends these pictures, one after another, and then the last for ever."""
    listeners = []

    def start(*pictures):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            with contextlib.suppress(OSError), listener.accept()[0] as caller:
                caller.recv(1000)
                caller.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=cut\r\n\r\n")
                for picture in (*pictures, *[pictures[-1]] * 1000):
                    caller.sendall(b"--cut\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(picture), picture))
                    time.sleep(0.1)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for listener in listeners:
        listener.close()


def test_a_live_cameras_broken_pictures_are_passed_over(live, tmp_path, capsys):
    good = opencv.to_jpeg(np.pad(qr.drawn(SECRET, 6), 60, constant_values=120))
    words = ["--seconds", "2", "--picture", "none"]
    assert cli.main(["camera", "look", live(good[:400], b"", good), *words]) == 0
    out = capsys.readouterr().out
    assert "a broken picture, passed over" in out
    assert "read by" in out
    film = tmp_path / "film.avi"
    assert cli.main(["camera", "record", live(good[:400], good), str(film), "--codes", "--seconds", "1"]) == 0


@pytest.fixture
def symbol(request, tmp_path):
    """A picture of a symbol that is no QR code: its file."""
    zxingcpp = pytest.importorskip("zxingcpp")
    made = zxingcpp.create_barcode("HELLO 12345", getattr(zxingcpp.BarcodeFormat, request.param))
    picture = np.pad(np.array(made.to_image(scale=4)), 60, constant_values=255)
    file = tmp_path / "seen.png"
    file.write_bytes(opencv.to_png(picture))
    return file


@pytest.mark.parametrize("symbol", ["Code128"], indirect=True)
def test_a_symbol_that_no_gate_reads_is_named(symbol, capsys):
    assert cli.main(["camera", "look", str(symbol)]) == 1
    out = capsys.readouterr().out
    assert "Code 128 in view, which this camera does not read" in out
    assert "no code in view" not in out
    assert cli.main(["verify", str(symbol)]) == 2
    assert "shows Code 128: a gate reads QR, Aztec, PDF417 and Data Matrix codes" in capsys.readouterr().err


@pytest.mark.parametrize("symbol", ["Aztec", "DataMatrix", "PDF417"], indirect=True)
def test_a_symbol_of_a_ticket_is_read_and_verified(symbol, capsys):
    assert cli.main(["camera", "look", str(symbol)]) == 0
    assert "read by symbols (11 bytes)" in capsys.readouterr().out
    assert cli.main(["verify", str(symbol)]) == 1
    said = capsys.readouterr()
    assert "no format that this gate knows" in said.out
    assert 'a camera reads this one where it has symbologies = ["qr", ' in said.err


@pytest.mark.parametrize("symbol", ["Aztec"], indirect=True)
def test_the_camera_of_a_lane_reads_what_it_is_set_to(symbol, tmp_path, capsys):
    def look(extra=""):
        file = tmp_path / "agent.toml"
        file.write_text(LANE.format(folder=symbol.parent).replace("each_s = 0.0", "each_s = 0.0" + extra))
        return cli.main(["camera", "look", "entry.scanner", "--config", str(file)])

    assert look() == 1
    assert "Aztec in view, which this camera does not read" in capsys.readouterr().out
    assert look(', symbologies = ["qr", "aztec"]') == 0
