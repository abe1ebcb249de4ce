"""A rejected bundle says on which line its content is wrong."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.credentials.bundle import BadBundle
from agent.ruleset.bundle_store import examine
from agent.ruleset.located import with_lines

TABLE = """\
[table]
name = "a"
version = 1

[[row]]
name = "in"
when = {}
outcome = "admit"
reasons = ["code_green"]

[[row]]
name = "out"
when = {}
outcome = "dance"
reasons = ["code_green"]
"""
CONTENTS = [
    ("keys", '# two\n\n[[key]]\nissuer = "x"\npublic = "AA"\n', "key 1 (line 3): public"),
    ("policy", TABLE, "row 'out' (line 11): an outcome is one of"),
    ("zones", '[[zone]]\nregion = "5323"\nlevel = "low"\n[[zone]]\nlevel = 1\n', "zone 2 (line 4) needs region"),
    ("keys", "a = \n", "line 1"),
]


@pytest.mark.parametrize(("kind", "content", "says"), CONTENTS)
def test_a_rejected_bundle_names_the_line(kind: str, content: str, says: str) -> None:
    with pytest.raises(BadBundle) as caught:
        examine(SimpleNamespace(type=kind, content=content, name="t", version=1))  # type: ignore[arg-type]
    assert says in str(caught.value)


@given(st.text(st.sampled_from("[]row name=\"'1:\n")), st.text(st.sampled_from("row 1':2\n needs")))
def test_whatever_the_text_is_nothing_but_lines_is_added(text: str, sentence: str) -> None:
    added = with_lines(text, sentence)
    assert len(added) >= len(sentence)
    assert with_lines("", sentence) == sentence
