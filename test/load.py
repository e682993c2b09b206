# SPDX-License-Identifier: Apache-2.0
"""Clients as an application would write them: any node, kept connections, and a retry with the same
Idempotency-Key when an answer is lost. All that they were told goes into a history.

Each client also adds to counters. A retry that was applied twice, or an acknowledged addition that
was lost, shows in the sum.
"""
import itertools
import random
import threading
import time
import uuid

from client import Lost, NotSent
from history import UNKNOWN, History, Operation

ATTEMPTS_MAX = 4
REQUEST_TIMEOUT = 3.0
PAUSE_BETWEEN = 0.01  # a client's own pace: the faults are what is tested, not the speed
PAUSE_AFTER_FAILURE = 0.05


class Counter:
    """Additions of one client to one counter: at least and at most so many took effect."""

    def __init__(self, key):
        self.key, self.sure, self.unsure = key, 0, 0


class Load:
    """with Load(cluster) as load: ... break things ...; then load.verify()."""

    def __init__(self, cluster, clients=6, keys=12, seed=None):
        self.cluster = cluster
        self.history = History()
        # Each load has its own keys, so that a cluster can be loaded several times.
        self.name = uuid.uuid4().hex[:8]
        self.keys = [f"{self.name}-{i}" for i in range(keys)]
        self.counters = [Counter(f"{self.name}-count-{i}") for i in range(clients)]
        self.seed = random.randrange(1 << 32) if seed is None else seed
        self._stop = threading.Event()
        self._values = itertools.count(1)
        self._errors = []
        self._threads = [threading.Thread(target=self._guarded, args=(i,), daemon=True)
                         for i in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(t.is_alive() for t in self._threads), "a client hangs"
        assert not self._errors, self._errors

    def wait_acknowledged(self, more, within=60.0):
        """Until `more` further writes were acknowledged: the cluster serves."""
        goal = self.history.acknowledged("write") + more
        deadline = time.monotonic() + within
        while self.history.acknowledged("write") < goal:
            assert time.monotonic() < deadline, (
                f"{self.history.acknowledged('write')} writes acknowledged, wanted {goal}")
            time.sleep(0.05)

    def _guarded(self, number):
        try:
            _Worker(self, number).run(self._stop)
        except Exception as error:  # pylint: disable=broad-except  # reported by stop()
            self._errors.append(repr(error))

    def next_value(self):
        return f"v{next(self._values)}"

    def verify(self):
        """Reads everything from every node, then judges all that was ever answered."""
        assert not self._threads[0].is_alive(), "stop() first"
        worker = _Worker(self, 1_000)
        for node in self.cluster.running():
            worker.only(node)
            for key in self.keys:
                worker.read(key, required=True)
        for counter in self.counters:
            value = int(worker.get(counter.key) or b"0")
            assert counter.sure <= value <= counter.sure + counter.unsure, (
                f"{counter.key} is {value}; {counter.sure} additions were acknowledged, "
                f"{counter.unsure} more were tried")
        worker.close()
        wrong = self.history.check()
        for key, operations in wrong.items():
            print(f"---- no register could have answered so: {key}")
            print("\n".join(str(o) for o in sorted(operations, key=lambda o: o.begin)))
        assert not wrong, f"not linearizable: {sorted(wrong)}, seed {self.seed}"
        assert self.history.acknowledged("write") > 0, "nothing was ever written"


class _Worker:
    """One client. Goes to another node when its node fails it."""

    def __init__(self, load, number):
        self._load, self._number = load, number
        self._prng = random.Random(f"{load.seed}-{number}")
        self._clients = {}
        self._targets = None
        self._target = None

    def only(self, node):
        self._targets = [node]
        self._target = None

    def run(self, stop):
        while not stop.is_set():
            choice = self._prng.random()
            key = self._prng.choice(self._load.keys)
            if choice < 0.45:
                self._write(key)
            elif choice < 0.9:
                self.read(key)
            else:
                self._add(self._load.counters[self._number])
            stop.wait(PAUSE_BETWEEN)
        self.close()

    def close(self):
        for client in self._clients.values():
            client.close()

    def get(self, key):
        deadline = time.monotonic() + 60
        while True:
            answer = self._once("GET", f"/v1/kv/{key}", None, {})
            if answer is not None and answer.status in (200, 404):
                return answer.body if answer.ok else None
            assert time.monotonic() < deadline, f"{key} cannot be read: {answer}"
            time.sleep(PAUSE_AFTER_FAILURE)

    def read(self, key, required=False):
        begin = History.now()
        deadline = time.monotonic() + 60
        while True:
            answer = self._once("GET", f"/v1/kv/{key}", None, {})
            if answer is not None and answer.status in (200, 404):
                value = answer.body.decode() if answer.ok else None
                self._load.history.add(
                    Operation(self._number, "read", key, value, begin, History.now()))
                return
            if not required:
                time.sleep(PAUSE_AFTER_FAILURE)
                return
            assert time.monotonic() < deadline, f"{key} cannot be read: {answer}"
            time.sleep(PAUSE_AFTER_FAILURE)
            begin = History.now()

    def _write(self, key):
        value = self._load.next_value()
        begin = History.now()
        outcome = self._change("PUT", f"/v1/kv/{key}", value)
        if outcome != "nothing":
            end = History.now() if outcome == "done" else UNKNOWN
            self._load.history.add(Operation(self._number, "write", key, value, begin, end))

    def _add(self, counter):
        outcome = self._change("POST", f"/v1/kv/{counter.key}/increment", None)
        counter.sure += outcome == "done"
        counter.unsure += outcome == "unknown"

    def _change(self, method, path, body):
        """ "done", "nothing" or "unknown", after a few attempts under one key."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        outcome = "nothing"
        for _ in range(ATTEMPTS_MAX):
            try:
                answer = self._once(method, path, body, headers, strict=True)
            except NotSent:
                answer = None
            except Lost:
                answer, outcome = None, "unknown"
            if answer is not None and answer.ok:
                return "done"
            if answer is not None and answer.retry == "no":
                raise AssertionError(f"{method} {path}: {answer}")
            if answer is not None and answer.retry == "with_key":
                outcome = "unknown"
            time.sleep(PAUSE_AFTER_FAILURE)
        return outcome

    def _once(self, method, path, body, headers, strict=False):
        """One request. On failure the next goes to another node; None if there was no answer."""
        if self._target is None:
            nodes = self._targets or list(self._load.cluster.nodes.values())
            self._target = self._prng.choice(nodes)
        client = self._clients.get(self._target)
        if client is None:
            client = self._clients[self._target] = self._target.client(REQUEST_TIMEOUT)
        try:
            answer = client.call(method, path, body, headers)
        except (NotSent, Lost):
            self._target = None
            if strict:
                raise
            return None
        if answer.status >= 500:
            self._target = None
        return answer
