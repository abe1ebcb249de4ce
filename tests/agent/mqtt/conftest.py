"""What tests of the link share: links, brokers with TLS, brokers that do as they are told."""

from types import SimpleNamespace

import pytest
from scripted_broker import ScriptedBroker

from agent import mqtt
from agent.events import Topics
from agent.events.state import State

TOPICS = Topics("library", "gate-3")
FAULTLESS = State(software_version="1")


@pytest.fixture
def tls_broker(make_broker, pair):
    """Makes a broker with TLS, whose certificate is for `name`, and the options of a kiosk that fits it."""

    def make(name="localhost", own_days=300, *, asks=True, **how):
        broker = make_broker()
        folder = broker.folder
        authority = pair(folder, "authority")
        pair(folder, name, authority, **how)
        pair(folder, "gate-3", authority, days=own_days)
        files = f"cafile {folder}/authority.crt\ncertfile {folder}/{name}.crt\nkeyfile {folder}/{name}.key\n"
        broker.config += f"{files}require_certificate {str(asks).lower()}\n"
        broker.start()
        own = {"cert_file": folder / "gate-3.crt", "key_file": folder / "gate-3.key"}
        return broker, {"tls": True, "ca_file": folder / "authority.crt", **own}

    return make


@pytest.fixture
def make_link(make_outbox):
    """Links on outboxes of their own unless one is given, all stopped at the end."""
    links = []

    def make(port, outbox=None, state=lambda: FAULTLESS, hear=lambda *_: None, **options):
        options = mqtt.Options(host="127.0.0.1", port=port, **options)
        outbox = outbox or make_outbox()
        link = mqtt.Link(options, TOPICS, outbox, state, SimpleNamespace(receive=hear))
        link.outbox = outbox
        links.append(link)
        link.start()
        return link

    yield make
    for link in links:
        link.stop(0.0)


@pytest.fixture
def scripted():
    brokers = []

    def make(**how):
        brokers.append(ScriptedBroker(**how))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.close()
