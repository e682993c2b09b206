# SPDX-License-Identifier: Apache-2.0
"""Secondary indexes: declared, built while keys change, asked on every node, kept when it fails."""
import json
import subprocess
import threading
import time

import httpx
import pytest

from cluster import BINARY, Cluster


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("index") / "cluster") as made:
        yield made.start()


def url_of(node):
    return f"http://127.0.0.1:{node.http}"


@pytest.fixture
def http(shared):
    with httpx.Client(base_url=url_of(shared.nodes[1]), timeout=30) as client:
        yield client


def run(cluster, *words, within=60):
    nodes = ",".join(f"127.0.0.1:{node.http}" for node in cluster.nodes.values())
    return subprocess.run([BINARY, *words, "--node", nodes], capture_output=True, timeout=within,
                          check=False)


def put(http, keyspace, ages):
    items = [{"key": key, "value": json.dumps({"user": {"age": age}, "fill": "x" * 2000})}
             for key, age in ages.items()]
    for begin in range(0, len(items), 500):
        answer = http.post(f"/v1/kv:put_many?keyspace={keyspace}",
                           json={"items": items[begin:begin + 500]})
        assert answer.status_code == 200, answer.text


def keys_of(client, keyspace, **query):
    """All pages."""
    keys = []
    while True:
        answer = client.post(f"/v1/kv:find?keyspace={keyspace}",
                             json={"index": "ages", "keys_only": True, "limit": 100, **query})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        keys += [item["key"] for item in page["items"]]
        more = {name: page[name] for name in ("resume", "resume_base64") if name in page}
        if not more:
            return keys
        query = {name: value for name, value in query.items() if not name.startswith("resume")}
        query.update(more)


def wait_ready(client, keyspace, within=60):
    end = time.monotonic() + within
    while True:
        said = client.get(f"/v1/kv:indexes?keyspace={keyspace}").json()["indexes"]
        if all(index["state"] == "ready" for index in said):
            return said
        assert time.monotonic() < end, said
        time.sleep(0.05)


def test_an_index_is_built_under_writes_and_answers_on_every_node(shared, http):
    assert http.post("/v1/keyspaces", json={"name": "people", "partitions": 3}).status_code == 200
    ages = {f"p{number:05}": number % 90 for number in range(3_000)}
    put(http, "people", ages)
    stop, late = threading.Event(), {}

    def write():
        number = 0
        with httpx.Client(base_url=url_of(shared.nodes[2]), timeout=30) as client:
            while not stop.is_set():
                key, age = f"q{number:05}", number % 90
                value = json.dumps({"user": {"age": age}})
                assert client.put(f"/v1/kv/{key}?keyspace=people",
                                  content=value.encode()).status_code == 200
                late[key] = age
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    made = run(shared, "kv", "create-index", "ages", "user.age", "--keyspace", "people")
    assert made.returncode == 0, made
    wait_ready(http, "people")
    stop.set()
    writer.join()
    everyone = {**ages, **late}
    order = sorted(everyone, key=lambda key: (everyone[key], key))
    assert http.delete("/v1/kv/p00007?keyspace=people").status_code == 200
    put(http, "people", {"p00008": 7.5})
    everyone["p00008"] = 7.5
    del everyone["p00007"]
    order = sorted(everyone, key=lambda key: (everyone[key], key))
    for node in shared.nodes.values():
        with httpx.Client(base_url=url_of(node), timeout=30) as client:
            assert keys_of(client, "people") == order
            assert keys_of(client, "people", reverse=True) == order[::-1]
            wanted = [key for key in order if 7 <= everyone[key] < 9]
            assert keys_of(client, "people", **{"from": 7, "below": 9}) == wanted
    said = run(shared, "kv", "find", "ages", "7.5", "--keys-only", "--keyspace", "people")
    assert said.stdout == b"p00008\n", said


def test_a_unique_index_holds_over_a_failover_and_a_restart(shared, http):
    assert http.post("/v1/keyspaces", json={"name": "users"}).status_code == 200
    assert http.post("/v1/kv:create_index?keyspace=users",
                     json={"index": "mails", "field": "mail", "unique": True}).status_code == 200
    won = []

    def race(number):
        node = shared.nodes[number % 3 + 1]
        value = json.dumps({"mail": "ada@example.org"})
        answer = httpx.put(f"{url_of(node)}/v1/kv/u{number}?keyspace=users",
                           content=value.encode(), timeout=30)
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 200:
            won.append(f"u{number}")

    racers = [threading.Thread(target=race, args=(number,)) for number in range(24)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(won) == 1
    victim = shared.leader()
    victim.kill()
    victim.start()
    shared.wait_healthy()
    for node in shared.nodes.values():
        found = httpx.post(f"{url_of(node)}/v1/kv:find?keyspace=users", timeout=30,
                           json={"index": "mails", "equals": "ada@example.org"}).json()
        assert [item["key"] for item in found["items"]] == won
    again = httpx.put(f"{url_of(victim)}/v1/kv/other?keyspace=users", timeout=30,
                      content=json.dumps({"mail": "ada@example.org"}).encode())
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_exists")


def test_values_that_are_not_unique_fail_a_unique_index(shared, http):
    assert http.post("/v1/keyspaces", json={"name": "twice"}).status_code == 200
    put(http, "twice", {"a": 1, "b": 1})
    assert http.post("/v1/kv:create_index?keyspace=twice",
                     json={"index": "ages", "field": "user.age", "unique": True}).status_code == 200
    end = time.monotonic() + 30
    while True:
        said = http.get("/v1/kv:indexes?keyspace=twice").json()["indexes"][0]
        if said["state"] == "failed" or time.monotonic() > end:
            break
        time.sleep(0.05)
    assert (said["state"], said["conflict"]) == ("failed", "b")
    assert http.post("/v1/kv:find?keyspace=twice", json={"index": "ages"}).status_code == 412
    assert run(shared, "kv", "drop-index", "ages", "--keyspace", "twice").returncode == 0
    listed = run(shared, "kv", "indexes", "--keyspace", "twice")
    assert listed.returncode == 0 and b"ready" not in listed.stdout
