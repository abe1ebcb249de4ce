"""Identity and health data: nothing of it is stored or sent in the clear. Pure; see docs/privacy.md.

`rules` reads the privacy rules that the central server has signed. `redaction` removes personal data from events,
or seals it to the central server's key (`hpke`).
"""

from agent.privacy.redaction import Redaction, anonymous, opened, without_details
from agent.privacy.rules import CLOSED, DEFAULT, BadPrivacy, Mode, PrivacyInForce, PrivacyRules, parse

__all__ = [
    "CLOSED",
    "DEFAULT",
    "BadPrivacy",
    "Mode",
    "PrivacyInForce",
    "PrivacyRules",
    "Redaction",
    "anonymous",
    "opened",
    "parse",
    "without_details",
]
