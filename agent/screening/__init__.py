"""Readings of one person → a temperature with its uncertainty, and a screening outcome. Pure.

Nothing is converted into a "body temperature" without a site calibration: the skin is compared on the skin scale,
with the baseline of the people who passed before or with a fixed threshold, and the event says which.

| module | content |
|---|---|
| `window` | samples of one person → one temperature of the skin |
| `outcome` | this temperature → its outcome |
| `calibration` | the site's calibration file |
| `baseline` | what is usual on a lane now |
| `learnt` | from whom it has learnt lately |
| `retest` | second reading, rest, clinical thermometer |
| `stay` | whether somebody new stands there |
| `lane` | the state of all lanes, which the checkpoint holds |

What a threshold would have found and missed: `agent/analysis/`.
"""

from agent.model import Temperature
from agent.screening.baseline import Baseline
from agent.screening.calibration import BadCalibration, Model, ReferenceCheck, ThermometerSite, Zero
from agent.screening.lane import LaneScreening
from agent.screening.options import Estimate, Options
from agent.screening.outcome import ScreeningContext, fault, from_clinical, is_of_a_body, screen
from agent.screening.stay import STEPS_UP_S

__all__ = [
    "STEPS_UP_S",
    "BadCalibration",
    "Baseline",
    "Estimate",
    "LaneScreening",
    "Model",
    "Options",
    "ReferenceCheck",
    "ScreeningContext",
    "Temperature",
    "ThermometerSite",
    "Zero",
    "fault",
    "from_clinical",
    "is_of_a_body",
    "screen",
]
