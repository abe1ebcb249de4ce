"""VDV-KA: a real ticket with its whole chain, each bit of it, and what a signature alone is worth."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import vectors_today as vectors
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import german_time, lists
from agent.credentials.formats import vdv_ka
from agent.credentials.trust import TrustedKey, TrustStore
from agent.crypto import ber, iso9796, signing
from agent.crypto.refusal import CheckFailed, Malformed
from agent.crypto.signing import PublicKey
from agent.model import ClockState, CodeStatus, ListAge, TimeBounds
from tests.damage import flipped

TRUST = vectors.vdv_trust()
BERLIN = ZoneInfo("Europe/Berlin")


def on(day: str) -> TimeBounds:
    utc = datetime.fromisoformat(day).replace(tzinfo=BERLIN).timestamp()
    return TimeBounds(utc, utc, ClockState.SYNCED)


IN_MARCH = on("2023-03-15T12:00")


def blocking_list(*keys: bytes, issued_utc: float = IN_MARCH.earliest_utc) -> TrustStore:
    """Trust with a list of blocked tickets of the authority's issuer."""
    head = lists.ListHeader("revoked", "vdv-ka", 1, issued_utc, 86_400, 259_200)
    built = lists.build(head, b"".join(keys))
    found = lists.CodeList(lists.parse(b"".join(built.chunks)))
    return replace(TRUST, lists=lists.gather([found]), ages=(found.age,))


def test_the_whole_chain_of_a_real_ticket() -> None:
    verdict = credentials.check(vectors.VDV_TICKET, blocking_list(), IN_MARCH)
    assert (verdict.status, verdict.format, verdict.kind) == (CodeStatus.VALID, "vdv-ka", "ticket")
    assert verdict.entitlement is not None
    assert verdict.entitlement.places == ("vdv/9999", "vdv/9999/70")
    assert not verdict.entitlement.has_all_places
    assert not verdict.entitlement.single_use


@pytest.mark.parametrize(
    ("day", "status"),
    [
        ("2023-02-28T23:59:59", CodeStatus.NOT_YET_VALID),
        ("2023-03-01T00:00:00", CodeStatus.VALID),
        ("2023-03-31T23:59:59", CodeStatus.VALID),
        ("2023-04-01T00:00:03", CodeStatus.EXPIRED),
    ],
)
def test_its_month_is_that_of_local_time(day: str, status: CodeStatus) -> None:
    assert credentials.check(vectors.VDV_TICKET, blocking_list(), on(day)).status is status


def test_a_signature_alone_is_not_enough() -> None:
    verdict = credentials.check(vectors.VDV_TICKET, TRUST, IN_MARCH)
    assert (verdict.status, verdict.reason.split(":")[0]) == (CodeStatus.UNDECIDED, "signature only")
    old = blocking_list(issued_utc=IN_MARCH.earliest_utc - 400_000)
    assert credentials.check(vectors.VDV_TICKET, old, IN_MARCH).list_age is ListAge.EXPIRED


def test_a_blocked_ticket() -> None:
    verdict = credentials.check(vectors.VDV_TICKET, TRUST, IN_MARCH)
    by_number = blocking_list(*verdict.aliases)
    assert credentials.check(vectors.VDV_TICKET, by_number, IN_MARCH).status is CodeStatus.REVOKED
    assert credentials.check(vectors.VDV_TICKET, blocking_list(b"x" * 16), IN_MARCH).status is CodeStatus.VALID


def test_without_its_authority() -> None:
    assert credentials.check(vectors.VDV_TICKET, TrustStore(), IN_MARCH).status is CodeStatus.UNKNOWN_ISSUER


def test_after_the_end_of_its_authoritys_key() -> None:
    verdict = credentials.check(vectors.VDV_TICKET, blocking_list(), on("2026-12-31T00:00"))
    assert verdict.status is CodeStatus.EXPIRED


def test_no_byte_may_change() -> None:
    trust = blocking_list()
    for changed in flipped(vectors.VDV_TICKET):
        assert credentials.check(changed, trust, IN_MARCH).status is not CodeStatus.VALID, changed
    assert credentials.check(vectors.VDV_TICKET + b"\0", trust, IN_MARCH).status is not CodeStatus.VALID


def test_a_signature_and_its_modulus_are_no_second_signature() -> None:
    key = iso9796.RsaKey(0xF1 << 1016 | 1, 3)
    with pytest.raises(CheckFailed):
        iso9796.recover(key, (key.n + 5).to_bytes(128), b"")
    with pytest.raises(Malformed):
        iso9796.recover(key, b"\0" * 127, b"")


@given(st.binary(max_size=300))
def test_ber_from_noise(data: bytes) -> None:
    try:
        found = ber.elements(data)
    except Malformed:
        return
    assert sum(len(element.content) for element in found) <= len(data)


@given(st.binary(max_size=300))
def test_no_untyped_exception_from_noise(noise: bytes) -> None:
    verdict = credentials.check(b"\x9e\x81\x80" + noise, TRUST, IN_MARCH)
    assert verdict.status in {CodeStatus.MALFORMED, CodeStatus.UNKNOWN_ISSUER, CodeStatus.BAD_SIGNATURE}
    assert verdict.status is not CodeStatus.INTERNAL_ERROR, verdict.reason


@given(st.datetimes(datetime(1997, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 - local time
def test_german_time_is_that_of_the_database(local: datetime) -> None:
    known = local.replace(tzinfo=BERLIN, fold=0)
    if known.astimezone(UTC).astimezone(BERLIN).replace(tzinfo=None) != local:
        return  # a time that is skipped in March
    seconds = german_time.utc(local)
    assert math.isclose(seconds, known.timestamp(), abs_tol=1e-3)
    assert abs((german_time.local(seconds) - local).total_seconds()) < 1e-3
    second = local.replace(tzinfo=BERLIN, fold=1).timestamp()
    assert math.isclose(german_time.utc(local, last=True), second, abs_tol=1e-3)


@pytest.mark.parametrize(("month", "day"), [(10, 25), (3, 29)])
def test_what_begins_in_an_hour_that_occurs_twice_or_never_begins_late_and_ends_early(month: int, day: int) -> None:
    bits = (2026 - 1990) << 25 | month << 21 | day << 16 | 2 << 11 | 30 << 5
    content = vdv_ka._TICKET.pack(1, 2, 3, 4, bits, bits)
    entitlement, _ = vdv_ka._entitlement(content)
    first = datetime(2026, month, day, 0, 30, tzinfo=UTC).timestamp()
    assert (entitlement.starts_utc, entitlement.ends_utc) == (first + 3600, first + 2)


def test_the_authoritys_certificate_says_when_it_ends() -> None:
    key, _, name, ends = vdv_ka.read_certificate(vdv_ka.raw_content(vectors.VDV_AUTHORITY))
    last_day = german_time.local(ends - 1).date()
    assert (key.size, name.hex(), last_day.isoformat()) == (192, "4445564456110216", "2026-12-01")
    for cut in range(0, len(vectors.VDV_AUTHORITY), 7):
        with pytest.raises(Malformed):
            vdv_ka.read_certificate(vectors.VDV_AUTHORITY[:cut])


def _pinned(key: PublicKey) -> TrustedKey:
    (authority,) = TRUST.by_format["vdv-ka"]
    return replace(authority, public=key)


@pytest.mark.parametrize("mine", [0, 1, 2])
def test_each_key_of_an_authority_is_tried(mine: int) -> None:
    """An authority has a new key every few years, maybe of another length, under the same name."""
    (authority,) = TRUST.by_format["vdv-ka"]
    others = [_pinned(signing.rsa_key(iso9796.RsaKey((1 << 8 * size) - 1, 3))) for size in (192, 248)]
    keys = [*others[:mine], authority, *others[mine:]]
    trust = replace(blocking_list(), keys={authority.kid: tuple(keys)})
    assert credentials.check(vectors.VDV_TICKET, trust, IN_MARCH).status is CodeStatus.VALID
    none = credentials.check(vectors.VDV_TICKET, replace(trust, keys={authority.kid: tuple(others)}), IN_MARCH)
    assert none.status in (CodeStatus.BAD_SIGNATURE, CodeStatus.MALFORMED)
    assert none.issuer == authority.issuer


def test_a_key_that_is_not_rsa_opens_nothing_and_ends_nothing() -> None:
    (authority,) = TRUST.by_format["vdv-ka"]
    strange = _pinned(signing.new_private_key().public)
    alone = replace(TRUST, keys={authority.kid: (strange,)})
    assert credentials.check(vectors.VDV_TICKET, alone, IN_MARCH).status is CodeStatus.BAD_SIGNATURE
    beside = replace(blocking_list(), keys={authority.kid: (strange, authority)})
    assert credentials.check(vectors.VDV_TICKET, beside, IN_MARCH).status is CodeStatus.VALID
