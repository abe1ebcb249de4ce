"""What the technician reads when there is no connection: each against a real broker, one sentence with a remedy."""

import re
import socket
import ssl
import subprocess
import threading

import pytest

from agent import mqtt
from agent.events import Topics
from agent.events.state import State

RAW = re.compile(r"_ssl\.c|Errno|[A-Z]{3,}_[A-Z]")
"""Of OpenSSL and the kernel, for nobody's eyes."""


@pytest.fixture
def told(make_outbox, wait_for, tmp_path):
    """Tries to connect; the first thing that is said."""
    links = []

    def ask(**options):
        options = mqtt.Options(**{"host": "localhost", "renewed_cert_file": tmp_path / "none.pem", **options})
        link = mqtt.Link(options, Topics("library", "gate-3"), make_outbox(), lambda: State(software_version="1"))
        links.append(link)
        link.start()
        wait_for(lambda: not link.status().fault.startswith("not connected yet"))
        said = link.status().fault
        assert not RAW.search(said), said
        assert re.search(r"\(.+\)", said), f"no remedy: {said}"
        return said

    yield ask
    for link in links:
        link.stop(0.0)


def test_tls_spoken_to_a_port_in_the_clear(broker, told):
    said = told(port=broker.port, tls=True)
    assert said.startswith(f"localhost:{broker.port}: does not speak TLS (8883 is")


def test_a_port_with_tls_spoken_to_in_the_clear(tls_broker, told):
    broker, _ = tls_broker()
    said = told(port=broker.port)
    assert said.startswith(f"localhost:{broker.port}: hangs up on our greeting (does it want TLS? tls = true")


def test_a_broker_of_another_authority(tls_broker, told, pair, tmp_path):
    broker, how = tls_broker()
    pair(tmp_path, "stranger")
    how["ca_file"] = tmp_path / "stranger.crt"
    assert f"it is not from the authority in {tmp_path}/stranger.crt (ca_file" in told(port=broker.port, **how)
    how["ca_file"] = None
    assert "it is not from an authority that this system knows (ca_file" in told(port=broker.port, **how)


def test_a_broker_of_another_name(tls_broker, told):
    broker, how = tls_broker("broker.example")
    assert "it is not for the name localhost (host" in told(port=broker.port, **how)


@pytest.mark.parametrize(
    ("dates", "words"), [({"days": -1}, "it has expired"), ({"starts_days": 9}, "it is not yet valid")]
)
def test_a_broker_whose_certificate_is_not_of_today(tls_broker, told, dates, words):
    broker, how = tls_broker(**dates)
    said = told(port=broker.port, **how)
    assert words in said
    assert "timedatectl" in said


def test_a_broker_that_wants_a_certificate(tls_broker, told):
    broker, how = tls_broker()
    said = told(port=broker.port, **{**how, "cert_file": None, "key_file": None})
    assert said == f"localhost:{broker.port}: asks for this kiosk's certificate (cert_file and key_file)"


def test_a_broker_that_refuses_our_certificate(tls_broker, told, pair, tmp_path):
    broker, how = tls_broker()
    pair(tmp_path, "gate-3")
    own = {"cert_file": tmp_path / "gate-3.crt", "key_file": tmp_path / "gate-3.key"}
    assert "does not know the authority of this kiosk's certificate" in told(port=broker.port, **{**how, **own})


def test_a_broker_that_says_ours_has_ended(tls_broker, told):
    broker, how = tls_broker(own_days=-1)
    assert "says that this kiosk's certificate has ended (have it renewed)" in told(port=broker.port, **how)


def test_files_of_ours_that_cannot_be_used(tls_broker, told, tmp_path):
    broker, how = tls_broker()
    gone = tmp_path / "gone.pem"
    assert (
        told(port=broker.port, **{**how, "ca_file": gone})
        == f"mqtt.ca_file: {gone} is not there (mend it, then: gatepost check)"
    )
    said = told(port=broker.port, **{**how, "key_file": broker.folder / "localhost.key"})
    assert "mqtt.key_file: " in said
    assert "localhost.key is not the key to the certificate in" in said


def test_a_name_that_nothing_has(told):
    said = told(host="broker.invalid")
    assert "nothing has this name (is host written right?" in said or "no name server answers (network" in said


def test_a_port_that_nobody_listens_on(told):
    assert told(port=1) == "localhost:1: nobody listens there (is the broker running, is the port right?)"


def test_a_port_that_answers_nothing(told):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        said = told(host="127.0.0.1", port=mute.getsockname()[1], connect_timeout_s=0.5)
    assert "answers, but not as an MQTT broker (is the port right? does it want TLS?" in said


def test_a_broker_of_an_older_tls(told, pair, tmp_path):
    pair(tmp_path, "localhost")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(tmp_path / "localhost.crt", tmp_path / "localhost.key")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_shake_hands, args=(listener, old), daemon=True)
        serving.start()
        said = told(port=listener.getsockname()[1], tls=True, ca_file=tmp_path / "localhost.crt")
        serving.join(90)
    assert said.endswith("does not speak TLS 1.3 (update the broker)")


def _shake_hands(listener, context):
    wire, _ = listener.accept()
    with wire:
        try:
            context.wrap_socket(wire, server_side=True)
        except OSError:
            return


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_wants_a_user(make_broker, told, protocol):
    broker = make_broker()
    words = broker.folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(words), "kiosk", "right"], check=True)
    broker.config = f"allow_anonymous false\npassword_file {words}\n"
    broker.start()
    how = {"port": broker.port, "protocol": protocol}
    assert "refuses the connection: Not authorized (it wants a user: username, password in [mqtt])" in told(**how)
    said = told(**how, username="kiosk", password="wrong-canary")  # noqa: S106 - of this test
    assert "(is kiosk known to the broker, and the password right?" in said
    assert "canary" not in said
