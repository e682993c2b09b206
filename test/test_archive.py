# SPDX-License-Identifier: Apache-2.0
"""An archive of every change: any moment is restored, whoever is killed meanwhile."""
import json
import os
import signal
import subprocess
import time

import pytest
import redis

from cluster import BINARY, Cluster
from test_backup import contents, http_to, nodes_of, run


def follow(cluster, directory, *flags):
    """An archiver that goes on until it is killed."""
    return subprocess.Popen(
        [BINARY, "backup", "follow", str(directory), *flags, "--node", nodes_of(cluster)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def catch_up(cluster, directory, *flags):
    done = run(cluster, "backup", "follow", str(directory), "--once", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()


def wait_for(look, seconds=60):
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def write(http, method, path, **more):
    """Until it is answered: a leader may be dying."""
    headers = {"Idempotency-Key": os.urandom(8).hex()}
    end = time.monotonic() + 60
    while True:
        answer = http.request(method, path, headers=headers, **more)
        if answer.status_code == 200:
            return answer.json()
        assert answer.json()["error"]["retry"] != "no", answer.text
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)


def group_time(http, group):
    """The time of the group's leader, and its revision: what `--at` speaks of."""
    told = http.post("/v1/kv:trail", json={"group": group, "after": 0, "limit": 1})
    if told.status_code == 200:
        return told.json()["at_ms"], told.json()["revision"]
    page = http.post("/v1/kv:dump", json={"group": group}).json()
    return page["at_ms"], page["revision"]


def moment(cluster):
    """A time after everything that was answered and before everything that comes; and a cursor."""
    with http_to(cluster) as http:
        groups = len(http.get("/cluster/status").json()["groups"]) - 1
        told = [group_time(http, group) for group in range(1, groups + 1)]
        at_ms = max(at for at, _ in told)
        wait_for(lambda: all(group_time(http, group)[0] > at_ms for group in range(1, groups + 1)))
    cursor = ",".join(f"{n + 1}:{revision}" for n, (_, revision) in enumerate(told))
    return f"@{at_ms // 1000}.{at_ms % 1000:03}", cursor


def restored(directory, archive, *flags):
    """Contents of both keyspaces, and the indexes, of a fresh cluster."""
    with Cluster(directory, count=1) as target:
        target.start()
        done = run(target, "restore", str(archive), *flags)
        assert done.returncode == 0, done.stderr
        indexes = json.loads(run(target, "kv", "indexes", "--json").stdout)["indexes"]
        has_orders = run(target, "keyspace", "status", "orders").returncode == 0
        return {"default": contents(target),
                "orders": contents(target, "orders") if has_orders else None,
                "indexes": sorted((i["index"], i["field"], i["unique"]) for i in indexes)}


def state(cluster):
    indexes = json.loads(run(cluster, "kv", "indexes", "--json").stdout)["indexes"]
    has_orders = run(cluster, "keyspace", "status", "orders").returncode == 0
    return {"default": contents(cluster),
            "orders": contents(cluster, "orders") if has_orders else None,
            "indexes": sorted((i["index"], i["field"], i["unique"]) for i in indexes)}


@pytest.fixture
def source(directory):
    with Cluster(directory + "/source") as made:
        yield made.start()


def first_writes(http):
    items = [{"key": f"k{n}", "value": f"{{\"n\":{n}}}"} for n in range(2_000)]
    write(http, "POST", "/v1/kv:put_many", json={"items": items})
    write(http, "PUT", "/v1/kv/ends?ttl=1h", content=b"x")
    write(http, "PUT", "/v1/kv/%FF%00", content=b"\xfe")
    write(http, "POST", "/v1/kv:create_index", json={"index": "numbers", "field": "n"})


def later_writes(http):
    for n in range(100):
        write(http, "DELETE", f"/v1/kv/k{n}")
        write(http, "PUT", f"/v1/kv/k{n + 100}", content=f"changed {n}")
    write(http, "POST", "/v1/kv/ends/touch?persist=true")
    write(http, "POST", "/v1/kv/k200/touch?ttl=1h")
    write(http, "POST", "/v1/keyspaces", json={"name": "orders", "keys_max": 50})
    write(http, "PUT", "/v1/kv/o1?keyspace=orders", content=b"of orders")
    write(http, "POST", "/v1/kv:drop_index", json={"index": "numbers"})
    write(http, "POST", "/v1/kv:create_index", json={"index": "names", "field": "name"})


def last_writes(http):
    write(http, "POST", "/v1/kv:delete_range", json={"prefix": "k1"})
    write(http, "DELETE", "/v1/keyspaces/orders")
    write(http, "PUT", "/v1/kv/k3", content=b"the last")


def test_every_moment_is_restored_though_archiver_and_leader_are_killed(source, directory,
                                                                       tmp_path):
    archive = tmp_path / "archive"
    with http_to(source) as http:
        first_writes(http)
        archiver = follow(source, archive)
        try:
            wait_for(lambda: list(archive.glob("base-*.qb")))
            moments = [(*moment(source), state(source))]
            archiver.send_signal(signal.SIGKILL)
            archiver.wait()
            archiver = follow(source, archive)
            leader = source.leader()
            leader.kill()
            leader.start()
            source.wait_healthy()
        finally:
            later = http_to(source)
            later_writes(later)
            moments.append((*moment(source), state(source)))
            last_writes(later)
            moments.append((*moment(source), state(source)))
            archiver.send_signal(signal.SIGKILL)
            archiver.wait()
            later.close()
        catch_up(source, archive)
    assert run(source, "backup", "verify", str(archive)).returncode == 0
    assert len({json.dumps(each, sort_keys=True) for *_, each in moments}) == 3
    for number, (at, cursor, expected) in enumerate(moments):
        for flag in (at, cursor):
            found = restored(f"{directory}/target{number}", archive, "--at", flag)
            assert found == expected, (number, flag)
    assert restored(f"{directory}/newest", archive) == moments[-1][2]


def test_one_keyspace_alone_comes_back_by_its_revision(source, directory, tmp_path):
    archive = tmp_path / "archive"
    with http_to(source) as http:
        write(http, "POST", "/v1/keyspaces", json={"name": "orders"})
        write(http, "PUT", "/v1/kv/a?keyspace=orders", content=b"1")
        catch_up(source, archive)
        answer = http.put("/v1/kv/a?keyspace=orders", content=b"2")
        revision, group = answer.json()["revision"], answer.headers["Quorate-Group"]
        write(http, "PUT", "/v1/kv/a?keyspace=orders", content=b"3")
        catch_up(source, archive)
        for number in range(1, 100):  # another group says nothing of this keyspace
            if str(number) != group:
                wrong = run(source, "restore", str(archive), "--at", f"{number}:1",
                            "--keyspace", "orders")
                assert wrong.returncode in (1, 2), wrong
                break
        refused = run(source, "restore", str(archive), "--at", f"{group}:{revision}",
                      "--keyspace", "orders")
        assert refused.returncode == 1 and b"not empty" in refused.stderr
        write(http, "DELETE", "/v1/keyspaces/orders")
        done = run(source, "restore", str(archive), "--at", f"{group}:{revision}",
                   "--keyspace", "orders")
        assert done.returncode == 0, done.stderr
        assert contents(source, "orders") == {"a": ("2", True)}


def test_an_archiver_that_fell_behind_begins_a_new_base_and_says_so(source, directory, tmp_path):
    archive = tmp_path / "archive"
    with http_to(source) as http:
        write(http, "PUT", "/v1/kv/%7Bone%7Da", content=b"before")
        catch_up(source, archive)
        before, _ = moment(source)
        catch_up(source, archive)
        for _ in range(6):  # of one group, and more than its history holds
            write(http, "PUT", "/v1/kv/%7Bone%7Dbig", content=os.urandom(2_000_000))
        write(http, "PUT", "/v1/kv/%7Bone%7Da", content=b"between")
        between, _ = moment(source)
        write(http, "DELETE", "/v1/kv/%7Bone%7Dbig")
        said = catch_up(source, archive)
        assert "behind" in said and "new base" in said
        after, _ = moment(source)
        catch_up(source, archive)
    verified = run(source, "backup", "verify", str(archive))
    assert verified.returncode == 1 and b"up to" in verified.stderr
    assert restored(f"{directory}/before", archive, "--at", before)["default"] == {
        "{one}a": ("before", True)}
    assert restored(f"{directory}/after", archive, "--at", after)["default"] == {
        "{one}a": ("between", True)}
    refused = run(source, "restore", str(archive), "--at", between, "--force")
    assert refused.returncode == 1, refused
    assert b"are missing" in refused.stderr or b"up to" in refused.stderr


def test_damage_is_named_and_what_needs_it_is_not_restored(source, directory, tmp_path):
    archive = tmp_path / "archive"
    with http_to(source) as http:
        write(http, "PUT", "/v1/kv/a", content=b"1")
        catch_up(source, archive)
        write(http, "PUT", "/v1/kv/a", content=b"2")
        early, _ = moment(source)
        catch_up(source, archive)
        write(http, "PUT", "/v1/kv/a", content=b"3")
        catch_up(source, archive)
    changes = sorted(archive.glob("changes-*.ql"))
    middle = next(path for path in changes if b'"value":"2"' in path.read_bytes())
    last = next(path for path in changes if b'"value":"3"' in path.read_bytes())
    whole = middle.read_bytes()
    for content in (whole.replace(b'"value":"2"', b'"value":"9"'), whole[:len(whole) // 2]):
        middle.write_bytes(content)
        for flags in (["--at", early], []):
            refused = run(source, "restore", str(archive), "--force", *flags)
            assert refused.returncode == 1, refused
            assert middle.name.encode() in refused.stderr, refused.stderr
        verified = run(source, "backup", "verify", str(archive))
        assert verified.returncode == 1 and middle.name.encode() in verified.stderr
    middle.write_bytes(whole)
    assert run(source, "backup", "verify", str(archive)).returncode == 0
    last.unlink()  # a whole file is missing, and what comes before it is there
    assert restored(f"{directory}/early", archive, "--at", early)["default"] == {"a": ("2", True)}


def test_two_archivers_do_not_share_a_directory_nor_two_clusters_an_archive(source, directory,
                                                                           tmp_path):
    archive = tmp_path / "archive"
    with http_to(source) as http:
        first_writes(http)
    archiver = follow(source, archive)
    try:
        wait_for(lambda: list(archive.glob("base-*.qb")))
        second = run(source, "backup", "follow", str(archive), "--once")
        assert second.returncode == 1 and b"another archiver" in second.stderr
    finally:
        archiver.send_signal(signal.SIGTERM)
        assert archiver.wait(timeout=60) == 0
    with Cluster(f"{directory}/other", count=1) as other:
        other.start()
        wrong = run(other, "backup", "follow", str(archive), "--once")
        assert wrong.returncode == 1 and b"another one" in wrong.stderr, wrong


def hashes(cluster, *names):
    """What a Redis client finds: each hash and whether it ends; None if there is none."""
    with redis.Redis(port=cluster.running()[0].resp, socket_timeout=20) as client:
        return {name: (client.hgetall(name), client.ttl(name) > 0) if client.exists(name) else None
                for name in names}


def test_hashes_come_back_at_any_moment_and_from_a_backup(source, directory, tmp_path):
    """With their fields, whatever bytes those are, and still hashes to who asks for their type."""
    archive, file = tmp_path / "archive", tmp_path / "one.qb"
    names = ["cart", "odd", "gone", "late"]
    moments = []
    with redis.Redis(port=source.running()[0].resp, socket_timeout=20) as client:
        def remember():
            moments.append((moment(source)[0], hashes(source, *names)))
        client.hset("cart", mapping={f"item:{n}": n for n in range(300)})
        client.hset("odd", mapping={b"\xff\x00": b"\r\n\xfe", b"": b"", b"n": b"1"})
        client.hset("gone", "a", 1)
        client.expire("odd", 3600)
        catch_up(source, archive)
        remember()
        client.hdel("cart", *[f"item:{n}" for n in range(100)])
        client.hincrby("odd", "n", 41)
        client.hset("cart", "item:200", "changed")
        client.delete("gone")
        catch_up(source, archive)
        remember()
        client.set("cart", "a string by now")
        client.hset("late", "f", "v")
        catch_up(source, archive)
        assert run(source, "backup", str(file)).returncode == 0
        client.hset("late", "f", "after the backup")
    assert run(source, "backup", "verify", str(archive)).returncode == 0
    assert moments[0][1]["cart"] != moments[1][1]["cart"] and moments[1][1]["gone"] is None
    for number, (at, expected) in enumerate(moments):
        with Cluster(f"{directory}/target{number}", count=1) as target:
            target.start()
            done = run(target, "restore", str(archive), "--at", at)
            assert done.returncode == 0, done.stderr
            assert hashes(target, *names) == expected, at
            with redis.Redis(port=target.nodes[1].resp, socket_timeout=20) as client:
                assert client.type("cart") == b"hash"
                client.hset("cart", "more", "1")   # it goes on as a hash
                assert client.hlen("cart") == len(expected["cart"][0]) + 1
    for kind, flags in (("archive", [str(archive)]), ("file", [str(file)])):
        with Cluster(f"{directory}/{kind}", count=1) as target:
            target.start()
            assert run(target, "restore", *flags).returncode == 0
            assert hashes(target, "late", "odd") == {"late": ({b"f": b"v"}, False),
                                                     "odd": moments[1][1]["odd"]}
            with redis.Redis(port=target.nodes[1].resp, socket_timeout=20) as client:
                assert client.get("cart") == b"a string by now"


def test_ends_may_be_as_far_away_as_they_were(source, directory, tmp_path):
    archive = tmp_path / "archive"
    with http_to(source) as http:
        write(http, "PUT", "/v1/kv/lasts", content=b"1")
        catch_up(source, archive)
        write(http, "PUT", "/v1/kv/ends?ttl=4s", content=b"1")
        at, _ = moment(source)
        catch_up(source, archive)
        wait_for(lambda: http.get("/v1/kv/ends").status_code == 404)
        catch_up(source, archive)
    kept = restored(f"{directory}/kept", archive, "--at", at)["default"]
    assert kept == {"lasts": ("1", True)}
    with Cluster(f"{directory}/shifted", count=1) as target:
        target.start()
        done = run(target, "restore", str(archive), "--at", at, "--shift-ends", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["stored"] == 2
