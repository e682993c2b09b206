# SPDX-License-Identifier: Apache-2.0
"""Clusters of real processes: begun, stopped, killed and paused one by one, and looked at from
outside. Each node has a directory with its configuration, its data and its log; a node speaks only
on loopback, or inside a namespace that the test made.
"""
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

from client import Client, Lost, NotSent

BINARY = os.environ.get("QUORATE_BINARY") or str(
    pathlib.Path(__file__).resolve().parent.parent / "build/release/quorate")
GROUPS = 4
# Bounds, not expectations: a cluster is well within a second or two, a busy machine takes longer.
HEALTHY_WITHIN = 60.0
STOP_WITHIN = 30.0
LOG_TAIL_LINES = 60

# Below the ports that the kernel gives to outgoing connections, so that a restarted node finds its
# own port free; and away from the default ports, on which somebody may run a cluster.
_next_port = random.randrange(11_000, 30_000)


def free_port():
    global _next_port
    for _ in range(1_000):
        _next_port = _next_port + 1 if _next_port < 31_000 else 11_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", _next_port))
                return _next_port
            except OSError:
                continue
    raise RuntimeError("no free port")


class Node:
    """One node: at most one process at a time."""

    def __init__(self, number, directory, host="127.0.0.1", namespace=None, data=None):
        self.number, self.host, self.namespace = number, host, namespace
        self.directory = pathlib.Path(directory) / f"node{number}"
        self.directory.mkdir(parents=True)
        self.data = pathlib.Path(data) if data else self.directory / "data"
        self.log = self.directory / "log"
        self.http, self.raft, self.resp = free_port(), free_port(), free_port()
        self.environment = {}  # added to that of the test
        self.process = None
        self.paused = False

    @property
    def address(self):
        return f"{self.number}={self.host}:{self.raft},http=127.0.0.1:{self.http}"

    def configure(self, cluster, settings):
        """Writes the configuration. `cluster`: the lines of its section, born or joining."""
        sections = {"": {"node": self.number, "data": str(self.data)},
                    "http": {"listen": f"127.0.0.1:{self.http}"},
                    "resp": {"listen": f"127.0.0.1:{self.resp}"},
                    "raft": {"listen": f"{self.host}:{self.raft}"}, "cluster": cluster}
        for name, value in settings.items():
            section, _, key = name.rpartition(".")
            sections.setdefault(section, {})[key] = value
        text = ""
        for section, values in sections.items():
            text += f"[{section}]\n" if section else ""
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        (self.directory / "quorate.conf").write_text(text)

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        assert not self.running
        # The kernel ends the node if the test dies. Both wrappers become the node: one process.
        command = ["setpriv", "--pdeathsig", "KILL", BINARY, "server", "--config",
                   str(self.directory / "quorate.conf")]
        if self.namespace:
            command = ["ip", "netns", "exec", self.namespace] + command
        environment = {k: v for k, v in os.environ.items() if not k.startswith("QUORATE_")}
        environment.update(self.environment)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment,
                                            cwd=self.directory, stdin=subprocess.DEVNULL)
        self.paused = False

    def kill(self):
        """As when the machine's power button is held, but for what the page cache keeps."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_WITHIN)
            self.paused = False

    def stop(self):
        """As a supervisor stops it; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_WITHIN)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def client(self, timeout=5.0):
        if self.namespace:
            from network import open_socket_in
            return Client(self.http, timeout, open_socket_in(self.namespace))
        return Client(self.http, timeout)

    def status(self, timeout=5.0):
        """What GET /cluster/status says, or None."""
        client = self.client(timeout)
        try:
            answer = client.get("/cluster/status")
            return answer.json() if answer.ok else None
        except (NotSent, Lost):
            return None
        finally:
            client.close()

    def ready(self):
        client = self.client()
        try:
            return client.get("/readyz").ok
        except (NotSent, Lost):
            return False
        finally:
            client.close()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Cluster:
    """Nodes 1 to n, and those that join later. A context: nothing outlives it."""

    def __init__(self, directory, count=3, settings=None, network=None, data=None):
        self.directory, self.network = pathlib.Path(directory), network
        self.settings = dict(settings or {})
        self.keeps = False  # the directory, because the test failed
        self.nodes = {}
        for number in range(1, count + 1):
            self._make(number, (data or {}).get(number))
        born = {"nodes": [n.address for n in self.nodes.values()], "groups": GROUPS}
        for node in self.nodes.values():
            node.configure(born, self.settings)

    def _make(self, number, data=None):
        host = self.network.host(number) if self.network else "127.0.0.1"
        namespace = self.network.namespace(number) if self.network else None
        self.nodes[number] = Node(number, self.directory, host, namespace, data)
        return self.nodes[number]

    def start(self):
        for node in self.nodes.values():
            node.start()
        self.wait_healthy()
        return self

    def prepare(self, number):
        """A new node with its configuration, not started yet."""
        known = [f"127.0.0.1:{n.http}" for n in self.running()]
        node = self._make(number)
        node.configure({"join": known}, self.settings)
        return node

    def join(self, number):
        """Starts a new node, which announces itself to those that run."""
        node = self.prepare(number)
        node.start()
        return node

    def forget(self, number):
        """A node that belongs no more: its process and its directory are gone."""
        node = self.nodes.pop(number)
        node.kill()
        shutil.rmtree(node.directory)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for node in self.nodes.values():
            node.kill()
        if kind is not None or self.keeps:
            self.print_logs()
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def print_logs(self):
        print(f"\nlogs and data are kept in {self.directory}")
        for node in self.nodes.values():
            lines = node.log_text().splitlines()
            print(f"---- node {node.number}: the last of {len(lines)} lines")
            print("\n".join(lines[-LOG_TAIL_LINES:]))

    def running(self):
        return [n for n in self.nodes.values() if n.running and not n.paused]

    def leader(self, group=1, within=HEALTHY_WITHIN):
        """The node that leads a group, as the nodes see it themselves."""
        found = []

        def look():
            for node in self.running():
                row = _group(node.status(), group)
                if row and row.get("role") == "leader":
                    found.append(node)
                    return ""
            return f"nobody leads group {group}"
        self.wait(look, within)
        return found[0]

    def wait_settled(self, within=HEALTHY_WITHIN):
        """Until leaders have stayed where they are for longer than they pause between moves."""
        deadline, seen, since = time.monotonic() + within, None, 0.0
        while time.monotonic() < deadline:
            leaders = [self.leader(group).number for group in range(1, GROUPS + 1)]
            if leaders != seen:
                seen, since = leaders, time.monotonic()
            if time.monotonic() - since > 4.0 and len(set(leaders)) == len(self.nodes):
                return self
            time.sleep(0.2)
        raise AssertionError(f"leaders still move: {seen}")

    def followers(self, group=1):
        leader = self.leader(group)
        return [n for n in self.running() if n is not leader]

    def wait(self, look, within=HEALTHY_WITHIN):
        """Until look() finds nothing to complain of."""
        deadline = time.monotonic() + within
        while complaint := look():
            if time.monotonic() > deadline:
                raise AssertionError(f"after {within:.0f} s: {complaint}")
            time.sleep(0.1)

    def wait_healthy(self, within=HEALTHY_WITHIN, voters=None):
        """Every node is up and ready; all agree on members and leaders; all replicas are equal."""
        self.wait(lambda: self.complaint(voters), within)

    def wait_caught_up(self, within=HEALTHY_WITHIN):
        """As wait_healthy, for a cluster that clients write to: then no look at its nodes, one
        after the other, finds them at the same entry. Once all is well otherwise, each replica has
        to come to the newest entry that any of them had then, however fast the clients and however
        slow the looks."""
        goal = {}

        def look():
            reached = {}
            if found := self.complaint(reached=reached):
                return found
            for group, each in reached.items():
                goal.setdefault(group, max(each))
            late = {group: each for group, each in reached.items() if min(each) < goal[group]}
            return f"replicas are behind: {late}, wanted {goal}" if late else ""
        self.wait(look, within)

    def complaint(self, voters=None, reached=None):
        """What is wrong with the cluster now, or "". Given `reached`, it takes what each replica of
        each group has applied, and replicas need not be equal: only those at one entry are."""
        statuses = {}
        for node in self.running():
            status = node.status()
            if status is None or not node.ready():
                why = status["ready_why"] if status else "no answer"
                return f"node {node.number} is not ready: {why}"
            statuses[node.number] = status
        if len(statuses) < len([n for n in self.nodes.values() if n.process]):
            return "a node does not run"
        for number, status in statuses.items():
            alive = {n["id"] for n in status["nodes"] if n["state"] == "active" and n["alive"]}
            if alive != set(statuses):
                return f"node {number} sees alive {sorted(alive)}, not {sorted(statuses)}"
        for group in range(len(next(iter(statuses.values()))["groups"])):
            if found := _group_complaint(group, statuses, voters):
                return f"group {group}: {found}"
            if found := _state_complaint(group, statuses, reached):
                return f"group {group}: {found}"
        return ""


def _group(status, group):
    return next((g for g in status["groups"] if g["id"] == group), None) if status else None


def _replicas(group, statuses):
    return {n: row for n, status in statuses.items() if "role" in (row := _group(status, group))}


def _group_complaint(group, statuses, voters):
    replicas = _replicas(group, statuses)
    leaders = [n for n, row in replicas.items() if row["role"] == "leader"]
    if len(leaders) != 1:
        return f"leaders are {leaders}"
    for number, row in replicas.items():
        if row["leader"] != leaders[0]:
            return f"node {number} says that {row['leader']} leads, not {leaders[0]}"
        if row["damaged"]:
            return f"node {number} has a damaged log"
    # Whoever votes for the meta group or not, every node follows it as a learner.
    members = replicas[leaders[0]]
    everybody = sorted(members["voters"] + members["learners"])
    if everybody != sorted(replicas) or (voters and sorted(members["voters"]) != sorted(voters)):
        return (f"voters are {members['voters']}, learners {members['learners']}, "
                f"replicas are on {sorted(replicas)}")
    if group != 0 and members["learners"]:
        return f"{members['learners']} still learn"
    return ""


def _state_complaint(group, statuses, reached):
    replicas = _replicas(group, statuses)
    digests = {}
    for row in replicas.values():
        digests.setdefault(row["applied"], set()).add(row["digest"])
    if any(len(each) > 1 for each in digests.values()):
        return f"equal index, unequal state: {replicas}"
    if reached is not None:
        reached[group] = [row["applied"] for row in replicas.values()]
        return ""
    return f"applied {sorted(digests)}" if len(digests) > 1 else ""
