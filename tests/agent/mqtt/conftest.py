"""What tests of the link share: brokers with TLS."""

import pytest


@pytest.fixture
def tls_broker(make_broker, pair):
    """Makes a broker with TLS, whose certificate is for `name`, and the options of a kiosk that fits it."""

    def make(name="localhost", own_days=300, *, asks=True, **how):
        broker = make_broker()
        folder = broker.directory
        authority = pair(folder, "authority")
        pair(folder, name, authority, **how)
        pair(folder, "gate-3", authority, days=own_days)
        files = f"cafile {folder}/authority.crt\ncertfile {folder}/{name}.crt\nkeyfile {folder}/{name}.key\n"
        broker.config += f"{files}require_certificate {str(asks).lower()}\n"
        broker.start()
        own = {"cert_file": folder / "gate-3.crt", "key_file": folder / "gate-3.key"}
        return broker, {"tls": True, "ca_file": folder / "authority.crt", **own}

    return make
