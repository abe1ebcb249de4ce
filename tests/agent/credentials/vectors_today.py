"""Codes of tickets and identities that nobody on this project made, with the keys that were published beside them.

| what | source |
|---|---|
| pretix | libpretixsync, `AsyncCheckProviderTest.kt`, keys of `events/event1.json` (Apache-2.0) |
| Claim 169 | jeremi/claim-169, `test-vectors/valid` (Apache-2.0) |
| WHO | WorldHealthOrganization/gdhcn-validator, `DVCTest3QR.txt`; its key is not published beside it (Apache-2.0) |
| VDV-KA | KDE kitinerary, `extractordata/vrr/20230301-deutschlandticket-vdv.bin` and its authority's key (CC0) |
| UIC, static | UIC-barcode, `EncodeSparpreisTicketDBTest.java` (Apache-2.0); its issuer published the key 1080/2 |
| UIC, small | UIC-barcode, `SZticketTest.java`, with its key (Apache-2.0) |
| UIC, all elements | UIC-barcode, `AllElementsTestTicketV3.java`: version 3, by its own encoder (Apache-2.0) |
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
_SINCE_2019 = Limits(starts_utc=1_546_300_800.0)
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

UIC_TICKET = b64decode(
    "I1VUMDIxMDgwMDAwMDJ4Li/hhKHYXonpM4spjsYa66JIznIgVsqUCpZ8ih05Em4sYoxPzqkbo1IWoKNQ+JTeXr17iQmSD96Uf+7eDiDE"
    "MDE5OXicAbwAQ/9VX0ZMRVgxMzAxODhisgCG4Q3BJeooFREIgQUchERk2YVmjiOgCoAADpbC5OboytwIrtLY2QEERNe+AQAiHOYQ6lWb"
    "ZDZMOKgjYdHLXh5dMqPQl5vQmchCawtzc0MrS2hSkyuro2NLczsrcVqzSwnRAeGJgcGB8UJCIVISkVISkqF6OpIKEVJaCVKCMUlSsgpJ"
    "UplSgmJ4CDABpMOK5bswOs5wA4AHABSwAkBAD1N1cGVyIFNwYXJwcmVpc8QeSgM="
)
UIC_KEY = b64decode(
    "MIIDRzCCAjkGByqGSM44BAEwggIsAoIBAQDvBHnyGImsnwD+u7a+4y8Kds6pJvmicDx//g/SXkj366T81luFYw3qWU6fV2F/p81j2PGf"
    "KHGIhhS89CPtBtXdt1cntHhs2B6+08Hmtd5RGGvqQiUuun5WrSloxJVWPfZRIp5BVNYnkybi+J10TsAL4xf1Wy5uWIOa8pQsBAl1ARMS"
    "z0vtQ9vUARLzzJtkS1QpAy6XiNVF9LodFUgC17m76NxK7htHcyoPhEnwdkHXP0YCYAMoXZEdhBVHL4kuyAj/+S+d/Fr+k/jRRLUdevrp"
    "sTbVttOkhO/uDtiOs1Z2Ou8PHqZDUvV7p7QMM45KDMBEhjqqEaVfkqTxr4DU71jDAiEAxl+jg6oBinGD274AOiOgdpVEG+dPuEVc6Cki"
    "yxgx3ycCggEANO//Pafo6cAEtMmR7EsLc1dq+H2Hf4cX0o5pU1wiA5bY5kibcnmwSZynphoxUPZXAsZdoXw0ugx9Zkj68A/RwVZAyg+t"
    "fApfaIZVKp9BIQVAGwyOOHaEJBsdUahshpkM2SvuMNCxmZScnq5rherQvebbvkf5bmLvK4ftrve03lhnu92LbF8F4XTV/vHLtDAvJGo/"
    "380EA6yQVwe1lIUNET5vU3GYSoOZNsDFIu7ijl/mt0m8sjduFPVK5ueE4XO+Hal9lc5hYpiQq4AwUqtRsA+A1HAR7h3tu+QsqMo8Ahbu"
    "xGdY/bipGSWyRcSg1mvLDEctev0rpvN5fX8ZymiCIwOCAQYAAoIBAQCkDpFu1+QttJUDSMJPScErldgepOoTaVSWIEkc8UYAmVgxXr+h"
    "F4t5/MAHeh4+kO5VXUA2xYbTiV4aA6fUkDm+6LW1aIG0Z4hE+SX6C8Lt8u0hp1UzQhERCobl1kRgMktipKes5h3aLaQ2Spy7+t8wzb0j"
    "ScWNirrgtVZGUajcyQCuaZb5QIaQdLCPm0q5qD3PTDKaLxI/eFuIHSvNoh5WYTw9bfXxN//UZ1I+KQn7JKRdnkTHBvPm7Ww40Yo5Kcc4"
    "5cxyUU6WDtmUcahaFOdpmfVBhCkK3H0oFOkTEXUAEd3irW8d38yq1znv/I+W0sBNjbtRpc59g+aBZO4oX1kD"
)
SSB_TICKET = b64decode(
    "MSbEQEACWRUQQQRTUTAAAAJbAAAAg8md4D3SgYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIYJ9h44ZY0Kh/z3y89kgvrmVBIQ"
    "AodNRwl3wlNU/1q6qcoOOjir/NX8tZlBGPMrZNQAKdG5WoJc"
)
SSB_KEY = b64decode(
    "MIIDQzCCAjUGByqGSM44BAEwggIoAoIBAQDdevkGfuV5U5BmSaaC2ymhw+SQQcax2yZRbRExZvaTeOr3NkJlqAgzbvpIAUx5U1rZ3J3Z"
    "kFWmkADWds8r1sko8vpqJQDpGjs0iXP1r7GYAlciPgGRffmfdn5eVCWgFeG381CLFZ4pUVC7SbwusVzcnGRt/V1wxNdRRxCXGq1O1L63"
    "PiSRNW5RJv/JsVHaqZMbCEigh2NXYkCB0BgDFub+2NTAW7GnllX9F656zpP6gwV6KAymUha5bH33c1rDuhmO25iNrWwW60Sxrl8rs93k"
    "2FQB4AzelCw/6MS9uHerdABdedzlUqN7wUleJCgc25w3eoTPKnbEF4xdaeR3afvfAh0AiNWFRF2DOZZ+koG4K39Vr94q47YILo7LOeuP"
    "OwKCAQBG0Pt3roTa9Aau2U7hZINGcSUI5hLbpMwtrXtAnDtWkQOqPO11vvXJhYHZQkM4wOmhRuT4OxolKvWHjvkvlKoGx4gZMdASio8U"
    "uaCbtKo2588xQ4SY1+Cs2lhRRuhfYce5rv9DhOjgfYv9zxR7Skt6UAbndJtpmSo6mxBK/G2w6FIxzsWBPekaZ/nXWMHFNv/6SDtIrQM3"
    "W+DqCckj8c7tG6zLHcMYh/OIfnc0mVN1EgxsovJz/XmN3LsInIZq8cxQNH9l/TsexLVJrQ3odfA5VmcoHinIQV8K1Iak3NcclwOzvk5s"
    "up8cPKoMf4p1YFO5OcW3WR5HFB42VimkoyK4A4IBBgACggEBAKr1MuBndeKbZDHyZ4opf0a3dJd00lBgp5dH5SF7Um8LnqY2SGYd7IvX"
    "BOjP1fdFub4CLNPXn265gQF7HkDBu0zd+Sy2glzCabOz7j1LJezaaEGGHDndBwTsGGrQ0JRcB2SR3cCFdmjmzEFlJxarriD7K7N5jSBT"
    "1mJCmNvkTk8dgtoBcIW6qxQe+Q72UFyME+6H/6Nnh+X2tv4CbVnmmTXT1ktaZjf+RrFc5eT1nPVFDZcNaDwzUapf4fLqGXw46JmB0WM5"
    "+o5zTR7Q+1AWHEn0D4eqEWouiwXbIxiV/JQEW55eWnz3oSClRLOFNL3zqEydGrr4RSh0AS4wE8EjNIY="
)
FCB3_ALL = b64decode(
    "e//gAABY/P8BYgQASwCNzC2stp0o0G6efPrl5VMvPpQnUgFiBQW0AvYGxZMwEMiAIwOQMA3dUOAv//wRKb2huBkxpdHRsZQNEb3cFYsm"
    "bRqCSolSnUNERA0S1Fa56gEYHIBfohkGUZgEwEBBueXdp38os4HbXlHcm91cAwA/////+/gRgcgrFkzaNQGGOGLBiyZtGrZu4cgolT3X"
    "aK258FZM2jVt//4MxZM2jVsADANUR1YFTHlyaWFD3MUAO4YsGDBgxehIBB3DFgwYMGQSglqmqIKokp6cEoRapqiCqJKenWfAVABGAghu"
    "EnAIEYsHDAEYsXDEKD8DZsYIKzYrWjcGV2luZG93AgNmxggbNjCAh4f+Bs2MEFZsVrRuDK7S3Mje7gQGzYwQNmxhAQ8P/A2bGCCs2K1o"
    "3BldpbmRvdwIDZsYIGzYwgIeH38BiYgbw7vQG8O70BvDu9OQAo+YgE/8f3YCAP6AAB6A2LJmAAHSBsmbQBQQFC7A4xAS3QAKQBN2QYmM"
    "rC5urkykCMwuTKAv/CaIIxZM2gELFwI1bN3AQ6Mrm6MbC5MgC9gQbAAjNo1bALIBsWDACMDkBxPEYBCgaTViR6kWQJQQE4NJnxJFWsTM"
    "bg1ixEkVaxQyBbkyubK5OzC6NLe3ALECgtp4C9gdaJWBKkWnUAoLaC/////7eAvYGxZMwWAA+loMcMWDFkzaNWzdw5BgC8nx7xFbc+Cs"
    "mbRq2//8GYsmbRq2AMYEgrQa5uDKxtLC2EDo5MLS3J7mKAHcMWDBgwYvQkAg7hiwYMGDIJQS1TVEFUSU9OCUItU1RBVElPTgJkxAmjF/"
    "AYmIG8O70BvDu9Abw7vSEwYi2JFWsWTMJiWFsGEtYsmZ0cpFNKBBDcJOAQIxYOGAIxYuGIBQBSBNMYXJnZSBDYXIgRnVsbCBGYXJlAjA"
    "5AcTxGAQoGk1YkepFDGNhciBjYXJyaWFnZQFiBQW0Cf/////+DAF5Pj3iKhjhiwYsmbRq2buHNufBWTNo1bf/+DMWTNo1bAIYAhpPcxQ"
    "A7hiwYMGDF6EgEHcMWDBgwZBKCWqaogqiSnpwShFqmqIKokp6cIozk3tpAgkDo3kCEQOzSwkCGCiCeCGAAPEfAzFkzaNWogAB4j8EABA"
    "gARAAAtzwgAAW58BAAiAAANfhAAAGv4IAAeJAAID5wEVAgDWAdQIA1gHUn/whuCMWDhggAE0QRiyZtAAJKARkzaNQMB4kACAWQCAMgCg"
    "toGiRWjdixN/whuCMWDhgBALIBAGQgAE0QRiyZtAAJKARkzaNQMB4kAP+BGByCsWTNo1AdnwD3MUAO4YsGDBgxehIBB3DFgwYMGQSglq"
    "mqIKokp6cEoRapqiCqJKenIACMDkDAN3VAgIwOQMA3dUCMDkDAN3Vf73MUAO4YsGDBgxehIBB3DFgwYMGQSglqmqIKokp6cEoRapqiCq"
    "JKenAzkyujq5NwCTggQ3BGLBwwQEAsgEAZEKwAeLnZ+MBAEBBQQIIbhJwCBGLBwwBGLFwxAgDWAdQIA1gHUBAKAKQJpjC5M7KQIbC5EC"
    "M6tjYQIzC5MoEYHICCeIwc3uDK3KjSxtbK6JLczN4C/1v/258FZM2jVt//4MxZM2jVsAhgCGoBIAQBAWR9ACfQJBAghuEnAIEYsHDAEY"
    "sXDECANYB1AgDWAdQEAoApAmmMLkzspAhsLkQIzq2NhAjMLkyh7S3MbY6sjKyEDo0sbWyugEpYEqQCxAoLaQEBKWBKkAsQKC2gb/v///"
    "wYAvJ8e8RUMcMWDFkzaNWzdw5tz4KyZtGrb//wZiyZtGrYBD0V1cmFpbCBGbGV4UGFzcwvoegJ9D3AX30PQE+h6AgGASBS0B9ACfQBBN"
    "EsWgQSBMhkgQSJgQQ3CTgECMWDhgCMWLhiBBDcJOAQIxYOGAIxYuGIEAawDqBAGsA6gJACAICyAIBQBSBNMYXJnZSBDYXIgRnVsbCBGY"
    "XJlAicQAcTxGAQoGk1YkepFCXBhc3MgaW5mbwFiBQW0Ef+GOGLBiyZtGrZu4cgwBeT494itufDYc+NGixZsGHIkzov//gzFkzaNWwMAQ"
    "YAgQD6AHoOY29mZmVlIHZvdWNoZXIBYgUFtBX/8AhACMWTNoEEZM2jUDAeJA/QEAgUQHBCkgpKYoJiqpgICCZ9+zIBAICAgQCxAoLaDP"
    "////4Y4YsGLJm0atm7hyDAF5Pj3iK258FZM2jVt//4MxZM2jVsGOGLBiyZtGrZu4cgwBeT494ioWLhLO5N7q4JzC2sqe5igB3DFgwYMG"
    "L0JAIO4YsGDBgyCUEtU1RBVElPTglCLVNUQVRJT04RRnJvbSBBIHRvIEIgdmlhIEMBEHwEMAAeI+BmLJm0atRAADxH4IACBAAiAABbnh"
    "AAAtz4CABEAAAa/CAAANfwQAA8SAAQQ3CTgECMWDhgCMWLhiBAfOAip/vcxQA7hiwYMGDF6EgEHcMWDBgwZBKCWqaogqiSnpwShFqmqI"
    "Kokp6cDOTK6Ork3AJOCBDcEYsXDFAQCyAQBkQrAB4udn4wQIIbhJwCBGLBwwBGLFwxAgDWAdQIA1gHULY291bnRlck1hcmsBYgUFtB3+"
    "/wxwxYMWTNo1bN3DkGALyfHvEVA5MFrcNytz4KyZtGrb//wZiyZtGrYDaZ8I2oMLk1tLczkCM5MLc1szq5OhAmsLS3ECuyuboBvQkAg5"
    "wYGBgYGBiHt7q6Mje3uRA4MLk1tLczgjYyszoFwYK2JFWsWTNo1AgH0AcTxGAQoGk1YkepFAWIFBbQh//DHDFgxZM2jVs3cOQYAvJ8e8"
    "RW3PgrJm0atv//BmLJm0atgAAAEAINBwPAghuEnAIEYsHDAEYsXDEHhAWIFBbQl/f/wxwxYMWTNo1bN3DkGALyfHvEVtz4KyZtGrb//w"
    "ZiyZtGrYHcGFzc2FnZQEDfR9BAQODNpgISgtrm6MrkyMLaAgb6PoICBwZtMBCUFtc3RlcmRhbS6AAegZ9D0BBQFiBQW0KAWIFBbQt/tw"
    "mDCiSmLJm0agRgcgLIBsWDAGBb6LT0JAAHElRQeAL8BZcSVFqAwBdRqahaQGsLK0ETIleJVpNGoQ3BZMWNIqiTIytjC8kDG3tzM0uTaw"
    "ujS3twCxAoLafgL/wmiCMWTNoBCxcCNWzdwEOjK5ujGwuTIAvYEGwAIzaNWwCyAbFgwAEMGQDsbe3Ojk3tgC/AWXElRagMAXUamoWkBr"
    "CytBEyJXiVaTRqENwWTFjSKoCxAoLaAgFiBQW0AsgKD2gA=="
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


def rail_trust() -> TrustStore:
    """The keys of the two rail tickets, as `gatepost keys import` would pin them."""
    found = (("db", b"1080/2", UIC_KEY, signing.DSA_SHA256), ("sz", b"1179/1", SSB_KEY, signing.DSA_SHA224))
    return parse_trust_store(
        TrustedKey(issuer, name, frozenset({"uic"}), signing.public_key(der), _SINCE_2019, algorithm=algorithm)
        for issuer, name, der, algorithm in found
    )
