"""Sessions of the guards' pages: paired devices, logins, locks. Pure; time and randomness are arguments.

A page acts for a person: its device was paired by a code on the kiosk's own screen, and a person of the signed
staff list has logged in there. Address and name of the machine give no rights. What is not known is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import field, replace
from typing import TYPE_CHECKING

from agent.credentials.staff_list import StaffMember, StaffRole
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from agent.credentials.staff_list import StaffList

PAIRING_S = 120.0
PAIRING_TRIES = 5
DEVICE_DAYS = 90.0
FIRST_LOGIN_S = 600.0
"""The code on a screen can be read by anybody who stands there: who has connected a device proves by a PIN in this
time to be one of the staff."""
MAX_DEVICES = 32
IDLE_S = 300.0
"""So long without an action, and the next one needs the PIN again."""
SESSION_S = 12 * 3600.0
MAX_SESSIONS = 16
FREE_MISSES = 4
"""So many wrong PINs; the fifth closes this person's login for a minute, each further one for twice as long."""
FREE_MISSES_OF_A_DEVICE = 9
"""The same at one device, for all people together: to try a PIN takes the processor's time from everybody."""
LOCK_S, LONGEST_LOCK_S = 60.0, 3600.0
_DAY_S = 86_400.0


_NOBODY = StaffMember("nobody", StaffRole.GUARD, f"scrypt:14:8:1:{'A' * 22}:{'A' * 43}")
"""In place of whom nobody knows: to be refused takes as long."""


class Refused(Exception):
    """Not allowed; `str()` is the code of a text on `refusal`."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What the screen shows for one device to be paired."""

    secret: str = field(repr=False)
    number: str = field(repr=False)
    """Six digits that are typed in."""
    until_s: float
    tries: int = 0


@dataclass(frozen=True, slots=True)
class StaffSession:
    """Somebody who has logged in."""

    staff: str
    role: StaffRole
    device: str
    since_s: float
    active_s: float
    proof: tuple[str, str] = field(default=("", ""), repr=False)
    """PIN and badge, as the list had them then."""

    def is_locked(self, at_s: float) -> bool:
        """Whether the next action needs the PIN again."""
        return at_s - self.active_s >= IDLE_S

    def is_over(self, at_s: float) -> bool:
        """Whether nothing can be seen any more."""
        return at_s - self.since_s >= SESSION_S


class StaffSessions:
    """All pages of one kiosk. Not thread-safe."""

    def __init__(self, devices: dict[str, float] | None = None) -> None:
        """`devices`: digest of each paired device's token → until when it is paired, UTC; changed in place."""
        self.devices = {} if devices is None else devices
        self._unproved: dict[str, float] = {}
        """The same of devices at which nobody has logged in yet. In memory only."""
        self.pairing: Pairing | None = None
        self._sessions: dict[str, StaffSession] = {}
        self._misses: dict[str, tuple[int, float]] = {}
        """Person, or digest of a device → (wrong PINs in a row, no login before)."""

    # -- devices

    def begin_pairing(self, secret: str, number: str, at_s: float) -> Pairing:
        """A device may be paired from now on; one that was begun before may not any more."""
        self.pairing = Pairing(secret, number, at_s + PAIRING_S)
        return self.pairing

    def pair(self, secret: str, number: str, token: str, at_s: float, at_utc: float) -> None:
        """Pair the device that will show `token`, for a moment: until somebody logs in there by PIN. Raises
        Refused.
        """
        pairing = self.pairing
        if pairing is None or at_s >= pairing.until_s:
            self.pairing = None
            raise Refused("pairing_over")
        right = _same(pairing.secret, secret)
        if not (_same(pairing.number, number) and right):
            tries = pairing.tries + 1
            self.pairing = replace(pairing, tries=tries) if tries < PAIRING_TRIES else None
            raise Refused("pairing_wrong")
        self.pairing = None
        self._forget_devices(at_utc)
        if len(self.devices) + len(self._unproved) >= MAX_DEVICES:
            raise Refused("too_many_devices")
        self._unproved[key_of(token)] = at_utc + FIRST_LOGIN_S

    def is_paired(self, token: str, at_utc: float) -> bool:
        """Whether this device may show the login."""
        return self.is_proved(token, at_utc) or self._unproved.get(key_of(token), -math.inf) > at_utc

    def is_proved(self, token: str, at_utc: float) -> bool:
        """Whether somebody has logged in by PIN at this device since it was paired."""
        return self.devices.get(key_of(token), -math.inf) > at_utc

    def demand_proved(self, device: str, at_utc: float) -> None:
        """Raise Refused unless a badge logs somebody in at this device: a stranger may hold one that was only
        paired.
        """
        if not self.is_paired(device, at_utc):
            raise Refused("not_paired")
        if not self.is_proved(device, at_utc):
            raise Refused("pin_first")

    def unpair_all(self) -> None:
        """No device is paired any more, and nobody is logged in."""
        self.devices.clear()
        self._unproved.clear()
        self._sessions.clear()

    # -- people

    def login(
        self, staff: StaffList, who: str, pin: str, device: str, token: str, at_s: float, at_utc: float
    ) -> StaffSession:
        """Log in with a PIN on a paired device, which is proved by that; `token` stands for the session. Raises
        Refused.
        """
        if not self.is_paired(device, at_utc):
            raise Refused("not_paired")
        if not staff.people:
            raise Refused("no_staff_list")
        self._prove(staff, who, pin, key_of(device), at_s)
        if self._unproved.pop(key_of(device), None) is not None:
            self.devices[key_of(device)] = at_utc + DEVICE_DAYS * _DAY_S
        return self._begin(staff.people[who], device, token, at_s)

    def login_by_badge(
        self, member: StaffMember, device: str, token: str, at_s: float, at_utc: float
    ) -> StaffSession:
        """Log in whose badge was shown at the lane's scanner. Raises Refused."""
        self.demand_proved(device, at_utc)
        return self._begin(member, device, token, at_s)

    def unlock(self, staff: StaffList, token: str, device: str, pin: str, at_s: float) -> StaffSession:
        """Go on after a while without an action. Raises Refused."""
        session = self.find(staff, token, device, at_s)
        self._prove(staff, session.staff, pin, session.device, at_s)
        return self._touch(token, session, at_s)

    def find(self, staff: StaffList, token: str, device: str, at_s: float) -> StaffSession:
        """The session of a page that looks; it is over once the list has another PIN or badge of the person. Raises
        Refused.
        """
        session = self._sessions.get(key_of(token))
        if session is None or session.is_over(at_s) or not _same(session.device, key_of(device)):
            self._sessions.pop(key_of(token), None)
            raise Refused("not_logged_in")
        member = staff.people.get(session.staff)
        if member is None or _proof(member) != session.proof or session.device not in self.devices:
            del self._sessions[key_of(token)]
            raise Refused("not_logged_in")
        return replace(session, role=member.role)

    def lock(self, who: str) -> None:
        """This person's shift is over: what a page of theirs does next needs the PIN."""
        self._sessions = {
            key: replace(each, active_s=-math.inf) if each.staff == who else each
            for key, each in self._sessions.items()
        }

    def act(
        self, staff: StaffList, token: str, device: str, allowed: frozenset[StaffRole], at_s: float
    ) -> StaffSession:
        """The session of a page that does something. Raises Refused."""
        session = self.find(staff, token, device, at_s)
        if session.is_locked(at_s):
            raise Refused("locked")
        if session.role not in allowed:
            raise Refused("not_allowed")
        return self._touch(token, session, at_s)

    def confirm(
        self, staff: StaffList, who: str, pin: str, by: StaffSession, allowed: frozenset[StaffRole], at_s: float
    ) -> str:
        """A second person confirms an action of `by` with a PIN; who it was. Raises Refused."""
        member = staff.people.get(who)
        if who == by.staff or member is None or member.role not in allowed:
            raise Refused("second_needed")
        self._prove(staff, who, pin, by.device, at_s)
        return who

    def is_closed(self, who: str, device: str, at_s: float) -> bool:
        """Whether too many wrong PINs were given for this person, or at this device."""
        return any(at_s < self._misses.get(key, (0, -math.inf))[1] for key in (who, device))

    def logout(self, token: str) -> None:
        """End a session."""
        self._sessions.pop(key_of(token), None)

    def _begin(self, member: StaffMember, device: str, token: str, at_s: float) -> StaffSession:
        self._sessions = {key: each for key, each in self._sessions.items() if not each.is_over(at_s)}
        if len(self._sessions) >= MAX_SESSIONS:
            oldest = min(self._sessions, key=lambda key: self._sessions[key].active_s)
            del self._sessions[oldest]
        session = StaffSession(member.id, member.role, key_of(device), at_s, at_s, _proof(member))
        self._sessions[key_of(token)] = session
        return session

    def _touch(self, token: str, session: StaffSession, at_s: float) -> StaffSession:
        self._sessions[key_of(token)] = session = replace(session, active_s=at_s)
        return session

    def _prove(self, staff: StaffList, who: str, pin: str, device: str, at_s: float) -> None:
        """Whether this is the person's PIN; an unknown person takes as long, and is refused alike."""
        if self.is_closed(who, device, at_s):
            raise Refused("login_closed")
        member = staff.people.get(who)
        if not (member or _NOBODY).has_pin(pin) or member is None:
            if member is not None:
                self._miss(who, FREE_MISSES, at_s)
            self._miss(device, FREE_MISSES_OF_A_DEVICE, at_s)
            raise Refused("login_wrong")
        self._misses.pop(who, None)
        self._misses.pop(device, None)

    def _miss(self, key: str, free: int, at_s: float) -> None:
        misses = self._misses.get(key, (0, -math.inf))[0] + 1
        wait_s = min(LOCK_S * 2 ** (misses - free - 1), LONGEST_LOCK_S) if misses > free else 0.0
        self._misses[key] = misses, at_s + wait_s

    def _forget_devices(self, at_utc: float) -> None:
        for devices in (self.devices, self._unproved):
            for key in [key for key, until in devices.items() if until <= at_utc]:
                del devices[key]


def _proof(member: StaffMember) -> tuple[str, str]:
    return member.pin, member.badge


def key_of(token: str) -> str:
    """By what a device or a session is known here: its token is kept nowhere."""
    return hashlib.sha256(token.encode()).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
