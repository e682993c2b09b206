# SPDX-License-Identifier: Apache-2.0
"""Processes that stand still for longer than a lease lasts, and wake up without knowing it."""
import threading
import time

import pytest

from load import Load

LEASES_OVER = 1.0  # elections start 150 to 300 ms after the last heartbeat


@pytest.mark.parametrize("who", ["leader", "follower"])
def test_paused_for_longer_than_its_lease(cluster, rounds, who):
    with Load(cluster) as load:
        for _ in range(rounds(4)):
            load.wait_acknowledged(20)
            node = cluster.leader() if who == "leader" else cluster.followers()[0]
            node.pause()
            time.sleep(LEASES_OVER)
            load.wait_acknowledged(10)  # the others go on
            node.resume()
            load.wait_acknowledged(20)
    cluster.wait_healthy()
    load.verify()


def test_a_leader_that_wakes_up_does_not_read_what_it_knew(cluster, rounds):
    """The sharpest case of a lease: the read is in the old leader's socket while it sleeps."""
    for i in range(rounds(5)):
        key = f"/v1/kv/sleeper-{i}"
        leader = cluster.leader()
        other = next(n for n in cluster.running() if n is not leader)
        assert other.client().put(key, "old").ok
        leader.pause()
        try:
            answers = []
            asked = threading.Thread(
                target=lambda at=leader, k=key: answers.append(at.client(120).get(k)))
            asked.start()
            time.sleep(0.6)
            assert other.client(10).insist("PUT", key, "new").ok
        finally:
            leader.resume()
        asked.join(130)
        assert answers, "the read was never answered"
        assert answers[0].body == b"new" or not answers[0].ok, answers[0]
        cluster.wait_healthy()


def test_all_paused_at_once(cluster):
    with Load(cluster) as load:
        load.wait_acknowledged(20)
        for node in cluster.nodes.values():
            node.pause()
        time.sleep(LEASES_OVER)
        for node in cluster.nodes.values():
            node.resume()
        load.wait_acknowledged(20)
    cluster.wait_healthy()
    load.verify()
