"""Compression of payloads on the card: deflate with a dictionary of what events usually contain.

A passage of 1,000 bytes becomes about 130. The checksum in it (Adler-32) also shows what a card has spoilt.
"""

from __future__ import annotations

import zlib

WINDOW_BITS = 12
LEVEL = 3
MEMORY_LEVEL = 3

DICTIONARIES = {
    1: (
        b'"data":{"type":"stopped","type":"started","software_version":"0.1.0","loss":{'
        b'"reason":"storage_full","count":1,"epoch":null,"first":null,"last":null},"simulated":false,"data":{"lane":"out","role":"scanner","role":"gate",'
        b'"role":"thermometer","driver":"serial_relay","driver":"camera","driver":"mlx90614","up":false,"up":true,'
        b'"error":"","simulated":false,"clock":{"state":"suspect","state":"holdover","state":"floor","latest":null,'
        b'"type":"gatepost.agent.v1","dataschema":"urn:gatepost:agent:v1","type":"gatepost.device.v1",'
        b'"dataschema":"urn:gatepost:device:v1","gate_opened":false,"credential":null,'
        b'"status":"expired","colour":"red",'
        b'"status":"not_yet_valid","status":"time_unknown","status":"unknown_issuer","status":"bad_signature",'
        b'"status":"revoked","status":"malformed","status":"unrecognised","issuer":null,"colour":null},'
        b'"decision":"refuse","reasons":["no_code"],"decision":"refer","decision":"admit_with_notice",'
        b'"colour":"yellow",'
        b'"outcome":"elevated","outcome":"retest","outcome":"indeterminate","outcome":"device_fault",'
        b'"surface_c":null,"uncertainty_c":null,"basis":"calibrated","attempt":2,'
        b'"next_step":"second_reading","direction":"exit",'
        b'{"specversion":"1.0","id":"gate-1:00000000:1","source":"/gatepost/v1/site/gate-1",'
        b'"type":"gatepost.passage.v1","dataschema":"urn:gatepost:passage:v1","epoch":"00000000",'
        b'"sequence":"000000000001","previoussha256":"0000","time":"2026-01-01T00:00:00.000Z",'
        b'"data":{"lane":"in","direction":"entry","decision":"admit","reasons":["code_green","temperature_normal"],'
        b'"rule":"green and normal","gate_opened":true,"credential":{"format":"gatepost","status":"valid",'
        b'"issuer":"city-health","colour":"green"},"temperature":{"outcome":"normal","surface_c":36.0,'
        b'"estimate_c":null,"uncertainty_c":0.5,"threshold_c":37.3,"basis":"fixed",'
        b'"ambient_c":null,"samples":8,"reason":"",'
        b'"attempt":1,"next_step":""},"duration_ms":800,"simulated":false,'
        b'"clock":{"state":"synced","earliest":1790000000.0,'
        b'"latest":1790000000.0,"boottime_ms":100,"boot_id":"0000"}}}'
    ),
}
"""Never changed, only added to: what a card holds was packed with one of them."""
NEWEST = max(DICTIONARIES)

_fresh = zlib.compressobj(
    LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, DICTIONARIES[NEWEST]
)


class CorruptRecord(ValueError):
    """These bytes are not a whole packed payload."""


def compress(payload: bytes) -> bytes:
    """One byte that names the dictionary, then the deflated payload."""
    packer = _fresh.copy()
    return bytes((NEWEST,)) + packer.compress(payload) + packer.flush()


def decompress(packed: bytes) -> bytes:
    """What was packed. Raises CorruptRecord."""
    known = bool(packed) and isinstance(packed, bytes)  # in SQLite any column can hold anything
    dictionary = DICTIONARIES.get(packed[0]) if known else None
    if dictionary is None:
        raise CorruptRecord("no dictionary of that number")
    unpacker = zlib.decompressobj(WINDOW_BITS, dictionary)
    try:
        payload = unpacker.decompress(packed[1:])
    except zlib.error as error:
        raise CorruptRecord(str(error)) from None
    if not unpacker.eof:
        raise CorruptRecord("cut short")
    return payload
