# SPDX-License-Identifier: Apache-2.0
"""A disk that is full: the node that has it fails, and says so; the others go on; and with room
again it comes back.
"""
import itertools
import os
import pathlib
import subprocess

import pytest

from cluster import Cluster
from load import Load

DISK = "24m"


@pytest.fixture
def small_disk(tmp_path):
    """A file system in memory; only root can mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)],
                          capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system may be mounted here (root can): {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], timeout=30, check=True)


def fill(place):
    """Takes all that is left; returns the file to remove."""
    ballast = pathlib.Path(place) / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 1 << 12):
            while True:
                try:
                    os.write(descriptor, bytes(size))
                except OSError:
                    break
    finally:
        os.close(descriptor)
    return ballast


def test_a_node_with_a_full_disk_comes_back_when_there_is_room(directory, small_disk, keep):
    with Cluster(directory, settings={"storage.segment_bytes": "1MiB"},
                 data={3: small_disk / "data"}) as cluster:
        cluster.start()
        node = cluster.nodes[3]
        with Load(cluster) as load:
            load.wait_acknowledged(20)
            ballast = fill(small_disk)
            client = cluster.nodes[1].client(60)

            numbers = itertools.count()

            def beyond_the_reserve_of_the_log():
                client.put(f"/v1/kv/large-{next(numbers)}?timeout=5s", bytes(1 << 20))
                return "node 3 says that all is well" if node.ready() else ""
            cluster.wait(beyond_the_reserve_of_the_log)
            client.close()
            load.wait_acknowledged(50)  # the others go on
            ballast.unlink()
            node.kill()
            node.start()
            load.wait_acknowledged(20)
        cluster.wait_healthy()
        load.verify()
        keep(cluster)
