# SPDX-License-Identifier: Apache-2.0
"""Locks while nodes are killed and clients stand still: never two holders at a fenced resource."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from cluster import BINARY

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients/python"))

import quorate  # noqa: E402  (it is found by the line above)

LOCK = "guarded"


def nodes_of(cluster):
    return [f"127.0.0.1:{node.http}" for node in cluster.nodes.values()]


def leader_of_locks(cluster):
    """The node that leads the group in which the locks live."""
    client = cluster.running()[0].client(10)
    answer = client.insist("GET", "/v1/locks:stats")
    client.close()
    assert answer.ok, answer
    return cluster.leader(int(answer.headers["Quorate-Group"]))


class Fenced:
    """A resource as it should be: it takes no token that is smaller than one that it has seen; of
    readers, who come together in any order, none smaller than that of a writer."""

    def __init__(self):
        self._guard = threading.Lock()
        self.newest, self.newest_writer = 0, 0
        self.writes, self.refused, self.complaints = 0, 0, []
        self._inside = {}

    def enter(self, token, shared):
        with self._guard:
            if token < (self.newest_writer if shared else self.newest):
                self.refused += 1
                return False
            self.newest = max(self.newest, token)
            if not shared:
                self.newest_writer = token
            others = [each for each in self._inside.values() if not (shared and each)]
            if others:
                self.complaints.append(f"token {token} came in while {self._inside} were there")
            self._inside[token] = shared
            self.writes += 1
            return True

    def leave(self, token):
        with self._guard:
            self._inside.pop(token, None)


def visit(session, resource, shared):
    with session.acquire(LOCK, shared=shared, wait=60) as held:
        if resource.enter(held.token, shared):
            time.sleep(0.001)
            resource.leave(held.token)


def test_a_killed_leader_makes_no_second_holder(cluster, rounds):
    resource, stop, failures = Fenced(), threading.Event(), []

    def work(number):
        try:
            with quorate.LockSession(nodes_of(cluster), lease=10, timeout=60) as session:
                while not stop.is_set():
                    visit(session, resource, number % 3 == 0)
        except quorate.Error as error:
            failures.append(f"worker {number}: {type(error).__name__}: {error}")

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for _ in range(rounds(3)):
        before = resource.writes
        cluster.wait(lambda: "" if resource.writes > before + 100 else "no grants")
        victim = leader_of_locks(cluster)
        victim.kill()
        after = resource.writes
        cluster.wait(lambda: "" if resource.writes > after + 20 else "no grants without it")
        victim.start()
        cluster.wait(lambda: "" if victim.ready() else "it does not come back")
    stop.set()
    for worker in workers:
        worker.join(90)
        assert not worker.is_alive()
    assert not failures, failures
    assert not resource.complaints, resource.complaints
    assert resource.refused == 0, "nobody's lease was lost, so nobody came late"


def test_a_new_leader_grants_a_silent_holder_one_more_lease(cluster):
    lease = 8.0
    for attempt in range(5):
        name, victim = f"silent/{attempt}", leader_of_locks(cluster)
        begun = time.monotonic()
        node = next(node for node in cluster.running() if node is not victim)
        client = node.client(30)
        body = json.dumps({"owner": name, "lease": f"{int(lease * 1000)}ms"})
        assert client.insist("POST", f"/v1/locks/{name}/acquire", body).ok
        client.close()
        time.sleep(lease / 2)
        victim.kill()
        killed = time.monotonic()
        with quorate.LockSession(nodes_of(cluster), lease=10, timeout=60) as session:
            with session.acquire(name, wait=120):
                granted = time.monotonic()
        victim.start()
        cluster.wait(lambda: "" if victim.ready() else "it does not come back")
        if killed - begun < lease:   # else its lease was over before the leader was: try again
            assert granted - killed >= lease, "the new leader counted from before its time"
            return
    raise AssertionError("this machine is too slow for the test to say anything")


# Writes under its token, and again when it wakes up.
WRITER = r"""
import os, pathlib, sys, time
sys.path.insert(0, sys.argv[1])
import quorate
fence = os.environ["QUORATE_LOCK_NAME"], int(os.environ["QUORATE_LOCK_TOKEN"])
def write(client, value):
    try:
        return client.put("data", value, fence=fence) > 0
    except quorate.PreconditionFailed:
        return False
with quorate.Client(sys.argv[2]) as client:
    assert write(client, sys.argv[3])
    print("wrote", flush=True)
    if sys.argv[3] == "first":
        while not pathlib.Path(sys.argv[4]).exists():
            time.sleep(0.02)
        print("late write", "taken" if write(client, "late") else "refused", flush=True)
        time.sleep(30)
"""


def test_a_client_that_stands_still_loses_its_lock_only_after_its_lease(cluster, tmp_path):
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    package = str(pathlib.Path(__file__).resolve().parent.parent / "clients/python")
    nodes, awake = ",".join(nodes_of(cluster)), tmp_path / "awake"
    lease = 4.0

    def guarded(name, *words):
        return [BINARY, "lock", "paused", "--lease", f"{int(lease * 1000)}ms", "--grace", "2s",
                "--node", nodes, *words, "--", sys.executable, str(script), package, nodes, name,
                str(awake)]

    first = subprocess.Popen(guarded("first"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, start_new_session=True)
    assert first.stdout.readline() == "wrote\n"
    # Time passes, and the lock stays: it is kept alive.
    time.sleep(lease * 1.5)
    refused = subprocess.run(guarded("second", "--try"), capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1, refused

    os.killpg(first.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    second = subprocess.run(guarded("second", "--wait", "60s"), capture_output=True, text=True,
                            timeout=90)
    passed = time.monotonic() - stopped
    assert second.returncode == 0 and second.stdout == "wrote\n", second
    # It had renewed at most a third of its lease before it was stopped.
    assert passed > lease * 0.6, f"the lock was taken away after {passed:.1f} s"

    awake.touch()
    os.killpg(first.pid, signal.SIGCONT)
    out, errors = first.communicate(timeout=60)
    assert first.returncode == 5, (first.returncode, errors)
    assert "lost" in errors
    assert "late write taken" not in out
    with quorate.Client(nodes) as client:
        assert client.get("data").text == "second"


# A process that holds a lock, writes, sleeps through its lease, and writes when it wakes up:
# nothing in it looks at the clock.
SLEEPER = r"""
import pathlib, sys, time
sys.path.insert(0, sys.argv[1])
import quorate
with quorate.LockSession(sys.argv[2], lease=2, timeout=60) as session:
    held = session.acquire("slept")
    with quorate.Client(sys.argv[2], timeout=60) as client:
        client.put("slept/data", "first", fence=held)
        print(held.token, flush=True)
        while not pathlib.Path(sys.argv[3]).exists():
            time.sleep(0.02)
        for change in (lambda: client.put("slept/data", "late", fence=held),
                       lambda: client.delete("slept/data", fence=held)):
            try:
                change()
                print("done", flush=True)
            except quorate.PreconditionFailed as error:
                print(error, flush=True)
"""


def test_a_write_of_a_holder_that_slept_is_refused(cluster, tmp_path):
    script, awake = tmp_path / "sleeper.py", tmp_path / "awake"
    script.write_text(SLEEPER)
    package = str(pathlib.Path(__file__).resolve().parent.parent / "clients/python")
    nodes = ",".join(nodes_of(cluster))
    sleeper = subprocess.Popen([sys.executable, str(script), package, nodes, str(awake)],
                               stdout=subprocess.PIPE, text=True)
    first = int(sleeper.stdout.readline())
    os.kill(sleeper.pid, signal.SIGSTOP)
    with quorate.LockSession(nodes, lease=10, timeout=60) as session, \
            quorate.Client(nodes, timeout=60) as client:
        with session.acquire("slept", wait=120) as held:
            assert held.token > first
            client.put("slept/data", "second", fence=held)
            awake.touch()
            os.kill(sleeper.pid, signal.SIGCONT)
            said, _ = sleeper.communicate(timeout=120)
            assert client.get("slept/data").text == "second"
    for line in said.splitlines():
        assert f"token {first} " in line and f"older than {held.token}" in line, said
    assert len(said.splitlines()) == 2, said


# ---- a node that stands still, and a cluster that is gone ----------------------------------------

def waiter_of(cluster, waits_at):
    """Nodes to name, the one that is to stand still first."""
    others = [node for node in cluster.nodes.values() if node is not waits_at]
    return [f"127.0.0.1:{node.http}" for node in [waits_at, *others]]


def holder_of(node, name):
    answer = node.client(30).insist("GET", f"/v1/locks/{name}")
    return answer.json()["holders"] if answer.ok else []


@pytest.mark.parametrize("kind", ["command line", "python"])
def test_who_waits_at_a_node_that_stands_still_hears_of_the_grant(cluster, kind):
    """Its owner is kept alive through the other nodes, so the lock would be nobody else's."""
    still = cluster.followers(1)[0]
    nodes = waiter_of(cluster, still)
    got = []
    with quorate.LockSession(nodes[1:], lease=60, timeout=60) as holder:
        held = holder.acquire("still")

        def wait_by_python():
            with quorate.LockSession(nodes, lease=30, timeout=60) as session:
                with session.acquire("still", wait=300) as mine:
                    got.append(mine.token)

        def wait_by_command():
            done = subprocess.run([BINARY, "lock", "still", "--lease", "30s", "--node",
                                   ",".join(nodes), "--", "sh", "-c", "echo $QUORATE_LOCK_TOKEN"],
                                  capture_output=True, text=True, timeout=300)
            got.append(int(done.stdout))

        waiter = threading.Thread(
            target=wait_by_python if kind == "python" else wait_by_command)
        waiter.start()
        cluster.wait(lambda: "" if holder.info("still")["waiter_count"] == 1 else "nobody waits")
        still.pause()
        try:
            token = held.token
            held.release()
            waiter.join(120)
            assert got and got[0] > token, "it holds the lock and does not know it"
        finally:
            still.resume()
            waiter.join(60)


WORKER = """
for i in $(seq 1200); do
  date > {beat}
  sleep 0.05
done
"""


def test_when_the_cluster_is_gone_for_longer_than_the_lease_nothing_of_the_command_goes_on(
        cluster, tmp_path):
    beat, script = tmp_path / "beat", tmp_path / "job.sh"
    worker = tmp_path / "worker.sh"
    worker.write_text(WORKER.format(beat=beat))
    # The worker is the script's child, and deaf to a request to end; another is left to itself, in
    # a session of its own.
    script.write_text(f"(trap '' TERM; sh {worker}) & setsid sh {worker} & wait")
    process = subprocess.Popen([BINARY, "lock", "whole", "--lease", "2s", "--grace", "1s", "--node",
                                ",".join(nodes_of(cluster)), "--", "sh", str(script)],
                               stderr=subprocess.PIPE, text=True)
    cluster.wait(lambda: "" if beat.exists() else "the command does not run")
    for node in cluster.nodes.values():
        node.pause()
    try:
        _, errors = process.communicate(timeout=60)
        before = beat.stat().st_mtime_ns
        time.sleep(1)
        assert beat.stat().st_mtime_ns == before, "what the command began goes on without the lock"
    finally:
        for node in cluster.nodes.values():
            node.resume()
    assert process.returncode == 5 and "the lock was lost" in errors, (process.returncode, errors)
