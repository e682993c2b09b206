# SPDX-License-Identifier: Apache-2.0
"""Values that are kept compressed, bodies that travel so, and quotas that refuse at once."""
import gzip
import json
import subprocess
import time

import httpx
import pytest

from cluster import BINARY, Cluster


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("values") / "cluster") as made:
        yield made.start()


@pytest.fixture
def http(shared):
    with httpx.Client(base_url=f"http://127.0.0.1:{shared.nodes[1].http}", timeout=30) as client:
        yield client


def run(cluster, *words, stdin=None, within=60):
    nodes = ",".join(f"127.0.0.1:{node.http}" for node in cluster.nodes.values())
    return subprocess.run([BINARY, *words, "--node", nodes], input=stdin, capture_output=True,
                          timeout=within, check=False)


def document(number, fields=200):
    return json.dumps({f"field{at}": f"value {at} of {number}" for at in range(fields)}).encode()


def saved_by_metrics(cluster):
    """Of all nodes, each of which tells what it leads."""
    name, total = 'quorate_kv_saved_bytes{keyspace="default"} ', 0
    for node in cluster.nodes.values():
        text = httpx.get(f"http://127.0.0.1:{node.http}/metrics", timeout=30).text
        total += sum(int(line[len(name):]) for line in text.splitlines() if line.startswith(name))
    return total


def test_values_are_kept_compressed_and_read_as_they_were(shared, http):
    documents = {f"doc/{number}": document(number) for number in range(20)}
    for key, value in documents.items():
        assert http.put(f"/v1/kv/{key}", content=value).status_code == 200
    said = http.get("/v1/keyspaces/default").json()
    assert said["compress_above"] == 1024
    assert said["saved_bytes"] > said["bytes"] / 2, said
    victim = shared.nodes[3]
    victim.kill()
    victim.start()
    shared.wait_healthy()
    for node in shared.nodes.values():
        with httpx.Client(base_url=f"http://127.0.0.1:{node.http}", timeout=30) as client:
            for key, value in documents.items():
                assert client.get(f"/v1/kv/{key}").content == value
    assert http.put("/v1/keyspaces/default", json={"compress_above": None}).status_code == 200
    before = http.get("/v1/kv:stats").json()["saved_bytes"]
    shared.wait(lambda: saved_by_metrics(shared) != before)  # leaders may be on their way back
    assert http.put("/v1/kv/doc/x", content=document("x")).status_code == 200
    assert http.get("/v1/kv:stats").json()["saved_bytes"] == before
    changed = run(shared, "keyspace", "change", "default", "--compress-above", "512")
    assert b"compressed from 512 bytes on" in changed.stdout, changed


def test_bodies_travel_in_gzip(http):
    value = document("gzip", 3000)
    packed = gzip.compress(value)
    put = http.put("/v1/kv/packed", content=packed, headers={"Content-Encoding": "gzip"})
    assert put.status_code == 200, put.text
    got = http.get("/v1/kv/packed", headers={"Accept-Encoding": "gzip"})
    assert got.headers["content-encoding"] == "gzip"
    assert got.num_bytes_downloaded < len(value) / 2 and got.content == value
    plain = http.get("/v1/kv/packed", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.content == value
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    refused = http.put("/v1/kv/bomb", content=bomb, headers={"Content-Encoding": "gzip"})
    assert refused.status_code == 413
    assert http.put("/v1/kv/bomb", content=b"no gzip",
                    headers={"Content-Encoding": "gzip"}).status_code == 415


def test_a_quota_is_told_at_once_and_not_waited_for(shared, http):
    assert http.post("/v1/keyspaces", json={"name": "full", "keys_max": 1}).status_code == 200
    assert http.put("/v1/kv/a?keyspace=full", content=b"1").status_code == 200
    refused = http.put("/v1/kv/b?keyspace=full", content=b"1")
    assert (refused.status_code, refused.json()["error"]["retry"]) == (507, "no")
    begun = time.monotonic()
    said = run(shared, "kv", "put", "b", "1", "--keyspace", "full", "--timeout", "20")
    assert said.returncode == 1 and b"quota_exceeded" in said.stderr, said
    assert time.monotonic() - begun < 10
