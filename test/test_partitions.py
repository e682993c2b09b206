# SPDX-License-Identifier: Apache-2.0
"""Nodes that run but do not hear each other. Clients can reach all of them all the time, so a node
that is cut off is asked too, and must not answer with what it cannot know.
"""
import time

import pytest

from client import Lost
from cluster import Cluster
from load import Load
from network import Network

CUT = 1.5  # seconds: several elections


@pytest.fixture
def network():
    with Network(3) as made:
        yield made


@pytest.fixture
def cluster(directory, network, keep):
    with Cluster(directory, network=network) as made:
        yield made.start()
        keep(made)


def others(node):
    return [n for n in (1, 2, 3) if n != node.number]


def test_a_leader_is_cut_off_from_the_majority(cluster, network, rounds):
    with Load(cluster) as load:
        for _ in range(rounds(3)):
            load.wait_acknowledged(20)
            network.isolate(cluster.leader().number)
            time.sleep(CUT)
            load.wait_acknowledged(10)  # the majority goes on
            network.heal()
            load.wait_acknowledged(20)
    cluster.wait_healthy()
    load.verify()


def test_a_follower_is_cut_off_and_comes_back_without_an_election_storm(cluster, network):
    def term(node):
        return next(g["term"] for g in node.status(30)["groups"] if g["id"] == 1)
    follower = cluster.followers(group=1)[0]
    with Load(cluster) as load:
        load.wait_acknowledged(20)
        network.isolate(follower.number)
        away = term(follower)
        time.sleep(3 * CUT)
        load.wait_acknowledged(10)
        # Pre-vote: who is away does not raise its term at each of some twenty elections (but at one
        # that it was told to hold just before), so the leader of the others need not fall.
        assert term(follower) <= away + 1
        before = term(cluster.leader())
        network.heal()
        load.wait_acknowledged(20)
    cluster.wait_healthy()
    # Balance and a busy machine may move leaders a few times.
    assert term(cluster.leader()) <= before + 8
    load.verify()


def test_no_majority_anywhere_acknowledges_nothing(cluster, network):
    client = cluster.nodes[1].client(20)
    assert client.insist("PUT", "/v1/kv/k", "before").ok
    network.split([1], [2], [3])
    time.sleep(CUT)
    for node in cluster.nodes.values():
        asker = node.client(20)
        for attempt in (lambda c: c.put("/v1/kv/k?timeout=1s", "during"),
                        lambda c: c.get("/v1/kv/k?timeout=1s")):
            try:
                assert not attempt(asker).ok
            except Lost:
                pass
        asker.close()
    network.heal()
    cluster.wait_healthy()
    client.close()
    assert cluster.nodes[2].client(20).insist("PUT", "/v1/kv/k", "after").ok


@pytest.mark.parametrize("way", ["out", "in"])
def test_a_leader_is_cut_off_one_way(cluster, network, rounds, way):
    """It hears and is not heard, or is heard and does not hear: either way others must take over,
    or it must give up by itself."""
    with Load(cluster) as load:
        for _ in range(rounds(2)):
            load.wait_acknowledged(20)
            leader = cluster.leader()
            for other in others(leader):
                network.drop(*((leader.number, other) if way == "out"
                               else (other, leader.number)))
            time.sleep(CUT)
            load.wait_acknowledged(10)
            network.heal()
            load.wait_acknowledged(20)
    cluster.wait_healthy()
    load.verify()


def test_a_ring_with_a_gap_goes_on(cluster, network):
    """Two nodes do not hear each other, and the third hears both."""
    with Load(cluster) as load:
        for gap in [(1, 2), (2, 3), (1, 3)]:
            load.wait_acknowledged(20)
            network.drop(*gap)
            network.drop(*reversed(gap))
            time.sleep(CUT)
            load.wait_acknowledged(10)
            network.heal()
    cluster.wait_healthy()
    load.verify()


def test_a_cable_that_flaps(cluster, network, rounds):
    with Load(cluster) as load:
        for turn in range(rounds(12)):
            network.isolate(turn % 3 + 1)
            time.sleep(0.15 + 0.05 * (turn % 5))
            network.heal()
            time.sleep(0.2)
        load.wait_acknowledged(20)
    cluster.wait_healthy()
    load.verify()


def test_a_partition_and_a_kill_at_once(cluster, network):
    with Load(cluster) as load:
        load.wait_acknowledged(20)
        leader = cluster.leader()
        network.isolate(leader.number)
        time.sleep(CUT)
        load.wait_acknowledged(10)
        leader.kill()
        network.heal()
        leader.start()
        load.wait_acknowledged(20)
    cluster.wait_healthy()
    load.verify()
