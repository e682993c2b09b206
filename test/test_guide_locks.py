# SPDX-License-Identifier: Apache-2.0
"""The page on locks of the guide: what it shows is run, against addresses of the test's own.

Its C++ is compiled by the ctest test examples.guide.
"""
import os
import pathlib
import re
import subprocess
import sys
import threading

import pytest

from cluster import BINARY, Cluster

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "clients/python"))

import quorate  # noqa: E402  (it is found by the line above)

PAGE = (ROOT / "docs/guide/locks.md").read_text()


def blocks(language):
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"the page shows nothing in {language or 'shell'}"
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("guide") / "cluster") as made:
        yield made.start()


def at(cluster, text):
    """The text, with this cluster's addresses."""
    for number, node in cluster.nodes.items():
        text = text.replace(f"127.0.0.1:800{number}", f"127.0.0.1:{node.http}")
    return text


def test_the_first_commands(shared, tmp_path):
    (tmp_path / "backup.sh").write_text("#!/bin/sh\necho backed up under $QUORATE_LOCK_TOKEN\n")
    (tmp_path / "backup.sh").chmod(0o700)
    (tmp_path / "quorate").symlink_to(BINARY)
    nodes = ",".join(f"127.0.0.1:{node.http}" for node in shared.nodes.values())
    done = subprocess.run(["bash", "-e", "-c", at(shared, blocks("")[0])], cwd=tmp_path,
                          capture_output=True, text=True, timeout=120,
                          env={**os.environ, "QUORATE_NODES": nodes,
                               "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 0, done
    assert "backed up under " in done.stdout
    assert '"granted":true' in done.stdout and '"left":0' in done.stdout


def test_python(shared):
    fencing, recipes = blocks("python")
    names = {}
    exec(at(shared, fencing), names)  # pylint: disable=exec-used
    assert names["held"].token > 0
    assert quorate.Client(names["nodes"]).get("report/text").text == "..."

    def come():
        with quorate.Client(names["nodes"], timeout=60) as client:
            quorate.Barrier(client, "start", parties=3).wait(60)

    others = [threading.Thread(target=come) for _ in range(2)]
    for other in others:
        other.start()
    lost = []
    names["stop"] = lambda: lost.append(True)
    exec(recipes, names)  # pylint: disable=exec-used
    for other in others:
        other.join(60)
        assert not other.is_alive()
    assert not lost
