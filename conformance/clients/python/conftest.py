"""Fixtures of the PyODPS suite: endpoints, clients, tables with a name of their own."""

import itertools
import os

import pytest
from odps import ODPS, options

from sluice_endpoint import ACCESS_ID, ACCESS_KEY, Endpoint

PROJECT = "local"
options.verbose = False
options.retry_times = 2  # a refusal is tested, not waited for

_names = itertools.count(1)


@pytest.fixture(scope="session")
def endpoints():
    """Factory: `endpoints("--flag")` is the running endpoint with those flags, started once for all tests."""
    running = {}

    def start(*flags):
        if flags not in running:
            running[flags] = Endpoint(*flags)
        return running[flags]

    yield start
    for endpoint in running.values():
        status = endpoint.close()
        assert status == 0, f"endpoint {endpoint.flags} ended with status {status}"


@pytest.fixture(scope="session")
def endpoint(endpoints):
    """The endpoint with default flags."""
    return endpoints()


@pytest.fixture(scope="session")
def connect():
    """Factory: `connect(endpoint, **kw)` is a PyODPS entry object on it."""

    def make(endpoint, project=PROJECT, access_id=ACCESS_ID, secret=ACCESS_KEY, **kw):
        return ODPS(access_id, secret, project=project, endpoint=endpoint.url, **kw)

    return make


@pytest.fixture
def odps(endpoint, connect):
    """PyODPS on the default endpoint: two-level names."""
    return connect(endpoint)


@pytest.fixture
def name(odps):
    """Factory: `name()` is a table name nobody else has; the table is dropped after the test."""
    made = []

    def make(prefix="t"):
        made.append(f"{prefix}_{os.getpid()}_{next(_names)}")
        return made[-1]

    yield make
    for table in made:
        odps.delete_table(table, if_exists=True)


@pytest.fixture
def table(odps, name):
    """Factory: `table("id bigint, s string")` or `table(("id bigint", "dt string"))` creates a table."""

    def make(schema, **kw):
        return odps.create_table(name(), schema, **kw)

    return make


@pytest.fixture(autouse=True)
def restore_options():
    """Options of PyODPS are global: each test leaves them as it found them."""
    from odps.config import option_context

    with option_context():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        running = item.funcargs.get("endpoint")
        if running is not None:
            report.sections.append(("endpoint log, last lines", "\n".join(running.log().splitlines()[-40:])))
    return report


def pytest_sessionfinish(session, exitstatus):
    """Nothing may be skipped or expected to fail, and something must have run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    count = {kind: len(reporter.stats.get(kind, [])) for kind in ("passed", "failed", "error", "skipped", "xfailed", "xpassed")}
    left_out = count["skipped"] + count["xfailed"] + count["xpassed"]
    session.config.counts = f"pyodps: {count['passed']} passed, {count['failed'] + count['error']} failed, {left_out} skipped"
    if exitstatus == 0 and (left_out or not count["passed"]) and not session.config.option.collectonly:
        session.exitstatus = 1


def pytest_unconfigure(config):
    if hasattr(config, "counts"):
        print(config.counts)
