# SPDX-License-Identifier: Apache-2.0
"""Machines whose clock is set while they run, and machines whose disk is slow."""
import time

import pytest

from cluster import Cluster
from load import Load
from machine import Machine, build

HOUR = 3600


@pytest.fixture
def machines(directory, keep):
    """A cluster, and the machine of each node by its number."""
    with Cluster(directory, settings={"storage.engine": "plain"}) as cluster:
        shim = build(directory)
        of = {n.number: Machine(n, shim) for n in cluster.nodes.values()}
        yield cluster.start(), of
        keep(cluster)


def ttl_ms(client, key):
    answer = client.get(f"/v1/kv/{key}?meta=true")
    return answer.json().get("ttl_ms") if answer.ok else None


def behind_ms(node):
    text = node.client().get("/metrics").body.decode()
    return next(int(line.split()[1]) for line in text.splitlines()
                if line.startswith("quorate_node_clock_behind_ms "))


@pytest.mark.parametrize("ahead", [2 * HOUR, -2 * HOUR])
def test_a_clock_that_is_set_ends_no_lifetime_early_and_none_much_too_late(machines, ahead):
    cluster, of = machines
    client = cluster.nodes[1].client()
    keys = [f"clock-{i}" for i in range(8)]  # of all groups
    for key in keys:
        assert client.put(f"/v1/kv/{key}?ttl=1h", "long").ok
        assert client.put(f"/v1/kv/{key}-short?ttl=4s", "short").ok
    written = time.monotonic()
    with Load(cluster) as load:
        for machine in of.values():
            machine.set_clock_ahead(ahead)
        load.wait_acknowledged(50)
        for node in cluster.nodes.values():
            cluster.wait(lambda n=node: "" if abs(behind_ms(n)) > HOUR * 1000
                         else "the node has not noticed its clock", 10)
        for key in keys:
            assert (HOUR - 60) * 1000 < ttl_ms(client, key) <= HOUR * 1000
        time.sleep(max(0.0, written + 3.0 - time.monotonic()))
        for key in keys:
            assert client.get(f"/v1/kv/{key}-short").ok, "ended more than an eighth early"
        time.sleep(max(0.0, written + 5.0 - time.monotonic()))
        for key in keys:
            assert client.get(f"/v1/kv/{key}-short").status == 404, "lives on after its end"
        load.wait_acknowledged(50)
    cluster.wait_healthy()
    load.verify()


@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_disk_whose_syncs_take_a_tenth_of_a_second(machines, who):
    """Slower than an election time-out allows, in a loop that waits for it: others take over."""
    cluster, of = machines
    with Load(cluster) as load:
        load.wait_acknowledged(20)
        node = cluster.leader() if who == "leader" else cluster.followers()[0]
        of[node.number].make_syncs_take(0.1)
        begun = time.monotonic()
        load.wait_acknowledged(100)
        assert time.monotonic() - begun < 60
        of[node.number].make_syncs_take(0)
        load.wait_acknowledged(50)
    cluster.wait_healthy()
    load.verify()


def test_all_disks_slow_at_once(machines):
    cluster, of = machines
    with Load(cluster) as load:
        load.wait_acknowledged(20)
        for machine in of.values():
            machine.make_syncs_take(0.05)
        load.wait_acknowledged(20)
        for machine in of.values():
            machine.make_syncs_take(0)
        load.wait_acknowledged(50)
    cluster.wait_healthy()
    load.verify()
