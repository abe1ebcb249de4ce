"""Tests in several processes: `-n 8`. They are forked when all tests are found, which is done once.

A process gets the tests of one file after another: what a file sets up for all its tests is set up once. Half of
the processes begin with the files whose tests wait, the others with the quick ones: then a core has always work.
Tests that are to be `alone` run before them, one by one.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait

import pytest
from _pytest.runner import runtestprotocol

ENDED = "the process that ran this test has ended (status {}); what it printed stands above"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("processes")
    group._addoption("-n", dest="processes", type=int, default=0, help="run the tests in so many processes")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    option = session.config.option
    if option.processes < 2 or option.collectonly or option.usepdb or session.testsfailed:
        return None  # as pytest does it
    _Runner(session).run(option.processes)
    return True


@dataclass
class _Process:
    """One of them, as its parent knows it."""

    pid: int
    waits: bool
    """Whether it gets the files whose tests wait first."""
    tests: deque[int] = field(default_factory=deque)
    """Of its file, those that have not come back."""
    latest: int | None = None


class _Runner:
    """Hands out the tests by their place in the list of all, and reports what comes back."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._processes: dict[Connection, _Process] = {}
        self._files: deque[list[int]] = deque()
        """Which nobody has begun: those whose tests wait longest first, the quick ones last."""

    def run(self, count: int) -> None:
        self._session.config._tmp_path_factory.getbasetemp()  # the processes share it
        alone, others = defaultdict(list), defaultdict(list)
        for test, item in enumerate(self._session.items):
            (others if item.get_closest_marker("alone") is None else alone)[item.path].append(test)
        try:
            self._run(1, alone.values())
            self._run(count, sorted(others.values(), key=self._is_quick))
        finally:
            for process in self._processes.values():
                os.kill(process.pid, signal.SIGTERM)
                os.waitpid(process.pid, 0)

    def _is_quick(self, file: list[int]) -> tuple[bool, bool]:
        item = self._session.items[file[0]]
        return item.get_closest_marker("quick") is not None, "system" not in item.path.parts

    def _run(self, count: int, files: Iterable[list[int]]) -> None:
        self._files = deque(files)
        for number in range(min(count, len(self._files))):
            self._fork(waits=number % 2 == 0)
        while self._processes:
            for wire in wait(list(self._processes)):
                self._receive(wire)
            if self._session.shouldfail:
                raise self._session.Failed(self._session.shouldfail)

    def _fork(self, *, waits: bool) -> None:
        ours, theirs = Pipe()
        sys.stdout.flush()
        if pid := os.fork():
            theirs.close()
            self._processes[ours] = _Process(pid, waits)
            return
        for wire in (ours, *self._processes):
            wire.close()
        status = 1
        try:
            _run_tests(self._session, theirs)
            status = 0
        except BaseException:  # noqa: BLE001 - the parent sees the status
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _receive(self, wire: Connection) -> None:
        process = self._processes[wire]
        try:
            reports = wire.recv()
        except (EOFError, ConnectionResetError):
            self._end(wire)
            return
        if reports is None:  # it asks for a file
            if self._files:
                process.tests = deque(self._files.popleft() if process.waits else self._files.pop())
            wire.send(list(process.tests))
        else:
            process.latest = process.tests.popleft()
            hook = self._session.config.hook
            self._report(
                process.latest,
                [hook.pytest_report_from_serializable(config=self._session.config, data=each) for each in reports],
            )

    def _report(self, test: int, reports: list[pytest.TestReport]) -> None:
        item = self._session.items[test]
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _end(self, wire: Connection) -> None:
        """A process has ended. When it should not have, its test has failed, and another one does the rest."""
        process = self._processes.pop(wire)
        wire.close()
        status = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
        if not process.tests and not status:
            return
        test = process.tests.popleft() if process.tests else process.latest
        assert test is not None, ENDED.format(status)
        item = self._session.items[test]
        self._report(
            test, [pytest.TestReport(item.nodeid, item.location, {}, "failed", ENDED.format(status), "call")]
        )
        if process.tests:
            self._files.append(list(process.tests))
        if self._files:
            self._fork(waits=process.waits)


def _run_tests(session: pytest.Session, wire: Connection) -> None:
    """Run what the parent hands out, until there is nothing more."""
    config, items = session.config, session.items
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()  # it goes through files that all processes would share
    capture.start_global_capturing()
    capture.suspend_global_capture()
    factory = config._tmp_path_factory
    factory._basetemp = factory.getbasetemp() / f"p{os.getpid()}"
    factory._basetemp.mkdir(mode=0o700)
    config.pluginmanager.register(_Reporter(wire))
    random.seed()  # not the same chances in each
    while True:
        wire.send(None)
        tests = wire.recv()
        if not tests:
            break
        for test, following in zip(tests, [*tests[1:], None], strict=True):
            nextitem = session if following is None else items[following]  # what is set up for the session stays
            config.hook.pytest_runtest_protocol(item=items[test], nextitem=nextitem)
    session._setupstate.teardown_exact(None)


class _Reporter:
    """Runs tests, and sends the reports to the parent instead of printing them."""

    def __init__(self, wire: Connection) -> None:
        self._wire = wire

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        to_data = item.config.hook.pytest_report_to_serializable
        self._wire.send([to_data(config=item.config, report=report) for report in reports])
        return True
