"""Which version is spoken: the older one only with a broker that is known to speak no other."""

from hypothesis import given
from hypothesis import strategies as st

from agent.mqtt.version import Version


class Peer:
    """A broker, or what stands before it, as the link finds it."""

    def __init__(self, speaks):
        self.speaks = speaks
        self.is_up = True

    def meet(self, version):
        greets = self.is_up and (5 if version.is_five else 4) in self.speaks
        delivers = greets and not version.only_probes
        spoken = "5" if version.is_five else "3.1.1"
        version.ended(greeted=greets, hung_up=not greets)
        return spoken if delivers else ""


@given(st.lists(st.booleans(), max_size=200))
def test_a_broker_that_speaks_5_is_never_used_in_3_1_1_by_hang_ups_of_one_proxy_start(ups):
    """It hangs up for a while, is there, is away again: at any moment, but it is no other broker in between."""
    version, peer = Version("auto"), Peer({4, 5})
    hung_up = 0
    for is_up in ups:
        peer.is_up = is_up
        if peer.meet(version) == "3.1.1":
            assert hung_up >= 5, "three hang-ups, then twice a greeting in 3.1.1 and a hang-up on 5"
            break
        hung_up += not is_up


def test_hang_ups_while_a_broker_starts_leave_the_version():
    for hang_ups in range(12):
        version, peer = Version("auto"), Peer({4, 5})
        peer.is_up = False
        for _ in range(hang_ups):
            assert not peer.meet(version)
        peer.is_up = True
        spoken = [peer.meet(version) for _ in range(10)]
        assert "3.1.1" not in spoken
        assert spoken[-1] == "5"


def test_an_old_broker_that_only_hangs_up_is_spoken_to_in_its_version_and_asked_again_later():
    version, peer = Version("auto"), Peer({4})
    spoken = [peer.meet(version) for _ in range(30)]
    assert "3.1.1" in spoken
    peer.speaks = {4, 5}
    assert "5" in [peer.meet(version) for _ in range(3)], "after an upgrade no restart of the agent is needed"


def test_who_says_so_is_believed_at_once_for_one_connection():
    version = Version("auto")
    version.ended(greeted=False, unsupported=True)
    assert not version.is_five
    assert not version.only_probes
    version.ended(greeted=True)
    assert version.is_five


def test_a_wanted_version_is_kept():
    for wanted, is_five in (("5", True), ("3.1.1", False)):
        version = Version(wanted)
        for unsupported in (False, True) * 5:
            version.ended(greeted=False, unsupported=unsupported, hung_up=not unsupported)
            assert version.is_five is is_five
            assert not version.only_probes


def test_silence_and_a_no_with_a_reason_say_nothing_of_the_version():
    version = Version("auto")
    for _ in range(20):
        version.ended(greeted=False)
        assert version.is_five
