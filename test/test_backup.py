# SPDX-License-Identifier: Apache-2.0
"""Backups while a cluster serves, restored into another one; export and import."""
import json
import subprocess
import threading

import httpx
import pytest

from cluster import BINARY, Cluster


def nodes_of(cluster):
    return ",".join(f"127.0.0.1:{n.http}" for n in cluster.nodes.values())


def run(cluster, *words, stdin=None):
    return subprocess.run([BINARY, *words, "--node", nodes_of(cluster)], input=stdin,
                          capture_output=True, timeout=120, check=False)


def http_to(cluster):
    node = cluster.running()[0]
    return httpx.Client(base_url=f"http://127.0.0.1:{node.http}", timeout=30)


def contents(cluster, keyspace="default"):
    """Every key with its value and whether it ends, by the server's own pages."""
    found, resume = {}, None
    with http_to(cluster) as http:
        while True:
            query = {"limit": 5_000, **({"resume": resume} if resume else {})}
            page = http.post(f"/v1/kv:scan?keyspace={keyspace}", json=query).json()
            for item in page["items"]:
                key = item.get("key") or item["key_base64"]
                value = item["value"] if "value" in item else item["value_base64"]
                found[key] = (value, item["expires_at_ms"] is None)
            resume = page.get("resume")
            if not resume:
                return found


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("source") / "cluster") as made:
        made.start()
        with http_to(made) as http:
            for begin in range(0, 20_000, 5_000):
                items = [{"key": f"k{n}", "value": f"value {n}"}
                         for n in range(begin, begin + 5_000)]
                assert http.post("/v1/kv:put_many", json={"items": items}).status_code == 200
            http.put("/v1/kv/%FF%00", content=b"\xfe")
            http.put("/v1/kv/ends?ttl=1h", content=b"x")
            http.post("/v1/keyspaces", json={"name": "orders", "keys_max": 100})
            http.put("/v1/kv/k1?keyspace=orders", content=b"of orders")
            declared = {"index": "names", "field": "name", "unique": True}
            assert http.post("/v1/kv:create_index?keyspace=orders", json=declared).is_success
        yield made


def test_a_backup_made_under_load_is_restored_into_another_cluster(source, directory, tmp_path):
    """Each key is as it was when the backup began or later, and the quiet ones are exact."""
    stop, tried = threading.Event(), {}

    def write():
        with http_to(source) as http:
            number = 0
            while not stop.is_set():
                key = f"busy{number % 500}"
                tried[key] = number
                assert http.put(f"/v1/kv/{key}", content=str(number)).status_code == 200
                number += 1
    writer = threading.Thread(target=write)
    writer.start()
    path = str(tmp_path / "all.qb")
    try:
        done = run(source, "backup", path)
    finally:
        stop.set()
        writer.join()
    assert done.returncode == 0, done.stderr
    assert run(source, "backup", "verify", path).returncode == 0
    refused = run(source, "restore", path)
    assert refused.returncode == 1 and b"not empty" in refused.stderr
    with Cluster(directory, count=1) as target:
        target.start()
        restored = run(target, "restore", path)
        assert restored.returncode == 0, restored.stderr
        before, after = contents(source), contents(target)
        quiet = {k: v for k, v in before.items() if not k.startswith("busy")}
        assert {k: v for k, v in after.items() if not k.startswith("busy")} == quiet
        assert all(int(value) <= tried[key] for key, (value, _) in after.items()
                   if key.startswith("busy"))
        assert contents(target, "orders") == contents(source, "orders")
        said = json.loads(run(target, "keyspace", "status", "orders", "--json").stdout)
        assert said["keys_max"] == 100
        indexes = run(target, "kv", "indexes", "--keyspace", "orders", "--json").stdout
        index = json.loads(indexes)["indexes"][0]
        assert (index["index"], index["field"], index["unique"]) == ("names", "name", True)


def test_a_damaged_backup_is_not_restored_at_all(source, directory, tmp_path):
    path = tmp_path / "damaged.qb"
    assert run(source, "backup", str(path)).returncode == 0
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    for content in (bytes(damaged), whole[:-20], whole[:len(whole) // 2], b""):
        path.write_bytes(content)
        assert run(source, "backup", "verify", str(path)).returncode == 1
    path.write_bytes(damaged)
    with Cluster(directory, count=1) as target:
        target.start()
        assert run(target, "restore", str(path)).returncode == 1
        assert not contents(target)


def test_export_and_import_are_each_other_turned_round(source, directory, tmp_path):
    path = tmp_path / "keys.jsonl"
    assert run(source, "kv", "export", str(path), "--prefix", "k1").returncode == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["key"] for line in lines) == sorted(
        f"k{n}" for n in range(20_000) if str(n).startswith("1"))
    everything = run(source, "kv", "export").stdout
    with Cluster(directory, count=1) as target:
        target.start()
        done = run(target, "kv", "import", "-", stdin=everything)
        assert done.returncode == 0, done.stderr
        assert contents(target) == contents(source)
        wrong = run(target, "kv", "import", "-", stdin=b'{"key":"a","value":"1"}\n{}\n')
        assert wrong.returncode == 2 and b"line 2" in wrong.stderr
        for line, why in [(b'{"key":"b","value":"1","tttl":"1h"}', b"unknown field 'tttl'"),
                          (b'{"key":"b"}', b"without a value"),
                          (b'{"value":"1"}', b"without a key"),
                          (b'["b"]', b"no JSON object")]:
            wrong = run(target, "kv", "import", "-", stdin=b'{"key":"a","value":"1"}\n\n' + line)
            assert wrong.returncode == 2 and b"line 3: " in wrong.stderr and why in wrong.stderr
        assert run(target, "kv", "get", "b").returncode == 1
        done = run(target, "kv", "import", "-", stdin=b'{"key":"b","value":"1","ttl":"1h"}\n')
        assert done.returncode == 0, done.stderr
        left = json.loads(run(target, "kv", "ttl", "b", "--json").stdout)["ttl_ms"]
        assert 3_500_000 < left <= 3_600_000
