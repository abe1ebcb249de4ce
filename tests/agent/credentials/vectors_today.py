"""Codes of tickets and identities that nobody on this project made, with the keys that were published beside them.

| what | source |
|---|---|
| pretix | libpretixsync, `AsyncCheckProviderTest.kt`, keys of `events/event1.json` (Apache-2.0) |
| Claim 169 | jeremi/claim-169, `test-vectors/valid` (Apache-2.0) |
| WHO | WorldHealthOrganization/gdhcn-validator, `DVCTest3QR.txt`; its key is not published beside it (Apache-2.0) |
| VDV-KA | KDE kitinerary, `extractordata/vrr/20230301-deutschlandticket-vdv.bin` and its authority's key (CC0) |
"""

from __future__ import annotations

from base64 import b64decode

from agent.credentials import vdv_ka
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store, short_hash
from agent.crypto import signing
from agent.crypto.limits import Limits

PRETIX_KEYS = (
    "MCowBQYDK2VwAyEA7AD7/vFA33EsY4z2PHr7iZPsZ8n5dh0ajP8gyzNmmIs=",
    "MCowBQYDK2VwAyEAYMJsOnLp5AWGpJ+dFJE2r9DOXeQIZgVrCt93LAl5BN8=",
)
PRETIX_VALID = (
    b"E4BibyTSylQOgeKjuMPiTDxi5HXPuTVsx1qCli3IL0143gj0EZXOB9iQ"
    b"InANxRFJTt4Pf9nXnHdB91Qk/RN0L5AIBABSxw2TKFnSUNUCKAEAPAQA"
)
PRETIX_NOT_YET = (
    b"Ok4EsqDRCr2cL6yDRtqeP7j5Usr1Vj1Db7J0izOuRGx6Qn0BS1ISW2nxlW8P"
    b"XkYRk7PJhIBmsK1V1ucq5obBoBAMG4p9jCPKBAheRdFV0REVDZUCKAEAVAQA"
)
PRETIX_NO_LONGER = (
    b"EU9dJn3k5jzwfY4JQAKrTOVFmo+BvZKwH6UAIFOz3XTxABa7tmjU5UoLD8hJ"
    b"r3440uY7IFEHzau1DVk0sP994bgnzLNswAAKBARdUdGMmNVSHVUCKAEAVAQA"
)
PRETIX_OTHER_ITEM = (
    b"OUmw2Ro3YOMQ4ktAlAIsDVe4Xsr1KXla/0SZVN34qIZWtUX0hx1DXDHx"
    b"aCatGTNzOeCMjHQABR5E6ESCOOx1g7AIkBhVkdDdJJTVSZWCKAEAPAQA"
)
PRETIX_FORGED = (
    b"EFAKEyTSylQOgeKjuMPiTDxi5HXPuTVsx1qCli3IL0143gj0EZXOB9iQ"
    b"InANxRFJTt4Pf9nXnHdB91Qk/RN0L5AIBABSxw2TKFnSUNUCKAEAPAQA"
)

CLAIM169_ED25519_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
CLAIM169_ED25519 = (
    b"6BF590B20FFWJWG.FKJ05H7B0XKA8FA9DIWENPEJ/5P$DPQE88EB$CBECP9ERZC04E21DDF3/E96007F3ORAO001KL580 B9%W5*B9C+"
    b"9%R8646%86HKESED1/DRTC5UA QE$345$CVQEX.DX88WBK0NG8PB4 O/38TL6XDALLKLPQATHO.3ZPJMUAVQFSB1:+B*21V FWMC6SU4"
    b"39YU774475LJ2U5T02$VBSIMLQ3:6J.E1-1STM$4"
)
CLAIM169_P256_KEY = (
    "0478e9de939034c9d7fb3c4b988cc897d8bd2bb9397dc6129762d6df431568ea26"
    "8aa11a62b63867b720f8ca6695a3e94eaf5e909aa9b13d86dbbec8b8e287ad78"
)
CLAIM169_P256 = (
    b"6BF390D20FFWJWG.FKX*4F7B0XKA8FA9DIWENPEJ/5P$DPQE88EB$CBECP9ERZC04E21DDF3/E96007F3ORAO001KL480 B9OW5UM8SN"
    b"A3W5746CP01Y8VS8MA85UA QE$345$CVQEX.D15839CZG0.SN7CP::K1QOD2S*GG4/0UR7X.E5-U-X2-GUPF7I:5SBQGZIY8NTXHRSE."
    b"YBIW6CZEAQTX%R08HJWP MPFBNN/KK.9$1C.3"
)
CLAIM169_ISSUER = "https://mosip.example.org"

WHO_DVC = (
    b"HC1:6BFOXN%TSMAHN-HXN4 WNCCJ-NUWIPKE4QR5-RI*YV.JJFAJBPSURC/GPW7ANED:/B.OCUIAK/BHMG0-9QDB$JD .CZI9$JAQJKF"
    b".KX2MR85$X4*+LKK9ZUPK+9N6Q8O9NJPK+9PF5S:9VJEY46+E5ZGPD462R60:6:66%V9* 9$BINK9BQ9O1B8C9B214Y9MZ5N.50H6$P2"
    b"JRHCF2**48YIZ73423LWT.EJDG3SP4L1T9*KUA36DJQZ4/Z2YD3IBT :KW63TA3MMTWBJHFTQ30JJK%DB2DB0C6V2JVTSW%M-+R8$JB-"
    b"S$%P2O10PEHOAGN8QWU%4H/XM0OV8QEQ0QN8J.MEDSD/-HW/R56Q601 7W$M32TK4UFQHF3CW8A3B:TD:D6Q7DXA7NPO/7 W9L-182BO"
    b"GPSXGYERA-6YRTENT0000GJRMD"
)

VDV_TICKET = b64decode(
    "noGAcCGqbL4sBzo3/kOD7wj1EhQvyK2NciRfyGSyr10XpjR/kGwTlKxLfXpmRnDS6vft4BmcB+iiccTNWkQBqOyD/OGi8lEP2KA5vsu6"
    "fPVzVp4dpLhocyUSBfekTORtnFkZAp7srho5vOQFGWsDmZbFKs4X/WBylo9/KKh4WeoYBc+aDwAAAAAAAAAAAABWRFYRCX8hgchfN4HA"
    "OfLABJIEWvFRilfF13NDSKABrFDMrUDcfzcaNKY828sW63tyxXfYpVHFn89CBrRAy54q04/zDpd9C44NShkBAfJ18d+GMOECTHS1qOp8"
    "AD1lteIBFOzalpJeuhRYSc4m/XSERlk94RpuFWo4TLvHq57lz8fV/GlaHzwUSrdPKRUSUHnr60OBKipr75sIyT3HKLShbyHyvJ4G33KA"
    "HsCtKurbzVbeU1k4RNAVont2Pxzlpt3M/d3DuAkGsIDC0LmOXzgBgUIIREVWRFYRAhY="
)
VDV_AUTHORITY = b64decode(
    "fyGB719OgesDRVVWRFYQAQYAAAAAREVWRFYRAhZWRFZfS0EwICYSASskAwQCAgGjuhQN6G+UuHQGaRf//lFXNkV2ogKPaWHbfF9FrVXN"
    "jIhnFZr13gvkoOUAxHrnNgUy+Oa65mBUHlehYsvAnuEmxnWW2bqenK4gevj2e0kKvhmMZTlwoXM7fonuqHCMVTB3jaPpeEfN9YuP/mar"
    "PQG1bUkOpDtt5/x6M09IHcvarrhDdQi+/290lyJTGuDeuKACpxz4eZtSNnMtRufp2UKVtVjl22RzT7djmwN4rFkUJTBduSnXwrPZTR9Z"
    "Kit6BgsAAQAB"
)


def pretix_trust(event: str = "demo") -> TrustStore:
    """The keys of the event in pretix's own tests."""
    keys = (b64decode(text) for text in PRETIX_KEYS)
    return parse_trust_store(
        TrustedKey(event, short_hash(der), frozenset({"pretix"}), signing.public_key(der)) for der in keys
    )


def claim169_trust(issuer: str = CLAIM169_ISSUER) -> TrustStore:
    """The two keys of the issuer in the vectors of Claim 169."""
    point = bytes.fromhex(CLAIM169_P256_KEY)
    keys = (
        signing.ed25519_key(bytes.fromhex(CLAIM169_ED25519_KEY)),
        signing.point_key("P-256", int.from_bytes(point[1:33]), int.from_bytes(point[33:])),
    )
    return parse_trust_store(TrustedKey(issuer, key.kid, frozenset({"claim169"}), key) for key in keys)


def vdv_trust() -> TrustStore:
    """The authority behind the ticket."""
    key, _, name, ends = vdv_ka.read_certificate(vdv_ka.raw_content(VDV_AUTHORITY))
    public = signing.rsa_key(key)
    return parse_trust_store([TrustedKey("vdv-ka", name, frozenset({"vdv-ka"}), public, Limits(expires_utc=ends))])
