"""Publish something signed for kiosks, wait for their answers, and show them: for `command` and `push`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from agent.cli.help import number
from agent.events.answers import FleetAnswers, as_json, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.events.answers import Delivery
    from agent.mqtt import ShortConnection

NOT_ALL = 3
"""Exit status: some kiosk has not succeeded within the time."""
wait_s = number(0.0, 86_400.0, 30.0)


def publish_and_wait(
    connection: ShortConnection,
    sent: Delivery,
    messages: Iterable[tuple[str, bytes]],
    *,
    retain: bool,
    within_s: float,
) -> FleetAnswers:
    """Publish (topic, payload) in order; what is known when everybody has answered, or the time is over. Raises
    LinkLost, OSError.
    """
    answers = FleetAnswers(sent)
    states, events = sent.topics
    if within_s:
        connection.subscribe(events)
        for topic, payload in connection.read_retained(states):
            answers.read(topic, payload)
    for topic, payload in messages:
        connection.publish(topic, payload, retain=retain)
    until_s = time.monotonic() + within_s
    while not answers.is_complete and (left_s := until_s - time.monotonic()) > 0:
        for topic, payload in connection.read(left_s):
            answers.read(topic, payload)
    return answers


def show(answers: Iterable[FleetAnswers], *, is_json: bool) -> int:
    """Print them; the exit status."""
    found = list(answers)
    if is_json:
        told: list[Mapping[str, object]] = [as_json(each) for each in found]
        print(json.dumps(told if len(told) > 1 else told[0], indent=1))
    else:
        print("\n\n".join("\n".join(table(each)) for each in found))
    return 0 if all(each.have_all_succeeded for each in found) else NOT_ALL
