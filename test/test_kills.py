# SPDX-License-Identifier: Apache-2.0
"""Processes that die by kill -9, under load: nothing acknowledged is lost, nothing goes back, and
the cluster is whole by itself once they run again.
"""
import time

import pytest

from load import Load

VICTIMS = {
    "the_leader": lambda cluster: [cluster.leader()],
    "a_follower": lambda cluster: cluster.followers()[:1],
    "a_majority": lambda cluster: [cluster.leader(), cluster.followers()[0]],
    "all": lambda cluster: list(cluster.nodes.values()),
}


@pytest.mark.parametrize("who", VICTIMS)
def test_killed_again_and_again_under_load(cluster, rounds, who):
    with Load(cluster) as load:
        for _ in range(rounds(5)):
            load.wait_acknowledged(20)
            victims = VICTIMS[who](cluster)
            for node in victims:
                node.kill()
            if len(victims) == 1:
                load.wait_acknowledged(20)  # the others go on
            else:
                time.sleep(0.3)
            for node in victims:
                node.start()
            load.wait_acknowledged(20)
    cluster.wait_healthy()
    load.verify()


def test_a_node_that_missed_much_catches_up(cluster):
    node = cluster.followers()[0]
    node.kill()
    with Load(cluster) as load:
        load.wait_acknowledged(300)
    node.start()
    cluster.wait_healthy()
    load.verify()


def test_the_client_writes_again_soon_after_the_leader_is_killed(cluster):
    leader = cluster.leader()
    client = next(n for n in cluster.running() if n is not leader).client(30)
    assert client.put("/v1/kv/before", "x").ok
    leader.kill()
    begin = time.monotonic()
    for i in range(16):  # a key in every group, most likely
        assert client.insist("PUT", f"/v1/kv/after-{i}", "x").ok
    # Elections take 150 to 300 ms; the bound is what a busy machine may add.
    assert time.monotonic() - begin < 10
    client.close()
