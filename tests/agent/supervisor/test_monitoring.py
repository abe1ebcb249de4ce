"""Alert rules and dashboard: only metrics and labels that there are, and what Prometheus says of the rules."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.app import App
from agent.config import parse
from agent.events.state import VenueState
from agent.supervisor.health import Condition, Health
from agent.supervisor.metrics import families

MONITORING = Path(__file__).parents[3] / "docs" / "monitoring"
RULES, DASHBOARD = MONITORING / "alerts.yml", MONITORING / "dashboard.json"
METRIC = re.compile(r"\b(gatepost_\w+)(?:\{([^}]*)\})?")
FOREIGN = {"instance", "le"}
"""Labels that Prometheus adds."""


@pytest.fixture
def known(kiosk_file):
    """Metric, as it is stored → its labels and their values; no labels where there is no sample."""
    app = App(parse(kiosk_file.read_text(), kiosk_file))
    app._loop.passages["in", "admit"] += 1
    app._loop.temperatures["in", "normal"] += 1
    app._loop.decision_times.add(0.01)
    object.__setattr__(app._report, "venue", lambda: VenueState(3))
    app._link.start()
    found = {}
    for family in families(app._report, Health(Condition.OK), 1.0):
        of_family: dict[str, set[str]] = found.setdefault(family.name, {})
        for _, labels, _ in family.samples:
            for name, value in labels:
                of_family.setdefault(name, set()).add(value)
        if family.kind == "histogram":
            found |= {f"{family.name}_{part}": {**of_family, "le": set()} for part in ("bucket", "sum", "count")}
    app._link.stop(0.0)
    return found


def expressions():
    text = RULES.read_text()
    yield from re.findall(r"expr: (.+)", text)
    board = json.loads(DASHBOARD.read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (each["definition"] for each in board["templating"]["list"] if "definition" in each)


def wrong_in(expression, known):
    """What an expression names that there is not."""
    for name, selector in METRIC.findall(expression):
        if name not in known:
            yield name
            continue
        for label, value in re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', selector):
            if label in FOREIGN or not known[name]:
                continue
            if label not in known[name]:
                yield f"{name}{{{label}}}"
            elif known[name][label] and not value.startswith("$"):
                yield from (f"{label}={word}" for word in value.split("|") if word not in known[name][label])


def test_all_that_is_named_is_there(known):
    assert [wrong for each in expressions() for wrong in wrong_in(each, known)] == []


def test_what_is_not_there_is_found(known):
    said = 'gatepost_nothing > 1 or gatepost_clock_state{state="late"} or gatepost_device_up{line="in"}'
    assert list(wrong_in(said, known)) == ["gatepost_nothing", "state=late", "gatepost_device_up{line}"]


def test_each_rule_has_severity_summary_and_remedy():
    rules = RULES.read_text().split("- alert: ")[1:]
    assert len(rules) >= 10
    for rule in rules:
        for part in ("severity: ", "summary: ", "remedy: "):
            assert part in rule, rule


def test_the_panels_do_not_overlap_and_have_ids_of_their_own():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here: apt install prometheus")
def test_promtool_takes_rules_and_expressions(tmp_path):
    board = json.loads(DASHBOARD.read_text())
    words = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    records = "".join(
        f"      - record: panel{n}\n        expr: {json.dumps(word.replace('$instance', '.*'))}\n"
        for n, word in enumerate(words)
    )
    (tmp_path / "panels.yml").write_text(f"groups:\n  - name: panels\n    rules:\n{records}")
    done = subprocess.run(
        ["promtool", "check", "rules", RULES, tmp_path / "panels.yml"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
