"""Readings of one person → a temperature with its uncertainty, and a screening outcome. Pure.

Nothing is converted into a "body temperature" without a site calibration: the skin is compared on the skin scale,
with the crowd that passed before or with a fixed limit, and the event says which.

`look` samples → one temperature · `screening` its outcome · `calibration` the site's file · `crowd` what is usual
here, now · `retest` second reading, rest, second instrument · `lanes` the state that the checkpoint holds ·
`trial` what a cut would have found and missed.
"""

from agent.model import Temperature
from agent.thermal.calibration import BadCalibration, Check, Model, Site, Zero
from agent.thermal.crowd import Crowd
from agent.thermal.lanes import Screens
from agent.thermal.options import Estimate, Options
from agent.thermal.screening import Around, by_second_instrument, fault, is_of_a_body, screen

__all__ = [
    "Around",
    "BadCalibration",
    "Check",
    "Crowd",
    "Estimate",
    "Model",
    "Options",
    "Screens",
    "Site",
    "Temperature",
    "Zero",
    "by_second_instrument",
    "fault",
    "is_of_a_body",
    "screen",
]
