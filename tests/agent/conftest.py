"""What tests of the running agent share."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ABSENT = """\
[kiosk]
id = "k1"
[runtime]
directory = "run"
[clock]
source = "system"
last_known_time_file = "clock"
[screening]
baseline_file = "baseline.json"
[outbox]
path = "outbox.db"
[codes]
keys = "issuers.toml"
[mqtt]
host = "127.0.0.1"
port = 1
[lanes.entry]
direction = "entry"
scanner = { driver = "line", port = "nothing-here" }
thermometer = { driver = "mlx90614", bus = "/dev/i2c-99" }
gate = { driver = "simulated" }
"""


@pytest.fixture
def kiosk_file(tmp_path):
    """The configuration of one lane with devices that are not there and no broker; trusts nobody."""
    (tmp_path / "issuers.toml").write_text("")
    file = tmp_path / "agent.toml"
    file.write_text(ABSENT)
    return file


@pytest.fixture(scope="session")
def pair():
    """Makes NAME.crt and NAME.key in a folder, for the host NAME; self-signed unless there is an issuer."""

    def make(folder, name, issuer=None, *, days=300.0, starts_days=-60.0, passphrase=b""):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=starts_days))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .sign(issuer[1] if issuer else key, hashes.SHA256())
        )
        lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        (folder / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
        (folder / f"{name}.key").write_bytes(key.private_bytes(pem, pkcs8, lock))
        return certificate, key

    return make
