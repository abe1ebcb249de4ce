"""What a hostile or broken central server may send instead of the next signed bundle, and what must become of it.

A history is a list of states of a repository. In each lie roots, in the order in which they are offered, and a
policy. It says who signed what, in names and numbers only, so that another implementation of The Update Framework
can play it with keys and formats of its own (tests/bench/peer_tuf.py). A verdict is whether the policy of a state
was taken, and which root is trusted after it. The named cases follow python-tuf's
tests/test_updater_top_level_update.py, as far as a gate has a word for them.
"""

from __future__ import annotations

import random
from base64 import b64encode
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.credentials import bundle
from agent.crypto import signing
from agent.model import ClockState, TimeBounds

if TYPE_CHECKING:
    from collections.abc import Iterator

Verdict = tuple[bool, int]
NAMES = ("r1", "r2", "r3", "r4", "p1", "p2", "p3", "p4", "thief")
HUGE = 6_000_000
_DAY_S = 86_400


@dataclass(frozen=True)
class Role:
    threshold: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Root:
    """`by`: who signed; `spoil`: what was done to it afterwards."""

    version: int
    root: Role = Role(2, ("r1", "r2", "r3"))
    policy: Role = Role(2, ("p1", "p2", "p3"))
    by: tuple[str, ...] = ("r1", "r2")
    days: int = 365
    spoil: str = ""


@dataclass(frozen=True)
class Policy:
    """As Root. `spoil`: `content`, `signature`, `cut`, `huge`, `type`, `twice` (the first signature once more)."""

    version: int
    by: tuple[str, ...] = ("p1", "p2")
    days: int = 30
    content: str = "a"
    spoil: str = ""


@dataclass(frozen=True)
class State:
    policy: Policy
    roots: tuple[Root, ...] = ()


@dataclass(frozen=True)
class History:
    name: str
    states: tuple[State, ...]
    taken: tuple[bool, ...] = ()
    """What must become of the policy of each state; nothing: nobody has written it down."""
    root: int = 1
    """The root that must be trusted at the end."""
    first: Root = field(default=Root(1))

    def as_json(self) -> dict[str, Any]:
        """For the other side."""
        return asdict(self)


_FIVE = State(Policy(5))
_NEW_KEYS = Root(2, policy=Role(2, ("p3", "p4")))
_NEW_ROOT = Root(2, root=Role(2, ("r3", "r4")), by=("r1", "r2", "r3", "r4"))


def _then(name: str, policy: Policy, *roots: Root, taken: bool = False, root: int = 1) -> History:
    """A good policy 5, then this."""
    return History(name, (_FIVE, State(policy, roots)), (True, taken), root)


NAMED = (
    History("the first of its kind", (_FIVE,), (True,)),
    _then("the next", Policy(6), taken=True),
    _then("the same again", Policy(5), taken=True),
    _then("a version left out", Policy(9), taken=True),
    History("expired at first sight", (State(Policy(5, days=-1)),), (False,)),
    _then("expired", Policy(6, days=-1)),
    _then("rolled back", Policy(4)),
    _then("rolled back and expired", Policy(4, days=-1)),
    _then("another content under the same version", Policy(5, content="b")),
    _then("not signed", Policy(6, by=())),
    _then("signed by one of two", Policy(6, by=("p1",))),
    _then("one key's signature twice", Policy(6, by=("p1",), spoil="twice")),
    _then("signed by keys of another role", Policy(6, by=("r1", "r2"))),
    _then("signed by one of the role and a thief", Policy(6, by=("p1", "thief"))),
    _then("signed by all and a thief", Policy(6, by=("p1", "p2", "thief")), taken=True),
    _then("content changed after signing", Policy(6, spoil="content")),
    _then("a signature changed", Policy(6, spoil="signature")),
    _then("cut off", Policy(6, spoil="cut")),
    _then("endless", Policy(6, spoil="huge")),
    _then("well signed, but of another type", Policy(6, spoil="type")),
    _then("a new root", Policy(6), Root(2), taken=True, root=2),
    _then("many new roots", Policy(6), *(Root(v) for v in range(2, 12)), taken=True, root=11),
    _then("a root not signed", Policy(6), Root(2, by=())),
    _then("a root signed by one of two", Policy(6), Root(2, by=("r1",))),
    _then("a root whose one signature stands twice", Policy(6), Root(2, by=("r1",), spoil="twice")),
    _then("a root signed by thieves", Policy(6), Root(2, root=Role(1, ("thief",)), by=("thief",))),
    _then("a root of the same version", Policy(6), Root(1, days=364)),
    _then("a root that skips a version", Policy(6), Root(3)),
    _then("a root changed after signing", Policy(6), Root(2, spoil="content")),
    _then("a root cut off", Policy(6), Root(2, spoil="cut")),
    _then("an endless root", Policy(6), Root(2, spoil="huge")),
    _then("a root of another type", Policy(6), Root(2, spoil="type")),
    _then("a gap in a chain of roots", Policy(6), Root(2), Root(4), root=2),
    _then("an expired root between others", Policy(6), Root(2, days=-1), Root(3), taken=True, root=3),
    _then("a bad root between good ones", Policy(6), Root(2, by=("r1",)), Root(3)),
    _then("the last root has expired", Policy(6), Root(2, days=-1), root=2),
    _then("root keys change hands", Policy(6), _NEW_ROOT, taken=True, root=2),
    _then("new root keys without the old ones' word", Policy(6), replace(_NEW_ROOT, by=("r3", "r4"))),
    _then("new root keys without their own word", Policy(6), replace(_NEW_ROOT, by=("r1", "r2"))),
    _then("the old root keys after they left", Policy(6), _NEW_ROOT, Root(3, by=("r1", "r2")), root=2),
    _then("policy keys change hands", Policy(6, by=("p3", "p4")), _NEW_KEYS, taken=True, root=2),
    _then("policy keys that have left", Policy(6, by=("p1", "p2")), _NEW_KEYS, root=2),
    _then("one policy key left, one stayed", Policy(6, by=("p2", "p3")), _NEW_KEYS, root=2),
    _then("the threshold rises", Policy(6), Root(2, policy=Role(3, ("p1", "p2", "p3"))), root=2),
    _then("the threshold falls", Policy(6, by=("p1",)), Root(2, policy=Role(1, ("p1",))), taken=True, root=2),
    _then("no going back after a change of keys", Policy(4, by=("p3", "p4")), _NEW_KEYS, root=2),
)


def at_random(seed: int) -> History:
    """Some states, most of them right in most things."""
    chance = random.Random(seed)
    trusted, version, states = _random_root(chance, 1), chance.randint(1, 5), []
    first = replace(trusted, by=trusted.root.keys, days=365, spoil="")
    trusted = first
    for _ in range(chance.randint(1, 4)):
        roots = []
        while chance.random() < 0.4:
            step = chance.choices((1, 0, 2, -1), (30, 1, 1, 1))[0]
            new = _random_root(chance, max(1, trusted.version + step))
            needed = (*trusted.root.keys, *new.root.keys) if chance.random() < 0.8 else _some(chance, "r")
            roots.append(replace(new, by=tuple(dict.fromkeys(needed))))
            trusted = roots[-1]
        step = chance.choices((1, 0, 2, -1), (6, 2, 2, 1))[0]
        if step == 0 and states and chance.random() < 0.5:
            policy = states[-1].policy  # the very same again
        else:
            by = trusted.policy.keys if chance.random() < 0.7 else _some(chance, "p")
            days = 30 if chance.random() < 0.9 else -1
            content = f"{len(states)}"
            policy = Policy(max(1, version + step), by, days, content)
        version = policy.version
        states.append(State(policy, tuple(roots)))
    return History(f"seed {seed}", tuple(states), first=first)


def _random_root(chance: random.Random, version: int) -> Root:
    roles = []
    for letter in "rp":
        keys = _some(chance, letter)
        roles.append(Role(chance.randint(1, len(keys)), keys))
    return Root(version, *roles, days=365 if chance.random() < 0.9 else -1)


def _some(chance: random.Random, letter: str) -> tuple[str, ...]:
    return tuple(sorted(chance.sample([f"{letter}{n}" for n in (1, 2, 3, 4)], chance.randint(1, 4))))


# ---- how this agent plays a history

_KEYS = {name: signing.new_private_key() for name in NAMES}


def play(history: History, now_s: int) -> Iterator[Verdict]:
    """What becomes of each state here. The first refusal ends a state, as it ends an update."""
    now = TimeBounds(now_s, now_s + 1.0, ClockState.SYNCED)
    root = bundle.first_root(_root(history.first, now_s))
    last: bundle.VersionFloor | None = None
    for state in history.states:
        try:
            for each in state.roots:
                root = bundle.next_root(root, _root(each, now_s))
            data = _policy(state.policy, now_s)
            last = bundle.version_floor(bundle.accept(data, root, last, now, kind="policy", name="venue"))
        except bundle.BadBundle:
            yield False, root.bundle.version
        else:
            yield True, root.bundle.version


def _root(root: Root, now_s: int) -> bytes:
    roles = {"root": root.root, "policy": root.policy, "keys": root.policy}
    keys = {_kid(name): b64encode(_KEYS[name].public.spki).decode() for name in NAMES}
    content = {
        "keys": keys,
        "roles": {
            name: {"threshold": role.threshold, "keyids": [_kid(key) for key in role.keys]}
            for name, role in roles.items()
        },
    }
    return _signed("root", "", root, now_s, content)


def _policy(policy: Policy, now_s: int) -> bytes:
    return _signed("policy", "venue", policy, now_s, policy.content)


def _signed(kind: str, name: str, what: Root | Policy, now_s: int, content: object) -> bytes:
    expires = now_s + what.days * _DAY_S
    members = {
        "type": "keys" if what.spoil == "type" else kind,
        "name": name,
        "fleet": "city",
        "version": what.version,
        "issued_at": min(now_s, expires) - 1,
        "expires_at": expires,
        "warn_age_s": 0,
        "max_age_s": 0,
        "content": content,
    }
    by = [_KEYS[signer] for signer in what.by]
    data = bundle.sign(members, by)
    match what.spoil:
        case "content":
            other = bundle.sign({**members, "version": what.version + 1}, by)
            return data.split(b'"signatures"')[0] + b'"signatures"' + other.split(b'"signatures"')[1]
        case "signature":
            start = data.index(b'"sig": "') + 8
            return data[:start] + (b"B" if data[start : start + 1] == b"A" else b"A") + data[start + 1 :]
        case "twice":
            start = data.index(b"[") + 1
            return data[:start] + data[start : data.index(b"]")] + b", " + data[start:]
        case "cut":
            return data[: len(data) // 2]
        case "huge":
            return data + b" " * (HUGE - len(data))
    return data


def _kid(name: str) -> str:
    return _KEYS[name].public.kid.hex()
