"""The shape of the tree, held as data: floors, purity, libraries; and what is written about it is so."""

from __future__ import annotations

import ast
import builtins
import contextlib
import os
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from agent import cli
from agent.commands import COMMANDS
from drivers import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"

TOP = {
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "agent", "config", "docs", "drivers",
    "pyproject.toml", "requirements-build.lock", "requirements-dev.lock", "requirements.lock", "systemd",
    "tests",
}  # fmt: skip

# Floors of the house, the highest first: an import goes to a lower floor, never up or sideways.
AGENT_FLOORS: tuple[set[str], ...] = (
    {"cli"},
    {"app"},
    {"enrolment", "supervisor"},
    {"config", "control", "loop"},
    {"checkpoint", "issuers", "mqtt", "ruleset", "web"},
    {"analysis", "credentials", "devices", "log", "outbox", "privacy", "tickets", "upgrade"},
    {"commands", "crypto", "events", "indicators", "platform", "policy", "screening", "venue"},
    {"model", "texts"},
)
DRIVERS_FLOORS: tuple[set[str], ...] = (
    {"discovery"},
    {"simulators", "scanners", "thermometers", "ranging", "outputs", "inputs", "positioning"},
    {"card_reader", "expander", "polled_i2c", "recording", "scan_engine", "serial_thermometer"},
    {"relay_board"},
    {"wire"},
    {"vision"},
    {"plausibility"},
    {"bounds", "contract", "registry"},
)
MOST_ARROWS = 163
"""Pairs of rooms of which one imports the other; `drivers` is one room here. What is handed in at the
root, and a value in `agent/model/`, need none.
"""
DOORS = {"bounds", "contract", "registry"}  # what agent sees of drivers; cli may use the tools as well

PURE = {
    "analysis", "checkpoint", "config/compose.py", "config/fleet.py", "config/overlay.py", "config/toml_text.py",
    "config/typed.py", "credentials", "crypto", "events", "indicators.py", "issuers", "model", "outbox/receipt.py",
    "platform/histogram.py", "platform/rate_limit.py", "policy", "privacy", "screening", "supervisor/crash_loop.py",
    "supervisor/health.py", "supervisor/rollout_state.py", "texts", "tickets/exchange.py",
    "upgrade/release.py", "upgrade/waves.py", "venue", "web/baked.py", "web/shown_picture.py",
    "web/options.py", "web/overview.py", "web/pictures.py",
}  # fmt: skip
IMPURE = {
    "asyncio", "concurrent", "logging", "multiprocessing", "os", "queue", "secrets", "select", "signal",
    "socket", "sqlite3", "subprocess", "tempfile", "threading", "time",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "now", "utcnow", "today", "read_text", "read_bytes", "write_text", "write_bytes"}

# Where a third-party library is met.
EVERYWHERE = {"numpy"}
MET_IN = {
    "cbor2": {"agent/crypto/cbor.py"},
    "cryptography": {
        "agent/enrolment/certificates.py",
        "agent/mqtt/client_certificate.py",
        "agent/crypto/signing.py",
        "agent/privacy/hpke.py",
    },
    "cv2": {"drivers/vision/neural_reader.py", "drivers/vision/opencv.py", "drivers/wire/v4l2.py"},
    "gi": {"drivers/simulators/i2c_testbed.py", "agent/web/webkit_window.py"},  # run by the system's Python
    "gpiod": {"drivers/wire/gpio.py"},
    "nacl": {"agent/crypto/ed25519.py"},
    "paho": {"agent/mqtt/client.py"},
    "pydantic": {"agent/events/schemas.py"},
    "picamera2": {"drivers/wire/picamera.py"},
    "pyzbar": {"drivers/vision/zbar.py"},
    "regex": {"agent/model/patterns.py"},
    "rich": {"agent/cli/watch.py", "agent/cli/demo/view.py"},
    "segno": {
        "agent/web/pictures.py",
        "agent/cli/authority.py",
        "agent/cli/issue.py",
        "drivers/simulators/qr.py",
    },  # neither may import the other
    "serial": {"drivers/wire/uart.py"},
    "starlette": {"agent/web/guard.py", "agent/web/site.py", "agent/web/server.py"},
    "smbus2": {"drivers/wire/i2c.py"},
    "typing_extensions": {"agent/events/schemas.py"},
    "uvicorn": {"agent/web/server.py"},
    "zxingcpp": {"drivers/vision/zxing.py"},
}


class Import(NamedTuple):
    """One name that one file imports; `name` is dotted in full."""

    file: str
    name: str


@cache
def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached"],  # what lies beside, a note or a log, is nobody's business
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("this copy of the tree is not a git checkout: there is no list of its files")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def modules() -> Iterator[str]:
    for package in ("agent", "drivers"):
        yield from sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py"))


@cache
def all_nodes(file: str) -> tuple[ast.AST, ...]:
    """Of one file's syntax tree."""
    return tuple(ast.walk(ast.parse((ROOT / file).read_text())))


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Of every file's syntax tree, all that holds statements, each statement and each call."""
    kinds = ast.Module | ast.stmt | ast.excepthandler | ast.match_case | ast.Call
    return [(file, node) for file in modules() for node in all_nodes(file) if isinstance(node, kinds)]


@cache
def imports() -> list[Import]:
    found = []
    for file, node in nodes():
        if isinstance(node, ast.Import):
            found += [Import(file, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found += [Import(file, f"{node.module}.{alias.name}") for alias in node.names]
    return found


@cache
def module_of(name: str) -> str | None:
    """The file of the longest part of a dotted name that is a module of ours."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        stem = "/".join(parts[:length])
        for file in (f"{stem}.py", f"{stem}/__init__.py"):
            if (ROOT / file).is_file():
                return file
    return None


def room(file: str) -> tuple[str, str]:
    """(package, room) of a file; the package's own `__init__` is the room ``."""
    package, _, rest = file.partition("/")
    name = rest.split("/")[0].removesuffix(".py")
    return package, "" if name == "__init__" else name


def floor(package: str, name: str) -> int:
    floors = AGENT_FLOORS if package == "agent" else DRIVERS_FLOORS
    return next((level for level, rooms in enumerate(floors) if name in rooms), -1)


def test_every_room_has_a_floor() -> None:
    homeless = {room(file) for file in modules()} - {("agent", ""), ("drivers", "")}
    assert not {place for place in homeless if floor(*place) < 0}


def test_imports_only_go_down() -> None:
    wrong = []
    for file, name in imports():
        target = module_of(name)
        if target is None or room(target) == room(file) or room(target)[1] == "":
            continue
        (package, here), (other, there) = room(file), room(target)
        if package == other:
            down = floor(package, here) < floor(other, there)
        else:
            down = package == "agent" and (there in DOORS or here == "cli")
        if not down:
            wrong.append(f"{file} imports {name}")
    assert not wrong


def test_few_rooms_import_one_another() -> None:
    arrows = set()
    for file, name in imports():
        target = module_of(name)
        if target is not None and file.startswith("agent/"):
            here, there = room(file)[1], room(target)[1] if target.startswith("agent/") else "drivers"
            if here and there and here != there:
                arrows.add((here, there))
    assert len(arrows) <= MOST_ARROWS, f"{len(arrows)} arrows"


def test_no_circles() -> None:
    graph: dict[str, set[str]] = {}
    for file, name in imports():
        target = module_of(name)
        if target and target != file and not target.endswith("__init__.py"):
            graph.setdefault(file, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" → ".join(circle.args[1]))


def test_devices_do_not_import_one_another() -> None:
    wrong = []
    for kind in registry.KINDS:
        files = {f"drivers/{kind}/{name}.py" for name in registry.names(kind)}
        wrong += [
            f"{file} imports {name}"
            for file, name in imports()
            if file in files and module_of(name) in files - {file}
        ]
    assert not wrong


def is_pure(file: str) -> bool:
    package, _, place = file.partition("/")
    return package == "agent" and (place in PURE or place.split("/")[0] in PURE)


def test_pure_rooms_touch_nothing() -> None:
    wrong = [f"{file} imports {name}" for file, name in imports() if is_pure(file) and name.split(".")[0] in IMPURE]
    for file, node in nodes():
        if is_pure(file) and isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in IMPURE_CALLS or re.match(r"random\.(?!Random\b)", ast.unparse(node.func)):
                wrong.append(f"{file}:{node.lineno} calls {called}()")
    assert not wrong


def test_each_library_is_met_in_one_place() -> None:
    wrong = []
    for file, name in imports():
        library = name.split(".")[0]
        if library in sys.stdlib_module_names | EVERYWHERE | {"agent", "drivers"}:
            continue
        if file not in MET_IN.get(library, set()):
            wrong.append(f"{file} imports {library}")
    assert not wrong


def test_top_of_the_tree() -> None:
    assert {name.split("/")[0] for name in tracked()} == TOP


OURS_ALONE = re.compile(
    r"/(?:work|root|home/\w+|tmp/brief)/"  # paths of some machine
    r"|\b(?:deb\.debian|pypi|pythonhosted|npmjs|googleapis)\.(?:org|com)\b"  # package hosts: the client knows
)
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|TBD|lorem ipsum)\b", re.IGNORECASE)


def lines_with(pattern: re.Pattern[str]) -> Iterator[str]:
    """Of all texts of the tree, with file and number."""
    for name in tracked():
        if name in {"LICENSE", "tests/test_tree.py"}:
            continue
        with contextlib.suppress(UnicodeDecodeError):
            lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
            yield from (f"{name}:{at}: {line.strip()}" for at, line in enumerate(lines, 1) if pattern.search(line))


PRIVATE_WORDS = re.compile(
    r"\b(?:"
    r"(?<!forehead )centre\b(?! of)"  # the central server
    r"|an order\b|orders\b"  # a command; `order` is a sequence here
    r"|whoever\b"  # the person who, anyone who, the caller
    r"|wish(?:es|ed)?\b"  # a command, a request
    r"|anew\b|afresh\b|of late\b"  # again, recently
    r"|rulebook\b"  # the rule set
    r"|defects?\b"  # an internal error
    r"|deeds?\b"  # a staff action
    r"|the crowd\b"  # the baseline
    r"|(?:on|to|from) the glass\b"  # the screen
    r")",
    re.IGNORECASE,
)
"""Words that this project once used in a sense of its own, and the standard word beside each."""


@pytest.mark.parametrize("pattern", [OURS_ALONE, UNFINISHED], ids=["machine", "unfinished"])
def test_nothing_in_the_tree_is(pattern: re.Pattern[str]) -> None:
    assert not list(lines_with(pattern))


def test_the_standard_word_is_used() -> None:
    """The vision code has centres of modules, in the sense of geometry."""
    assert not [line for line in lines_with(PRIVATE_WORDS) if not line.startswith("drivers/vision/")]


def test_every_function_does_something() -> None:
    """A body of `pass` or `...` alone says why in a docstring, if nothing is meant to happen. Not for protocols."""
    stubs = []
    for file, owner in nodes():
        if isinstance(owner, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in owner.bases):
            continue
        stubs += [
            f"{file}:{node.lineno} {node.name}"
            for node in ast.iter_child_nodes(owner)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is None
            and ast.unparse(node.body[0]) in {"pass", "..."}
        ]
    assert not stubs


def test_what_another_program_prints_may_be_no_text() -> None:
    """Names of devices, files and packages are any bytes: to decode them must not raise."""
    strict = [
        f"{file}:{call.lineno}"
        for file, call in nodes()
        if isinstance(call, ast.Call)
        and {"text", "encoding", "universal_newlines"} & {each.arg for each in call.keywords}
        and ast.unparse(call.func).startswith("subprocess.")
        and "errors" not in {each.arg for each in call.keywords}
    ]
    assert not strict


EVERYDAY = re.compile(
    r"_*(?:tell|told|say|said|hear|heard|take|taken|look|keep|kept|put|ask|asked|judge|judged)(?:_|$)"
)


def test_functions_are_named_by_what_they_do() -> None:
    """An everyday verb, in unrelated classes, cannot be searched: `claim_batch`, not `take`."""
    assert not [
        f"{file}:{node.lineno} {node.name}"
        for file, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and EVERYDAY.match(node.name)
    ]


EACH_HAS_ONE = {"Driver", "Options"}
"""Every driver has both; a part's settings are its Options."""


def test_a_class_name_means_one_thing() -> None:
    """A stranger searches for a name: it leads to one class, except where the name says what role it plays."""
    places: dict[str, list[str]] = {}
    for file, node in nodes():
        if isinstance(node, ast.ClassDef):
            places.setdefault(node.name.lstrip("_"), []).append(file)
    assert not {name: found for name, found in places.items() if len(found) > 1 and name not in EACH_HAS_ONE}


def test_what_measurements_take_from_tests_is_there() -> None:
    """They run now and then only: a name that has moved meanwhile would end them."""
    taken = [
        (ROOT.joinpath(*node.module.split(".")).with_suffix(".py"), each.name)
        for file in sorted((ROOT / "tests" / "bench").glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tests.")
        for each in node.names
    ]
    assert taken
    assert not [(str(file), name) for file, name in taken if name not in _defined(file)]


def _defined(file: Path) -> set[str]:
    """Names that a module has: defined there, or imported."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                found |= {each.asname or each.name for each in names}
            case ast.Assign(targets=targets):
                found |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


FOREIGN = {
    "AAMVA", "BUS", "DAQ", "EVENT", "HOST", "Host", "PROOF", "SsbCommonTicketPart",
    "SsbNonReservation", "SsbReservation", "SsbStations", "StaticFrame",
    "TSUENA", "UCI", "U_FLEX", "U_HEAD", "YYYY", "acl_file", "crlfile", "cryptography", "flock", "get_throttled",
    "gpiodetect", "hcert_spec", "synchronous", "uicBarcodeHeader", "uicDynamicContentData", "uicRailTicketData",
    "use_username_as_clientid", "zbar_config_t",
}  # fmt: skip
"""Names of other people's documents, programs and formats; and the two that each driver defines."""


class Words(NamedTuple):
    """Of one file: the names that it defines or uses, its texts, and its docstrings."""

    names: set[str]
    texts: set[str]
    docstrings: list[str]


@cache
def words_of(file: str) -> Words:
    """Docstrings, also of constants and fields, without their tables and examples."""
    found = Words(set(), set(), [])
    for node in all_nodes(file):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                found.names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.names.add(name)
            case ast.Expr(value=ast.Constant(value=str(text))):
                prose = [line for line in text.splitlines() if not re.match(r"\s*\||\s{8}", line)]
                found.docstrings.append("\n".join(prose))
            case ast.Constant(value=str(text)):
                found.texts.add(text)
    return found


def test_docstrings_name_what_there_is() -> None:
    """A name between backquotes is one of this file, of one that it imports, a module beside it, or a text of the
    code: a name that was changed is changed there too. A path or a dotted name leads to a file.
    """
    everywhere = {name for file in modules() for name in (*room(file), *words_of(file).texts)}
    everywhere |= FOREIGN | set(cli.COMMANDS) | set(COMMANDS)
    imported: dict[str, set[str]] = {}
    for file, name in imports():
        if (other := module_of(name)) is not None:
            imported.setdefault(file, set()).add(other)
    wrong = []
    for file in modules():
        beside = {path.stem for path in (ROOT / file).parent.iterdir()}
        known = beside.union(words_of(file).names, *(words_of(each).names for each in imported.get(file, ())))
        for text in words_of(file).docstrings:
            named = re.findall(r"`([A-Za-z_]\w{2,})`", text)
            wrong += [f"{file}: {name}" for name in named if name not in known and name not in everywhere]
            paths = re.findall(r"`((?:agent|drivers|tests|docs|config|systemd)/[\w./-]*)`", text)
            wrong += [f"{file}: {path}" for path in paths if not (ROOT / path).exists()]
            for dotted in re.findall(r"`((?:agent|drivers)(?:\.\w+)+)`", text):
                leads_to, last = module_of(dotted), dotted.rpartition(".")[2]
                if leads_to is None or (last not in leads_to and last not in words_of(leads_to).names):
                    wrong.append(f"{file}: {dotted}")
    assert not wrong


def test_docstrings_name_errors_that_there_are() -> None:
    """After "Raises": a class of this tree, one of Python's, or a dotted name."""
    errors = {node.name for _, node in nodes() if isinstance(node, ast.ClassDef)} | set(dir(builtins))
    assert not [
        f"{file}: {name}"
        for file in modules()
        for text in words_of(file).docstrings
        for named in re.findall(r"\b[Rr]aises?((?:,? (?:or )?[A-Z]\w+)+)(?![\w.])", text)
        for name in re.findall(r"[A-Z]\w+", named)
        if name not in errors
    ]


def documents() -> list[str]:
    return [name for name in tracked() if name.endswith(".md")]


def test_links_lead_somewhere() -> None:
    links = [
        (name, target)
        for name in documents()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / name).read_text())
        if "://" not in target
    ]
    assert links
    assert not [(name, target) for name, target in links if not ((ROOT / name).parent / target).exists()]


def anchors(text: str) -> set[str]:
    """Of the headings of a page, as GitHub and GitLab make them."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


def test_links_lead_to_a_heading() -> None:
    links = [
        (name, path, anchor)
        for name in documents()
        for path, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", (ROOT / name).read_text())
        if "://" not in path
    ]
    pages = {(name, path): (ROOT / name).parent / path if path else ROOT / name for name, path, _ in links}
    assert links
    assert not [link for link in links if link[2] not in anchors(pages[link[:2]].read_text())]


def test_readme_names_files_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    paths = re.findall(r"`((?:agent|config|docs|drivers|setup|systemd|tests)/[\w./-]*)`", text)
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_documents_name_tests_that_exist() -> None:
    named = [
        (name, path.rstrip("."))
        for name in documents()
        for path in re.findall(r"\btests/[\w./-]+", (ROOT / name).read_text())
    ]
    assert named
    assert not [(name, path) for name, path in named if not (ROOT / path).exists()]


def test_documents_name_commands_that_exist() -> None:
    """As they are typed: `gatepost WORD …` in a line of its own or between backquotes."""
    typed = re.compile(r"(?:`|^    )(?:sudo (?:-u gatepost )?)?gatepost ([a-z]+)\b(?! \|)", re.MULTILINE)
    named = [(name, word) for name in documents() for word in typed.findall((ROOT / name).read_text())]
    assert named
    assert not [(name, word) for name, word in named if word not in cli.COMMANDS]


def test_readme_leads_to_every_document() -> None:
    text = (ROOT / "README.md").read_text()
    assert not [name for name in documents() if name.startswith("docs/") and f"({name})" not in text]


def test_every_command_is_there() -> None:
    assert not [name for name in cli.COMMANDS if module_of(f"agent.cli.{name}") is None]


def test_readme_names_every_command() -> None:
    rows = (ROOT / "README.md").read_text().partition("## The command")[2].partition("\n## ")[0]
    assert {words.split()[0] for words in re.findall(r"`([a-z][a-z -]*)`", rows)} - {"gatepost"} == set(
        cli.COMMANDS
    )


def test_locks_hold_hashes_only() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        lines = lock.read_text().splitlines()
        pinned = [line for line in lines if line[:1] not in {"#", " ", ""}]
        assert pinned
        assert all(re.match(r"[\w.-]+==\S+ (; .* )?\\$", line) for line in pinned), lock.name
        assert sum("--hash=sha256:" in line for line in lines) >= len(pinned)


def floors_table() -> str:
    """The table of floors, as the page has it."""
    rows = ["| floor | rooms of `agent/` (pure ones in italics) |", "|---|---|"]
    for level, rooms in enumerate(AGENT_FLOORS):
        names = [f"*{room}*" if {room, f"{room}.py"} & PURE else room for room in sorted(rooms)]
        rows.append(f"| {len(AGENT_FLOORS) - level} | {', '.join(names)} |")
    rows += ["", "| floor | rooms of `drivers/` |", "|---|---|"]
    rows += [
        f"| {len(DRIVERS_FLOORS) - level} | {', '.join(sorted(rooms))} |"
        for level, rooms in enumerate(DRIVERS_FLOORS)
    ]
    return "\n".join(rows)


def test_the_floors_of_the_architecture_page_are_current() -> None:
    """Mend with: GATEPOST_WRITE_DOCS=1 pytest tests/test_tree.py."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    head, begin, rest = text.partition("<!-- floors: made by tests/test_tree.py -->\n")
    written, end, tail = rest.partition("<!-- /floors -->")
    fresh = floors_table() + "\n"
    if os.environ.get("GATEPOST_WRITE_DOCS"):
        ARCHITECTURE.write_text(head + begin + fresh + end + tail, encoding="utf-8")
        return
    assert written == fresh


def test_the_architecture_page_names_files_that_exist() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:agent|drivers|tests|docs|config)/[\w./-]*)`", text))
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]
