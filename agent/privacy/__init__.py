"""Identity and health data: nothing of it is stored or sent in the clear. Pure; see docs/privacy.md.

`rules` says what the central server has signed, `withholding` takes it off the events, `hpke` seals it to the
central server.
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
