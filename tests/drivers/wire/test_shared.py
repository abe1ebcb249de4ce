"""One port, several users: who opens it, who closes it, and what they learn when it goes."""

import threading

import pytest

from drivers.contract import BadOptions, DeviceGone
from drivers.simulators.pty import Port
from drivers.simulators.relays import LcusRelay
from drivers.wire.shared import SharedUart
from drivers.wire.uart import Uart


class Echo:
    baud = 9600
    period_s = 0.0

    def speak(self):
        return b""

    def respond(self, data):
        return data


@pytest.fixture
def port(tmp_path):
    with Port(tmp_path / "board", Echo()) as port:
        yield port


@pytest.fixture
def users(port):
    users = [SharedUart(str(port.link), 9600) for _ in range(3)]
    yield users
    for user in users:
        user.close()


def test_the_last_user_lets_go_of_the_port(port, users):
    for user in users:
        user.open()
        assert user.simulated
    stranger = Uart(str(port.link), 9600)
    for user in users:
        with pytest.raises(DeviceGone, match="in use"):
            stranger.open()
        user.close()
        user.close()
    stranger.open()
    stranger.close()


def test_a_user_that_has_not_opened_may_not_speak_on_another_s_port(users):
    users[0].open()
    with pytest.raises(DeviceGone, match="not open"):
        users[1].write(b"x")


def test_who_finds_the_port_gone_says_so_for_all_and_the_first_to_open_takes_it_again(port, users):
    for user in users:
        user.open()
    port.unplug()
    port.plug()
    for user in users:
        with pytest.raises(DeviceGone):
            user.drain()
    users[1].open()
    users[0].write(b"a")
    assert users[0].read(5.0) == b"a"
    users[2].open()
    users[2].write(b"b")
    assert users[2].read(5.0) == b"b"


def test_nobody_speaks_between_a_command_and_its_answer(users):
    for user in users:
        user.open()
    wrong = []

    def talk(user, word):
        for _ in range(40):
            with user.held():
                user.write(word)
                heard = b""
                while len(heard) < len(word):
                    heard += user.read(5.0)
                if heard != word:
                    wrong.append(heard)

    threads = [
        threading.Thread(target=talk, args=(user, bytes((65 + i,)) * (3 + i))) for i, user in enumerate(users)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_users_agree_on_the_speed(port, users):
    users[0].open()
    other = SharedUart(str(port.link), 19200)
    with pytest.raises(BadOptions, match="9600"):
        other.open()
    users[0].close()
    other.open()
    other.close()


def test_a_user_may_open_twice(tmp_path):
    with Port(tmp_path / "board", LcusRelay()) as port:
        user = SharedUart(str(port.link), 9600)
        user.open()
        user.open()
        user.write(b"\xa0\x01\x01\xa2")
        user.close()
