"""docs/privacy.md: its program opens what a kiosk has sealed, and its table of fields is that of the code."""

import json
import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

from agent.events import FIRST, Encoder, Topics
from agent.model import ChainPosition
from agent.privacy import Mode, PrivacyRules, Redaction, hpke
from agent.privacy.rules import SealingKey

TEXT = (Path(__file__).parents[3] / "docs" / "privacy.md").read_text()
TOPICS = Topics("图书馆", "gate-3")


def test_the_server_s_program_opens_an_event(passage_event):
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = {}
    exec(program, names)  # noqa: S102 - our own document
    private = hpke.new_private_key()
    rules = PrivacyRules(Mode.TRACE, keys=(SealingKey("w47", hpke.public_bytes(private), 0.0, 4e9),))
    event = passage_event(812)
    event = replace(event, body=replace(event.body, lane="入口", payloads=(b"GP1:ANNA",)))
    sealed = Redaction(TOPICS.source, lambda _: rules)(event)
    message = json.loads(Encoder(TOPICS)(sealed, ChainPosition("9f86d081", 1, FIRST)).payload)
    found = names["open_sealed"](message, hpke.to_pem(private))
    assert [b64decode(code) for code in found["payloads"]] == [b"GP1:ANNA"]
    assert found["credential"]["colour"] == "green"
    assert found["temperature"]["surface_c"] == 35.812
    assert found["reasons"] == ["code_green", "temperature_normal"]


def test_every_field_of_a_passage_has_a_row():
    schema = json.loads((Path(__file__).parents[3] / "docs" / "contract" / "passage.v1.json").read_text())["$defs"]
    rows = TEXT.partition("## Field by field")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_.]+)`", rows)) | {"sealed"}
    assert set(schema["PassageJson"]["properties"]) <= named | {"temperature"}
    temperature = {name.removeprefix("temperature.") for name in named}
    assert set(schema["TemperatureJson"]["properties"]) <= temperature
