"""Who somebody was and how ill: nothing of it is stored or sent in the clear. Pure; see docs/privacy.md.

`rules` says what the centre has signed, `withholding` takes it off the events, `hpke` seals it to the centre.
"""

from agent.privacy.rules import CLOSED, DEFAULT, BadPrivacy, InForce, Mode, Rules, parse
from agent.privacy.withholding import Withholding, anonymous, opened, without_details

__all__ = [
    "CLOSED",
    "DEFAULT",
    "BadPrivacy",
    "InForce",
    "Mode",
    "Rules",
    "Withholding",
    "anonymous",
    "opened",
    "parse",
    "without_details",
]
