# SPDX-License-Identifier: Apache-2.0
"""Restarts as a person does them: one node after the other, by SIGTERM, while clients go on."""
import time

from cluster import Cluster
from load import Load


def test_rolling_restart_under_load(cluster, rounds):
    with Load(cluster) as load:
        for _ in range(rounds(2)):
            for node in cluster.nodes.values():
                load.wait_acknowledged(10)
                assert node.stop() == 0
                node.start()
                cluster.wait_caught_up()
    cluster.wait_healthy()
    load.verify()


def test_a_graceful_stop_loses_nothing_and_ends_with_0(cluster):
    with Load(cluster) as load:
        load.wait_acknowledged(100)
        for node in cluster.nodes.values():
            assert node.stop() == 0
    for node in cluster.nodes.values():
        node.start()
    cluster.wait_healthy()
    load.verify()


def test_a_stopping_leader_hands_over(cluster):
    """With nobody dead, nobody has to wait for an election to time out."""
    leader = cluster.leader()
    client = next(n for n in cluster.running() if n is not leader).client(30)
    begin = time.monotonic()
    assert leader.stop() == 0
    assert client.insist("PUT", "/v1/kv/after", "x").ok
    assert time.monotonic() - begin < 10
    client.close()


def test_a_node_of_its_own_comes_back_with_its_data(directory):
    with Cluster(directory, count=1) as cluster:
        cluster.start()
        node = cluster.nodes[1]
        client = node.client()
        for i in range(50):
            assert client.put(f"/v1/kv/k{i}", f"v{i}").ok
        client.close()
        node.kill()
        node.start()
        cluster.wait_healthy()
        client = node.client()
        assert [client.get(f"/v1/kv/k{i}").body for i in range(50)] == [
            f"v{i}".encode() for i in range(50)]
        client.close()
        assert node.stop() == 0


def test_an_election_takes_no_node_out_of_service_and_a_lost_majority_does(cluster):
    for attempt in range(4):  # a busy machine may elect for longer than it is let pass
        leader = cluster.leader()
        others = [n for n in cluster.running() if n is not leader]
        before = [n.log_text().count(" unready ") for n in others]
        leader.pause()
        cluster.leader(within=60)
        leader.resume()
        cluster.wait_healthy()
        if [n.log_text().count(" unready ") for n in others] == before:
            break
    else:
        raise AssertionError("an election made nodes unready")
    keeper, *gone = cluster.nodes.values()
    for node in gone:
        node.kill()
    cluster.wait(lambda: "" if not keeper.ready() else "it says that it serves")
    assert "has no leader" in keeper.status()["ready_why"]
    for node in gone:
        node.start()
    cluster.wait_healthy()
