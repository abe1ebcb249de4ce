"""Addresses of cameras: name and password are used, and never shown; why a camera cannot be reached is told."""

import base64
import hashlib
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import MASK, DeviceGone, DriverError, plain, without_secrets
from drivers.scanners.camera import Driver, Options
from drivers.wire import address
from drivers.wire.mjpeg import Mjpeg
from drivers.wire.v4l2 import NetworkCamera

USER, PASSWORD = "guard", "s3c:r@t/#?"
QUOTED = "guard:s3c%3Ar%40t%2F%23%3F"


def md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Camera(BaseHTTPRequestHandler):
    """Wants a name and a password, as Basic or Digest, and then sends one picture for ever."""

    kind = "Basic"
    status = 401

    def do_GET(self):
        given = self.headers.get("Authorization", "")
        if not self.is_right(given):
            challenge = {"Basic": 'Basic realm="cam"', "Digest": 'Digest realm="cam", nonce="n1"'}[self.kind]
            self.send_response(self.status)
            self.send_header("WWW-Authenticate", challenge)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        self.wfile.write(b"--cut\r\nContent-Length: 3\r\n\r\njpg\r\n")

    def is_right(self, given):
        if self.kind == "Basic":
            return given == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        told = dict(re.findall(r'(\w+)="([^"]*)"', given))
        first, second = md5(f"{USER}:cam:{PASSWORD}"), md5(f"GET:{self.path}")
        return bool(told) and told["response"] == md5(f"{first}:n1:{second}")

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def serve():
    servers = []

    def start(**how):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Camera", (Camera,), how))
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("kind", ["Basic", "Digest"])
def test_a_name_and_password_in_the_address_open_the_camera(serve, kind):
    lens = Mjpeg(f"http://{QUOTED}@127.0.0.1:{serve(kind=kind)}/stream")
    lens.open()
    assert lens.next(1)._jpeg == b"jpg"
    lens.close()


@pytest.mark.parametrize("kind", ["Basic", "Digest"])
@pytest.mark.parametrize(
    ("user", "status", "says"),
    [
        ("guard:wrong@", 401, "refuses the name or the password"),
        ("", 401, "wants a name and a password"),
        ("", 403, "does not let this user see"),
        ("", 404, "has no stream at this path"),
        ("", 500, "error 500"),
    ],
)
def test_what_a_camera_refuses_is_not_called_unreachable(serve, kind, user, status, says):
    lens = Mjpeg(f"http://{user}127.0.0.1:{serve(kind=kind, status=status)}/stream")
    with pytest.raises(DeviceGone, match=says) as gone:
        lens.open()
    assert "reachable" not in str(gone.value)
    assert "wrong" not in str(gone.value)


@pytest.mark.parametrize(
    ("target", "is_followed"), [("http", False), ("ftp", False), ("", False), ("file", False), ("https", True)]
)
def test_a_camera_with_tls_leads_to_no_address_without(tmp_path, monkeypatch, serve, target, is_followed):
    """Who is in between could show any code there."""
    self_signed(tmp_path, x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "camera.crt"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "camera.crt", tmp_path / "camera.key")
    plain_port = serve(is_right=lambda *_: True)

    class Redirecting(Camera):
        def do_GET(self):
            if self.path == "/here":
                self.path, self.is_right = "/", lambda _: True
                super().do_GET()
                return
            port = self.server.server_address[1] if target == "https" else plain_port
            self.send_response(302)
            self.send_header("Location", f"{target}://127.0.0.1:{port}/here" if target else "gopher:x")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lens = Mjpeg(f"https://127.0.0.1:{server.server_address[1]}/")
    try:
        if is_followed:
            lens.open()
        else:
            with pytest.raises(DeviceGone, match=r"address of another kind|answers with error 302"):
                lens.open()
    finally:
        lens.close()
        server.shutdown()
        server.server_close()


def self_signed(folder, *extensions):
    """camera.crt and camera.key, which nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "camera")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    for each in extensions:
        made = made.add_extension(each, critical=False)
    pem, plain_key = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "camera.crt").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    (folder / "camera.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain_key))


def test_a_certificate_that_is_not_accepted_is_called_so(tmp_path):
    self_signed(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "camera.crt", tmp_path / "camera.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.handle_request, daemon=True).start()
    with pytest.raises(DeviceGone, match=r"certificate is not accepted: .*update-ca-certificates"):
        Mjpeg(f"https://127.0.0.1:{server.server_address[1]}/").open()
    server.server_close()


@pytest.fixture
def camera_in_tls(tmp_path):
    """Port of one whose certificate is its own for `localhost`, and what it was asked; it has no stream."""
    self_signed(tmp_path, x509.SubjectAlternativeName([x509.DNSName("localhost")]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "camera.crt", tmp_path / "camera.key")
    listener, requests = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(caller, server_side=True) as line:
                while request := line.recv(4096):
                    requests.append(request)
                    number = re.search(rb"CSeq: \d+", request)
                    line.sendall(b"RTSP/1.0 404 Not Found\r\n" + number[0] + b"\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], requests
    listener.close()


@pytest.mark.parametrize(
    ("host", "why"),
    [("localhost", "certificate is not accepted: self-signed"), ("127.0.0.1", "a number"), ("127.1", "a number")],
)
def test_a_camera_that_anybody_may_be_is_told_nothing_by_rtsps(camera_in_tls, host, why):
    port, requests = camera_in_tls
    with pytest.raises(DeviceGone, match=why):
        NetworkCamera(f"rtsps://guard:s3cret@{host}:{port}/x").open()
    assert not requests


def test_a_camera_whose_authority_the_system_knows_is_asked_by_rtsps(camera_in_tls, tmp_path):
    port, requests = camera_in_tls
    program = "import sys; from drivers.wire.v4l2 import NetworkCamera; NetworkCamera(sys.argv[1]).open()"
    words = [sys.executable, "-c", program, f"rtsps://guard:s3cret@localhost:{port}/x"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "camera.crt")},
    )  # fmt: skip
    assert "has no stream at this path" in done.stderr
    assert requests


SAID = "rtsp://guard:s3cret@camera/x"


@pytest.mark.parametrize(
    "text",
    [SAID, f"cannot open {SAID}", "http://camera/v.cgi?user=guard&pwd=s3cret", "http://guard:a@s3cret/b@camera/x",
     "rtsp://camera/user=guard_password=s3cret_channel=1.sdp", "HTTPS://s3cret@camera", "guard:s3cret@camera/x",
     "cannot open guard:s3cret@camera", "rtsp:\\\\guard:s3cret@camera", "rtsp:/guard:a@s3cret@camera",
     "rtsp//guard:s3cret@camera", "guard@hall:s3cret@camera", "device=:s3cret@camera",
     "http://camera/v?a=1?pwd=s3cret", "http://camera/v?pwd=s3cret/s3cret", "camera/v?user=guard&pwd=s3cret",
     "rtsp:/camera/v?password=s3cret", "guard:a@camera/v?pwd=s3cret", "camera?token=s3cret"],
)  # fmt: skip
def test_no_sentence_holds_a_password(text):
    assert "s3cret" not in without_secrets(text)
    assert MASK in without_secrets(text)
    assert "s3cret" not in str(DeviceGone(text, f"says {text}", f"try {text}"))
    assert "s3cret" not in repr(DriverError(text, "is gone"))


@given(st.text(alphabet=st.characters(exclude_categories=("Z", "C")), min_size=4))
def test_whatever_a_password_is_it_is_not_said(password):
    secret = f"<{password}>"
    assert secret not in without_secrets(f"rtsp://guard:{secret}@camera/x: is not reachable")


@pytest.mark.parametrize("piece", ["[", "a.", "_", "a:", "://", "a://@", "[:@", "&pwd=", ";_", "\x1b[1", " a"])
def test_long_junk_is_made_plain_at_once(piece):
    """A pattern that begins again at each character would take hours."""
    text = f"{piece * (1 << 18)} http://camera/{piece * (1 << 18)}"
    assert len(plain(text)) >= len(MASK)


@given(st.text())
def test_nothing_that_a_terminal_would_obey_is_said(text):
    said = str(DeviceGone(text, text))
    assert not [c for c in said if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2028\u200f\ufeff"]


def test_every_fault_of_a_camera_that_is_gone_hides_its_password():
    for kind in ("http", "rtsp"):
        for own in ("yes", "no"):
            driver = Driver(Options(f"{kind}://guard:s3cret@127.0.0.1:1/x", own_process=own))
            with pytest.raises(DeviceGone, match="nobody listens there") as gone:
                driver.open()
            assert "s3cret" not in str(gone.value) + repr(gone.value.args) + gone.value.device
            driver.close()


@pytest.mark.parametrize(
    "device", ["rtsp://guard:p w@camera/", "rtsp://guard:a/b@camera/", "http://", "http://c:x/"]
)
def test_what_is_no_address_is_refused_with_its_form_and_without_its_secrets(device):
    with pytest.raises(ValueError, match=r"is no address, as rtsp://name:password@host:554/stream") as refused:
        Options(device)
    assert "a/b" not in str(refused.value)


@given(st.text(min_size=1), st.text())
def test_a_name_and_a_password_survive_their_quoting(user, password):
    try:
        quoted = f"{quote(user, safe='')}:{quote(password, safe='')}"
    except UnicodeEncodeError:
        return
    assert address.access(f"http://{quoted}@camera/x?a=b@c") == ("http://camera/x?a=b@c", user, password)


def test_an_answer_to_a_digest_is_that_of_the_standards_examples(monkeypatch):
    """RFC 2069, 2.4, with its erratum; RFC 7616, 3.9.1, whose nonce of the client is given."""
    who = address.Access("", "Mufasa", "CircleOfLife")
    asks = ['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"']
    made = address.authorization(asks, "GET", "/dir/index.html", who)
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in made
    monkeypatch.setattr(address.secrets, "token_hex", lambda _: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    who = address.Access("", "Mufasa", "Circle of Life")
    asks = [
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        for algorithm in ("SHA-256", "MD5")
    ]
    expected = {
        0: "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        1: "8ca523f5e9506fed4657c9700eebdbec",
    }
    for which, response in expected.items():
        assert f'response="{response}"' in address.authorization(asks[which:], "GET", "/dir/index.html", who)


def test_of_several_challenges_the_stronger_is_answered_and_an_unknown_one_never():
    who = address.Access("", "a", "b")
    asks = ['Basic realm="x"', 'Digest realm="x", nonce="n"']
    assert address.authorization(asks, "GET", "/", who).startswith("Digest ")
    assert address.authorization(asks[:1], "GET", "/", who) == "Basic YTpi"
    assert (
        address.authorization(['Digest realm="x", nonce="n", algorithm=X', *asks[:1]], "GET", "/", who)
        == "Basic YTpi"
    )
    assert address.authorization(["NTLM", ""], "GET", "/", who) == ""


@pytest.mark.parametrize(
    ("status", "user", "says"),
    [
        (401, "guard:wrong@", "refuses the name or the password"),
        (401, "", "wants a name and a password"),
        (404, "", "has no stream at this path"),
        (200, "", "its stream cannot be read"),
    ],
)
def test_why_an_rtsp_camera_gives_nothing_is_told(status, user, says, refusing_rtsp):
    port = refusing_rtsp(status)
    with pytest.raises(DeviceGone, match=says) as gone:
        NetworkCamera(f"rtsp://{user}127.0.0.1:{port}/x").open()
    assert "wrong" not in str(gone.value)


@pytest.fixture
def refusing_rtsp():
    listeners = []

    def start(status):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer():
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(4096)
                    challenge = 'WWW-Authenticate: Digest realm="cam", nonce="n1"\r\n' * (status == 401)
                    caller.sendall(f"RTSP/1.0 {status} Said\r\nCSeq: 1\r\n{challenge}\r\n".encode())

        threading.Thread(target=answer, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for listener in listeners:
        listener.close()


def test_plain_keeps_the_words():
    assert plain("Käse 37,2 °C 体温 – ok") == "Käse 37,2 °C 体温 – ok"


@pytest.mark.parametrize(
    "text",
    ["/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-video", "10.0.0.7:554 at 17:05, write to guard@hall.example",
     "usb:1a2c:0c21", "http://camera:8080/x", "asks for it: me@here", "codes.keys=issuers.toml", "a/b?c=d&e=f"],
)  # fmt: skip
def test_what_holds_no_password_stays_as_it_is(text):
    assert without_secrets(text) == text
