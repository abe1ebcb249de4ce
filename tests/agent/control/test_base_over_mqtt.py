"""A base of a list over a real broker: asked for piece by piece, whatever lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from base_bench import PIECE, Base

from agent import mqtt
from agent.events import Topics, base_chunk_of, base_chunk_topic
from agent.events.state import State
from agent.ruleset.base_fetch import BaseFetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOPICS = Topics("library", "gate-3")


def test_topic_and_chunk_are_the_same_thing() -> None:
    assert base_chunk_of(base_chunk_topic("0a" * 16, 17)) == ("0a" * 16, 17)
    for other in ("gatepost/v1/$all/base/0a/1", f"gatepost/v1/$all/base/{'0a' * 16}/01", "gatepost/v1/a/b/command"):
        assert base_chunk_of(other) is None


class Kiosk:
    """A link with what fetches bases."""

    def __init__(self, port: int, base: Base, outbox: object, **options: object) -> None:
        options = mqtt.Options(host="127.0.0.1", port=port, reconnect_max_s=1.0, **options)  # type: ignore[assignment,arg-type]
        self.link = mqtt.Link(options, TOPICS, outbox, lambda: State(software_version="1"))  # type: ignore[arg-type]
        self.fetcher = BaseFetcher(lambda: [base.wanted], lambda: base, self.link.fetch, bytes_per_s=1e9)
        self.link.start()
        self.fetcher.start()

    def close(self) -> None:
        self.fetcher.stop(5.0)
        self.link.stop(0.0)


@pytest.fixture
def make_kiosk(make_outbox) -> Iterator[Callable[..., Kiosk]]:
    made: list[Kiosk] = []

    def make(port: int, base: Base, **options: object) -> Kiosk:
        made.append(Kiosk(port, base, make_outbox(), **options))
        return made[-1]

    yield make
    for kiosk in made:
        kiosk.close()


def retain(broker, base: Base, indexes: range) -> None:
    for index in indexes:
        broker.publish(base_chunk_topic(base.wanted.chunks.id, index), base.pieces[index], retain=True)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_is_retained_comes_and_is_put_together(
    tmp_path: Path, broker, make_kiosk, wait_for, caplog, protocol: str
) -> None:
    base = Base(tmp_path, keys=10, piece=8 * PIECE)
    broker.publish(base_chunk_topic(base.wanted.chunks.id, 1), b"not that", retain=True)
    broker.publish(base_chunk_topic("0" * 32, 0), base.pieces[0], retain=True)
    retain(broker, base, range(2, len(base.pieces)))
    kiosk = make_kiosk(broker.port, base, protocol=protocol)
    wait_for(lambda: "piece 1 over MQTT is not what was signed" in caplog.text)
    assert not base.next.exists()
    retain(broker, base, range(2))
    wait_for(base.next.exists)
    assert base.next.read_bytes() == base.data
    assert kiosk.link.status().connections == 1


def test_a_kiosk_that_is_switched_off_in_the_midst_goes_on(tmp_path: Path, broker, make_kiosk, wait_for) -> None:
    base = Base(tmp_path, keys=10, piece=8 * PIECE)
    half = len(base.pieces) // 2
    retain(broker, base, range(half))
    kiosk = make_kiosk(broker.port, base)
    last = base.pieces[half - 1]
    wait_for(lambda: base.part.exists() and base.part.read_bytes()[(half - 1) * base.piece :].startswith(last))
    kiosk.close()
    retain(broker, base, range(half, len(base.pieces)))
    make_kiosk(broker.port, base)
    wait_for(base.next.exists)
    assert base.next.read_bytes() == base.data


def test_a_broker_that_goes_away_in_the_midst_of_it(tmp_path: Path, make_broker, make_kiosk, wait_for) -> None:
    base = Base(tmp_path, keys=10, piece=8 * PIECE)
    broker = make_broker()
    broker.start()
    make_kiosk(broker.port, base)
    broker.stop()
    broker.start()
    retain(broker, base, range(len(base.pieces)))
    wait_for(base.next.exists, 120)
    assert base.next.read_bytes() == base.data


def test_without_permission_to_read_it_the_link_holds(tmp_path: Path, make_broker, make_kiosk, wait_for) -> None:
    base = Base(tmp_path, keys=10, piece=8 * PIECE)
    broker = make_broker()
    (broker.folder / "acl").write_text(
        "topic readwrite gatepost/v1/library/#\ntopic read gatepost/v1/$all/bundle/#\n"
    )
    (broker.folder / "acl").chmod(0o644)
    broker.config += f"acl_file {broker.folder / 'acl'}\n"
    broker.start()
    kiosk = make_kiosk(broker.port, base)
    wait_for(lambda: bool(kiosk.fetcher._asked) and kiosk.link.status().listening)
    wait_for(lambda: kiosk.link._context.fetch is kiosk.link._session._fetching)
    assert kiosk.link.status().connections == 1
    assert not base.next.exists()
