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


class Lifetime:
    """A key that ends. On a machine of any speed: what a read found is held against when it was
    asked and answered, not against when the test meant to ask."""

    def __init__(self, client, key, seconds):
        self.client, self.key, self.seconds = client, key, seconds
        self.earliest = time.monotonic() + seconds
        assert client.put(f"/v1/kv/{key}?ttl={seconds}s", "x").ok
        self.latest = time.monotonic() + seconds

    def lives(self):
        """Whether it does, which may be an eighth wrong, and by how long answers took to come."""
        asked = time.monotonic()
        status = self.client.get(f"/v1/kv/{self.key}").status
        answered = time.monotonic()
        if status == 404:
            assert answered > self.earliest - self.seconds / 8, "ended more than an eighth early"
        else:
            assert status == 200, status
            assert asked < self.latest + self.seconds / 4, "lives on after its end"
        return status == 200


def notice(cluster, of, ahead):
    """All clocks are set, and each node has seen that its own was."""
    for machine in of.values():
        machine.set_clock_ahead(ahead)
    for node in cluster.nodes.values():
        cluster.wait(lambda n=node: "" if (abs(behind_ms(n)) > HOUR * 1000) == (ahead != 0)
                     else "the node has not noticed its clock")


@pytest.mark.parametrize("ahead", [2 * HOUR, -2 * HOUR])
def test_a_clock_that_is_set_ends_no_lifetime_early_and_none_much_too_late(machines, ahead):
    cluster, of = machines
    client = cluster.nodes[1].client(30)
    with Load(cluster) as load:
        for seconds in (4, 16, 64):
            keys = [Lifetime(client, f"clock-{seconds}-{i}", seconds) for i in range(8)]
            begun = time.monotonic()
            for key in keys:  # of all groups
                assert client.put(f"/v1/kv/{key.key}-long?ttl=1h", "long").ok
            notice(cluster, of, ahead)
            load.wait_acknowledged(50)
            for key in keys:
                left = ttl_ms(client, f"{key.key}-long") / 1000
                passed = time.monotonic() - begun
                assert HOUR - passed * 9 / 8 - 1 < left <= HOUR
            if all([key.lives() for key in keys]):
                break
            notice(cluster, of, 0)  # too slow for so short a life: nothing was seen of its end
        while any([key.lives() for key in keys]):
            time.sleep(0.02)
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
        load.wait_acknowledged(100)
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
