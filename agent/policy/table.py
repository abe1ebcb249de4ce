"""First-match tables: read, prove, decide.

Every row is one bit. For each fact a mask says which rows that value satisfies; the AND of the masks holds the rows
that match, and the lowest bit is the row that decides. The same masks prove the table: walking the facts one by
one and keeping only *different* masks gives every situation the table can tell apart, so completeness, dead rows
and invariants are checked for all combinations in milliseconds. Invariants are further bits above the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from agent.model import Decision, InForce, Outcome
from agent.model.lazy import dataclass
from agent.policy.facts import (
    DIMENSIONS,
    REFINES,
    TICKET_FACTS,
    TICKET_KINDS,
    CodeFact,
    Facts,
    ListAgeFact,
)
from agent.texts import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_ROWS = 200
MAX_SITUATIONS = 200_000


class BadTable(ValueError):
    """A table that may not be used; `problems` has every fault found, each one sentence."""

    def __init__(self, name: str, problems: Iterable[str]) -> None:
        """`name`: of the table or its file."""
        self.name = name
        self.problems = tuple(problems)
        super().__init__(f"policy table {name}: " + "; ".join(self.problems))


@dataclass(frozen=True, slots=True)
class Row:
    """One rule. A fact that `when` does not name may have any value."""

    name: str
    when: Mapping[str, frozenset[str]]
    decision: Decision


@dataclass(frozen=True, slots=True)
class Invariant:
    """Outcomes that must not occur in any situation that `when` describes."""

    name: str
    when: Mapping[str, frozenset[str]]
    forbidden: frozenset[Outcome]


@dataclass(frozen=True, slots=True)
class TableTest:
    """A situation and what must come of it, written beside the rows."""

    name: str
    facts: Facts
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was proved."""

    name: str
    version: int
    title: Mapping[str, str]
    """By language: `en`, `zh`."""
    rows: tuple[Row, ...]
    invariants: tuple[Invariant, ...]
    tests: tuple[TableTest, ...]
    situations: int
    """How many situations the rows tell apart: the proof went through each."""
    takes_tickets: bool
    """Whether a row asks for a fact about tickets or identities, or for their kind."""
    masks: tuple[Mapping[str, int], ...] = field(repr=False)
    """For each fact, in the order of `Facts`: value → the rows (bits) that it satisfies."""
    in_force: InForce | None = field(default=None, compare=False)
    fault: str = field(default="", compare=False)
    """Why it counts no more, and everybody at an entry goes to staff; its other rows still decide."""
    """Where it is from, and which version."""


_OPENING = frozenset({Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE})
_UNPROVED = frozenset(DIMENSIONS["code"]) - {"green", "yellow", "certificate", "vouched", "unasked"}
_UNMEASURED = frozenset(DIMENSIONS["temperature"]) - {"normal", "unasked"}
_VOUCHED, _UNASKED = frozenset({"vouched"}), frozenset({"unasked"})
_WATCHED = frozenset(DIMENSIONS["watch"]) - {"clear"}


def _entry(**facts: frozenset[str]) -> dict[str, frozenset[str]]:
    return {"direction": frozenset({"entry", "check"}), **facts}


ALWAYS = (
    Invariant("nobody is kept in", {"direction": frozenset({"exit"})}, frozenset(Outcome) - _OPENING),
    Invariant("no entry without a valid code", _entry(code=_UNPROVED), _OPENING),
    Invariant("no entry without a normal temperature", _entry(temperature=_UNMEASURED), _OPENING),
    Invariant("no entry with a positive test", _entry(test=frozenset({"positive"})), _OPENING),
    Invariant("no entry on lists that are too old", _entry(list_age=frozenset({"expired"})), _OPENING),
    Invariant("no silent entry for the watched", _entry(watch=_WATCHED), frozenset({Outcome.ADMIT})),
    Invariant("no entry where neither is asked for", _entry(code=_UNASKED, temperature=_UNASKED), _OPENING),
    Invariant("no silent entry without a code", _entry(code=_UNASKED), frozenset({Outcome.ADMIT})),
    Invariant(
        "no entry for the vouched who are not measured", _entry(code=_VOUCHED, temperature=_UNASKED), _OPENING
    ),
    Invariant("no silent entry for the vouched", _entry(code=_VOUCHED), frozenset({Outcome.ADMIT})),
    Invariant("no entry for the vouched who are watched", _entry(code=_VOUCHED, watch=_WATCHED), _OPENING),
)
"""Hold for every table, whatever key signed it."""


_GOOD = (CodeFact.GREEN, CodeFact.YELLOW, CodeFact.CERTIFICATE)
_NOT = frozenset({"no"})
TICKETS = (
    Invariant("no entry with a ticket for elsewhere", _entry(ticket_here=_NOT), _OPENING),
    Invariant("no entry with a ticket for another time", _entry(ticket_now=_NOT), _OPENING),
    Invariant("no entry with a ticket for another service", _entry(ticket_service=_NOT), _OPENING),
    Invariant("no entry with a used ticket", _entry(already_used=frozenset({"yes"})), _OPENING),
    Invariant("no entry on what nothing proves", _entry(proof=frozenset({"none"})), _OPENING),
    *(
        Invariant(
            f"no silent entry with a ticket whose {fact} is unknown",
            _entry(kind=frozenset({"ticket"}), **{fact: frozenset({"unknown"})}),
            frozenset({Outcome.ADMIT}),
        )
        for fact in ("ticket_here", "ticket_now", "ticket_service", "already_used")
    ),
)
"""Hold for every table that speaks of tickets; to all others a ticket or an identity is undecided."""


def decide(table: Table, facts: Facts) -> Decision:
    """The result of the first row that matches."""
    return row_of(table, facts_for(table, facts)).decision


def facts_for(table: Table, facts: Facts) -> Facts:
    """The facts as this table is asked: one that does not speak of tickets has nothing to say of a good one. Its
    colour on a list is of the ticket, not of its holder's health; red stays red. A table that counts no more is as
    lists that are too old.
    """
    if table.fault:
        facts = facts._replace(list_age=ListAgeFact.EXPIRED)
    is_strange = not table.takes_tickets and facts.kind in TICKET_KINDS and facts.code in _GOOD
    return facts._replace(code=CodeFact.UNDECIDED) if is_strange else facts


def permits(table: Table, facts: Facts, outcome: Outcome) -> bool:
    """Whether no invariant forbids this outcome in this situation."""
    asked = facts_for(table, facts)
    return not any(
        outcome in each.forbidden and all(getattr(asked, name) in values for name, values in each.when.items())
        for each in table.invariants
    )


def row_of(table: Table, facts: Facts) -> Row:
    """The first row that matches; there is one, or the table would not have loaded."""
    mask = -1
    for values, value in zip(table.masks, facts, strict=True):
        mask &= values[value]
    return table.rows[(mask & -mask).bit_length() - 1]


def read(document: Mapping[str, Any], name: str = "") -> Table:
    """Prove a table that was read from TOML. Raises BadTable with every fault."""
    reader = _TableReader(document)
    head = reader.head()
    rows, invariants, tests = reader.rows(), reader.invariants(), reader.tests()
    if reader.problems:
        raise BadTable(head.get("name") or name, reader.problems)
    takes_tickets = any(
        not TICKET_FACTS.isdisjoint(row.when) or not TICKET_KINDS.isdisjoint(row.when.get("kind", ()))
        for row in rows
        if set(row.when.get("code", DIMENSIONS["code"])) != {CodeFact.UNDECIDED}  # says nothing of good tickets
    )
    table = Table(
        name=head["name"],
        version=head["version"],
        title=head["title"],
        rows=rows,
        invariants=ALWAYS + (TICKETS if takes_tickets else ()) + invariants,
        tests=tests,
        situations=0,
        takes_tickets=takes_tickets,
        masks=tuple(_masks(rows)),
    )
    situations, problems = _prove(table)
    problems += [
        f"test {test.name!r} gives {decide(table, test.facts).outcome}, not {test.outcome}"
        for test in tests
        if not problems and decide(table, test.facts).outcome is not test.outcome
    ]
    if problems:
        raise BadTable(table.name, problems)
    return replace(table, situations=situations)


def _masks(rules: Iterable[Row | Invariant]) -> Iterator[dict[str, int]]:
    """For each fact, in order: value → bits of the rules that it satisfies."""
    rules = tuple(rules)
    for name, values in DIMENSIONS.items():
        asking = [(1 << bit, rule.when[name]) for bit, rule in enumerate(rules) if name in rule.when]
        others = (1 << len(rules)) - 1 - sum(bit for bit, _ in asking)
        yield {value: others + sum(bit for bit, wanted in asking if value in wanted) for value in values}


def _prove(table: Table) -> tuple[int, list[str]]:
    """All situations that rows and invariants can tell apart: is each decided, well, and by a row that lives?"""
    situations = _situations(table.rows, table.invariants)
    if situations is None:
        return 0, [f"tells more than {MAX_SITUATIONS} situations apart: make it coarser"]
    rows_only = (1 << len(table.rows)) - 1
    alive = 0
    undecided: list[tuple[str, ...]] = []
    broken: dict[tuple[str, str], tuple[str, ...]] = {}
    for mask, example in situations.items():
        first = mask & rows_only & -(mask & rows_only)
        alive |= first
        if not first:
            undecided.append(example)
            continue
        outcome = table.rows[first.bit_length() - 1].decision.outcome
        for bit, invariant in enumerate(table.invariants, len(table.rows)):
            if mask >> bit & 1 and outcome in invariant.forbidden:
                broken.setdefault((invariant.name, table.rows[first.bit_length() - 1].name), example)
    problems = [f"no row decides {_words(example)}" for example in undecided[:3]]
    problems += [f"row {row.name!r} can never be reached" for n, row in enumerate(table.rows) if not alive >> n & 1]
    problems += [
        f"row {row!r} breaks {name!r}, for example with {_words(example)}"
        for (name, row), example in broken.items()
    ]
    return len(situations), problems


def _situations(rows: tuple[Row, ...], invariants: tuple[Invariant, ...]) -> dict[int, tuple[str, ...]] | None:
    """Mask of matching rules → one example of facts; None if there are too many.

    A row that asks for nothing further and has none before it will decide, whatever the facts still to come: the
    rows after it, and the invariants that its outcome cannot break, are dropped from the mask, so that such
    situations do not multiply.
    """
    all_rows, open_facts = (1 << len(rows)) - 1, set(DIMENSIONS)
    matters = {
        1 << bit: 1 << bit
        | sum(1 << at for at, each in enumerate(invariants, len(rows)) if row.decision.outcome in each.forbidden)
        for bit, row in enumerate(rows)
    }
    asks = {name: next((at for at, row in enumerate(rows) if name in row.when), len(rows)) for name in DIMENSIONS}
    order = sorted(DIMENSIONS, key=lambda name: asks[name])  # what the first rows ask for settles most
    masks = dict(zip(DIMENSIONS, _masks((*rows, *invariants)), strict=True))
    situations: dict[int, tuple[str, ...]] = {-1: ()}
    for name in order:
        open_facts.discard(name)
        settled = sum(1 << bit for bit, row in enumerate(rows) if not row.when.keys() & open_facts)
        classes = {mask: value for value, mask in reversed(masks[name].items())}
        grown: dict[int, tuple[str, ...]] = {}
        for mask, example in situations.items():
            for narrower, value in classes.items():
                matching = mask & narrower
                first = matching & all_rows & -(matching & all_rows)
                if first & settled:
                    matching &= matters[first]
                grown.setdefault(matching, (*example, value))
        if len(grown) > MAX_SITUATIONS:
            return None
        situations = grown
    places = [order.index(name) for name in DIMENSIONS]
    return {mask: tuple(example[place] for place in places) for mask, example in situations.items()}


def _words(example: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(DIMENSIONS, example, strict=True))


class _TableReader:
    """Reads a document and collects every fault instead of stopping at the first."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._named = _named_values(document)
        self.problems: list[str] = []
        self._expect(document, {"table", "row", "invariant", "test"}, "table file")

    def head(self) -> dict[str, Any]:
        head = self._document.get("table")
        if not isinstance(head, dict):
            self.problems.append("[table] is missing")
            return {}
        self._expect(head, {"name", "version", "title"}, "[table]")
        if not isinstance(head.get("name"), str) or not head["name"] or not head["name"].isprintable():
            head["name"] = ""
            self.problems.append("[table] needs a name in print")
        if type(head.get("version")) is not int or head["version"] < 1:
            self.problems.append("[table] needs a version, 1 or more")
        title = head.setdefault("title", {})
        if not isinstance(title, dict) or not all(
            isinstance(text, str) and text.isprintable() for text in title.values()
        ):
            self.problems.append("[table.title] has a text of one line per language")
        return head

    def rows(self) -> tuple[Row, ...]:
        entries = self._entries("row")
        if not 0 < len(entries) <= MAX_ROWS:
            self.problems.append(f"needs 1 to {MAX_ROWS} rows")
        rows = []
        for where, entry in entries:
            self._expect(entry, {"name", "when", "outcome", "reasons", "actions"}, where)
            reasons, actions = self._codes(entry, "reasons", where), self._codes(entry, "actions", where)
            outcome = self._outcome(entry.get("outcome"), where)
            name = str(entry.get("name", where))
            if not reasons:
                self.problems.append(f"{where}: needs at least one reason")
            rows.append(Row(name, self._when(entry, where), Decision(outcome, reasons, name, actions)))
        return tuple(rows)

    def invariants(self) -> tuple[Invariant, ...]:
        invariants = []
        for where, entry in self._entries("invariant"):
            self._expect(entry, {"name", "when", "outcomes"}, where)
            outcomes = entry.get("outcomes")
            if not isinstance(outcomes, list) or not outcomes:
                self.problems.append(f"{where}: outcomes is a list")
                outcomes = []
            forbidden = frozenset(self._outcome(outcome, where) for outcome in outcomes)
            invariants.append(Invariant(str(entry.get("name", where)), self._when(entry, where), forbidden))
        return tuple(invariants)

    def tests(self) -> tuple[TableTest, ...]:
        tests = []
        for where, entry in self._entries("test"):
            self._expect(entry, {"name", "facts", "outcome"}, where)
            when = self._when(entry, where, key="facts")
            outcome = self._outcome(entry.get("outcome"), where)
            if any(len(values) != 1 for values in when.values()):
                self.problems.append(f"{where}: each fact has one value")
                continue
            missing = {"direction", "code", "temperature"} - set(when)
            if missing:
                self.problems.append(f"{where}: facts needs {', '.join(sorted(missing))}")
                continue
            tests.append(TableTest(str(entry.get("name", where)), facts_from(when), outcome))
        return tuple(tests)

    def _entries(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        entries = self._document.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self.problems.append(f"[[{key}]] is a list of tables")
            return []
        return [(f"{key} {entry.get('name', number)!r}", entry) for number, entry in enumerate(entries, 1)]

    def _when(self, entry: Mapping[str, Any], where: str, key: str = "when") -> dict[str, frozenset[str]]:
        conditions = entry.get(key, {})
        if not isinstance(conditions, dict):
            self.problems.append(f"{where}: {key} is a table")
            return {}
        self._expect(conditions, set(DIMENSIONS), f"{where}: {key}")
        when = {}
        for name in DIMENSIONS.keys() & conditions.keys():
            values = conditions[name] if isinstance(conditions[name], list) else [conditions[name]]
            known = set(DIMENSIONS[name])
            unknown = [value for value in values if not isinstance(value, str) or value not in known]
            if unknown or not values:
                self.problems.append(f"{where}: {name} is one of {', '.join(sorted(known))}")
            when[name] = self._refined(name, {value for value in values if value not in unknown}, key)
        return when

    def _refined(self, name: str, values: set[str], key: str) -> frozenset[str]:
        """The values, with those that refine one of them and that no row of this table names."""
        if key == "facts":  # of a test: one value, as it is
            return frozenset(values)
        finer = {
            value
            for value, coarser in REFINES.get(name, {}).items()
            if coarser in values and value not in self._named.get(name, ())
        }
        return frozenset(values | finer)

    def _codes(self, entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        codes = entry.get(key, [])
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            self.problems.append(f"{where}: {key} is a list of texts")
            return ()
        self.problems += [
            f"{where}: {key}: unknown code {code!r}" for code in codes if code not in CATALOGUE["reason"]
        ]
        return tuple(codes)

    def _outcome(self, value: object, where: str) -> Outcome:
        if isinstance(value, str) and value in set(Outcome):
            return Outcome(value)
        self.problems.append(f"{where}: an outcome is one of {', '.join(Outcome)}")
        return Outcome.REFER

    def _expect(self, entry: Mapping[str, Any], known: set[str], where: str) -> None:
        self.problems += [f"{where}: unknown key {key!r}" for key in entry if key not in known]


def _named_values(document: Mapping[str, Any]) -> dict[str, set[str]]:
    """Fact → the values that a table's rows name. What an invariant alone names stays a special case."""
    named: dict[str, set[str]] = {}
    entries = document.get("row")
    for entry in entries if isinstance(entries, list) else ():
        when = entry.get("when") if isinstance(entry, dict) else None
        for name, values in when.items() if isinstance(when, dict) else ():
            listed = values if isinstance(values, list) else [values]
            named.setdefault(name, set()).update(value for value in listed if isinstance(value, str))
    return named


def facts_from(values: Mapping[str, Iterable[str]]) -> Facts:
    """Facts from one value per name; facts that are not named keep their default."""
    named: dict[str, Any] = {name: DIMENSIONS[name](next(iter(value))) for name, value in values.items()}
    return Facts(**named)
