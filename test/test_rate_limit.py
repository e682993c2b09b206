# SPDX-License-Identifier: Apache-2.0
"""A rate limit that many clients race for, while leaders are killed under them."""
import threading
import time
import uuid

import pytest

from client import Lost, NotSent

CLIENTS = 64
WITHIN = 120.0  # an answer, on a machine that does much else
# While leaders are killed the clients may take so many tokens about each kill, and pause so long
# between two, so that they race when it comes; then wait for the next. So the bucket lasts over all
# the kills on a machine of any speed; in the end they race for what is left.
AROUND_A_KILL = 2_000
PACE = 0.2


def take(client, name, burst, key):
    # So slow that nothing is gained while the test runs: one token in a day.
    bucket = {"name": name, "burst": burst, "tokens": 1, "period": "1d"}
    return client.post("/v1/kv:rate_limit", bucket, {"Idempotency-Key": key})


class Race:
    """How many tokens the clients may ask for so far, until all is free."""

    def __init__(self):
        self.free, self._permits = threading.Event(), threading.Semaphore(0)

    def allow(self, count):
        self._permits.release(count)

    def enter(self):
        self.free.wait(PACE)
        while not self.free.is_set() and not self._permits.acquire(timeout=PACE):
            pass


class Racer(threading.Thread):
    """Takes tokens until the bucket refuses. What got no answer is asked again under its key, so
    that each token is taken by one who knows of it."""

    def __init__(self, cluster, number, limit, race):
        super().__init__()
        self.cluster, self.limit, self.race = cluster, limit, race
        self.number, self.allowed, self.refused, self.error = number, 0, 0, None

    def run(self):
        client = self._connect(0)
        try:
            while not self.refused:
                self.race.enter()
                key, attempt, deadline = uuid.uuid4().hex, 0, time.monotonic() + WITHIN
                while (answer := self._ask(client, key)) is None:
                    attempt += 1
                    assert time.monotonic() < deadline, "no answer"
                    time.sleep(0.05)
                    client.close()
                    client = self._connect(attempt)
                if answer["allowed"]:
                    self.allowed += 1
                else:
                    self.refused += 1
        except Exception as error:   # told by the test, which knows of no thread
            self.error = repr(error)
        finally:
            client.close()

    def _connect(self, attempt):
        nodes = self.cluster.running() or list(self.cluster.nodes.values())
        return nodes[(self.number + attempt) % len(nodes)].client()

    def _ask(self, client, key):
        try:
            answer = take(client, *self.limit, key)
        except (Lost, NotSent):
            return None
        if answer.ok:
            return answer.json()
        assert answer.retry in ("safe", "with_key"), answer
        return None


@pytest.mark.parametrize("kills, burst", [(0, 3_000), (3, 12_000)],
                         ids=["calm", "leaders_killed"])
def test_64_racing_clients_get_what_the_bucket_holds_and_not_one_more(cluster, kills, burst):
    limit = ("limit-" + uuid.uuid4().hex[:6], burst)
    first = take(cluster.nodes[1].client(30), *limit, uuid.uuid4().hex)
    assert first.ok and first.json()["allowed"], first
    group = int(first.headers["Quorate-Group"])
    race = Race()
    racers = [Racer(cluster, number, limit, race) for number in range(CLIENTS)]
    for racer in racers:
        racer.start()
    try:
        for _ in range(kills):
            race.allow(AROUND_A_KILL)
            taken = sum(r.allowed for r in racers)
            cluster.wait(lambda: "" if sum(r.allowed for r in racers) > taken + 100
                         else "no progress")
            victim = cluster.leader(group)
            victim.kill()
            time.sleep(0.5)
            victim.start()
        assert not any(r.refused for r in racers), "the bucket was empty before the last kill"
    finally:
        race.free.set()
    for racer in racers:
        racer.join(2 * WITHIN)
        assert not racer.is_alive(), "a client hangs"
    assert [r.error for r in racers] == [None] * CLIENTS
    assert sum(r.allowed for r in racers) == burst - 1
    assert all(r.refused == 1 for r in racers)
