"""Classes whose methods are made later are those of the standard library in all that can be asked of them."""

import copy
import dataclasses
import importlib.util
import inspect
import pickle
import subprocess
import sys
import threading
import typing

import pytest

from agent.model import lazy


def make(dataclass):
    @dataclass(frozen=True, slots=True)
    class Point:
        """A point."""

        x: float
        y: float = 1.0
        names: tuple[str, ...] = ()
        tags: dict[str, int] = dataclasses.field(default_factory=dict, compare=False)
        secret: str = dataclasses.field(default="s", repr=False)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("x is 0 or more")

        @property
        def sum(self) -> float:
            return self.x + self.y

    return Point


@pytest.fixture
def both():
    """The class by the standard library, and by ours, of which nothing was called yet."""
    return make(dataclasses.dataclass), make(lazy.dataclass)


@pytest.mark.parametrize(
    "ask",
    [
        lambda cls: repr(cls(1, names=("a",))),
        lambda cls: (cls(1) == cls(1), cls(1) == cls(2), cls(1) == 1, cls(1, tags={"a": 1}) == cls(1)),
        lambda cls: hash(cls(1)),
        lambda cls: {cls(1): "found"}[cls(1.0)],
        lambda cls: dataclasses.asdict(cls(1)),
        lambda cls: dataclasses.replace(cls(1), y=5).sum,
        lambda cls: [(each.name, each.type, each.default) for each in dataclasses.fields(cls)],
        lambda cls: (cls.__doc__, cls.__name__, cls.__qualname__, cls.__slots__, cls.__match_args__),
        lambda cls: copy.deepcopy(cls(1, tags={"a": 2})).tags,
        dataclasses.is_dataclass,
        lambda cls: hasattr(cls(1), "__dict__"),
        lambda cls: cls.__dataclass_params__.frozen,
        lambda cls: (cls(1), list(inspect.signature(cls.__init__).parameters))[1],
        lambda cls: (cls(1, 2), typing.get_type_hints(cls.__init__))[1],
    ],
)
def test_each_first_question_is_answered_as_by_the_standard_library(both, ask):
    theirs, ours = map(ask, both)
    assert ours == theirs


@pytest.mark.parametrize(
    "wrong",
    [
        lambda cls: cls(),
        lambda cls: cls(1, 2, 3, 4, 5, 6),
        lambda cls: cls(1, z=2),
        lambda cls: cls(-1),
        lambda cls: setattr(cls(1), "x", 2),
        lambda cls: delattr(cls(1), "x"),
        lambda cls: dataclasses.replace(cls(1), x=-1),
        lambda cls: dataclasses.replace(cls(1), z=1),
    ],
)
def test_mistakes_are_refused_in_the_same_words(both, wrong):
    errors = []
    for cls in both:
        with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
            wrong(cls)
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


@lazy.dataclass(frozen=True, slots=True)
class Travels:
    """What is sent."""

    where: str


def test_an_instance_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(Travels("there"))) == Travels("there")  # noqa: S301 - our own


def test_a_method_of_ones_own_is_left():
    @lazy.dataclass(frozen=True, slots=True)
    class Own:
        """Speaks for itself."""

        x: int

        def __repr__(self) -> str:
            return "own"

    assert repr(Own(1)) == "own"
    assert Own(1) == Own(1)


def test_subclasses_of_both_kinds_work():
    base = make(lazy.dataclass)

    @dataclasses.dataclass(frozen=True, slots=True)
    class Theirs(base):
        z: int = 3

    @lazy.dataclass(frozen=True, slots=True)
    class Ours(base):
        z: int = 3

    assert Theirs(1).z == Ours(1).z == 3
    assert repr(Ours(1)).endswith("y=1.0, names=(), tags={}, z=3)")


def test_what_is_not_given_and_what_is_given_by_name_only_is_taken_as_by_the_standard_library():
    def make(dataclass):
        @dataclass(frozen=True, slots=True)
        class Odd:
            """Of odd fields."""

            x: int = dataclasses.field(kw_only=True)
            y: int = dataclasses.field(init=False, default=2)

        return Odd

    theirs, ours = make(dataclasses.dataclass), make(lazy.dataclass)
    assert repr(theirs(x=1)) == repr(ours(x=1))
    with pytest.raises(TypeError):
        ours(1)


def test_other_kinds_are_made_at_once():
    @lazy.dataclass(slots=True)
    class Changes:
        """Not frozen."""

        x: int

    changes = Changes(1)
    changes.x = 2
    assert changes == Changes(2)


def test_threads_that_ask_first_at_the_same_time_all_get_an_answer():
    classes, found = [make(lazy.dataclass) for _ in range(50)], []
    gate = threading.Barrier(4)

    def ask():
        gate.wait()
        found.append([cls(1).x for cls in classes])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[1] * 50] * 4


def test_make_some_leaves_nothing_to_the_first_call():
    cls = make(lazy.dataclass)
    while lazy.make_some(100):
        pass
    assert cls.__init__.__code__.co_varnames[:2] == ("self", "x")


def test_a_start_makes_the_methods_of_few_classes():
    asked = "import agent.app; from agent.model import lazy; print(len(lazy._unmade))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a module `late` that counts how often it is loaded."""
    (tmp_path / "late_package").mkdir()
    (tmp_path / "late_package" / "__init__.py").write_text("loads = []")
    (tmp_path / "late_package" / "late.py").write_text("from late_package import loads\nloads.append(1)\nx = 7")
    monkeypatch.syspath_prepend(tmp_path)
    lazy.module_later("late_package", "late")
    yield sys.modules["late_package"]
    for name in ("late_package", "late_package.late"):
        del sys.modules[name]


def test_a_module_is_loaded_when_one_of_its_names_is_used(package):
    late = importlib.import_module("late_package.late")
    assert package.loads == []
    assert late.x == 7
    assert (package.late.x, importlib.import_module("late_package.late").x, package.loads) == (7, 7, [1])
    with pytest.raises(AttributeError):
        _ = late.y


def test_threads_that_use_a_module_first_at_the_same_time_load_it_once(package):
    stand_in, gate, found = package.late, threading.Barrier(8), []

    def use():
        gate.wait()
        found.append(stand_in.x)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, package.loads) == ([7] * 8, [1])


def test_a_module_that_is_loaded_stays_as_it_is():
    lazy.module_later("importlib", "util")
    assert sys.modules["importlib.util"] is importlib.util
