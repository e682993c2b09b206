# SPDX-License-Identifier: Apache-2.0
"""Nodes that run but do not hear each other. Clients can reach all of them all the time, so a node
that is cut off is asked too, and must not answer with what it cannot know.
"""
import pathlib
import subprocess
import sys
import time

import pytest

from client import Lost
from cluster import BINARY, Cluster
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


# Says who it is and when it is there, again and again; TERM ends it as it does anyone.
GUARDED = r"""
import os, sys, time
token = os.environ["QUORATE_LOCK_TOKEN"]
end = time.monotonic() + float(sys.argv[2])
with open(sys.argv[1], "a", buffering=1) as seen:
    while time.monotonic() < end:
        seen.write(f"{token} {time.monotonic()}\n")
        time.sleep(0.005)
"""


def guarded(node, seen, lasts):
    """`quorate lock` on the machine of this node, which knows no other."""
    command = ["ip", "netns", "exec", node.namespace, BINARY, "lock", "cut", "--lease", "3s",
               "--grace", "500ms", "--wait", "60s", "--node", f"127.0.0.1:{node.http}", "--",
               sys.executable, "-c", GUARDED, str(seen), str(lasts)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def stamps_of(seen):
    """When each token was used, in the order of the tokens."""
    times = {}
    for line in seen.read_text().splitlines():
        token, at = line.split()
        times.setdefault(int(token), []).append(float(at))
    return [times[token] for token in sorted(times)]


@pytest.mark.parametrize("leads", [True, False])
def test_who_holds_a_lock_and_is_cut_off_has_stopped_before_another_begins(cluster, network, leads,
                                                                          tmp_path):
    """The machine of the holder, with the only node that it knows, is cut off from the others."""
    seen = pathlib.Path(tmp_path) / "seen"
    client = cluster.nodes[1].client(10)
    group = int(client.insist("GET", "/v1/locks:stats").headers["Quorate-Group"])
    client.close()
    leader = cluster.leader(group)
    cut = leader if leads else next(n for n in cluster.nodes.values() if n is not leader)
    other = cluster.nodes[others(cut)[0]]
    first = guarded(cut, seen, 120)
    second = None
    try:
        cluster.wait(lambda: "" if seen.exists() and seen.read_text() else "nobody has the lock")
        time.sleep(1)
        network.isolate(cut.number)
        second = guarded(other, seen, 1)
        said, _ = first.communicate(timeout=60)
        assert first.returncode == 5 and "lost" in said, (first.returncode, said)
        said, _ = second.communicate(timeout=90)
        assert second.returncode == 0, (second.returncode, said)
    finally:
        for process in (first, second):
            if process is not None and process.poll() is None:
                process.kill()
    before, after = stamps_of(seen)
    assert before[-1] < after[0], f"two held it for {before[-1] - after[0]:.3f} s"
    assert after[0] - before[-1] < 20, "the lock was held by nobody for long"
    network.heal()
    cluster.wait_healthy()
