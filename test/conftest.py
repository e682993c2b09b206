# SPDX-License-Identifier: Apache-2.0
import os
import tempfile

import pytest

from cluster import BINARY, Cluster

# Long loops, for a night on a machine of one's own: QUORATE_LONG=1 ./dev test
LONG = os.environ.get("QUORATE_LONG") == "1"


def pytest_configure(config):
    if not os.access(BINARY, os.X_OK):
        raise pytest.UsageError(f"{BINARY} is not there; ./dev build makes it")


@pytest.fixture
def rounds():
    """How often a loop goes round: few in CI, many under QUORATE_LONG=1."""
    return lambda few: few * 20 if LONG else few


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed
    return report


@pytest.fixture
def directory():
    """Kept if the test fails: a cluster removes its own when all went well."""
    path = tempfile.mkdtemp(prefix="quorate-test-")
    yield path
    if os.path.isdir(path) and not os.listdir(path):
        os.rmdir(path)


@pytest.fixture
def keep(request):
    """Called with a cluster at the end of its test: its logs are printed if the test failed."""
    def at_end(cluster):
        cluster.keeps = request.node.failed
    return at_end


@pytest.fixture
def cluster(directory, keep):
    """Three nodes, healthy."""
    with Cluster(directory) as made:
        yield made.start()
        keep(made)
