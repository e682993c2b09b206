# SPDX-License-Identifier: Apache-2.0
"""Hashes by redis-py: a cluster and Redis itself are asked the same, and answer the same."""
import random
import shutil
import subprocess
import time

import pytest
import redis

from cluster import Cluster, free_port

WRONG = "WRONGTYPE"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("hashes") / "cluster") as made:
        yield made.start().wait_settled()


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not there")
    port = free_port()
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
             "--dir", str(tmp_path_factory.mktemp("redis"))]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as server:
        with redis.Redis(port=port) as client:
            end = time.monotonic() + 60
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert time.monotonic() < end and server.poll() is None, "redis-server is gone"
                    time.sleep(0.05)
        yield port
        server.terminate()


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def pair(cluster, redis_port, request):
    """Ours, at a node that leads a part of the keys only, and Redis; both empty."""
    options = {"protocol": request.param, "socket_timeout": 20}
    with redis.Redis(port=cluster.nodes[2].resp, **options) as ours, \
            redis.Redis(port=redis_port, **options) as theirs:
        ours.flushall()
        theirs.flushall()
        yield ours, theirs


def said(client, words):
    try:
        return client.execute_command(*words)
    except redis.ResponseError as error:
        return f"{type(error).__name__}: {error}"


def same(pair, *lines):
    begun = time.monotonic()
    for line in lines:
        words = line.split(" ") if isinstance(line, str) else line
        ours, theirs = (said(client, words) for client in pair)
        # Seconds that are left are rounded: two that were asked one after the other differ once
        # half a second has passed.
        if words[0] == "TTL" and min(ours, theirs) > 0:
            assert abs(ours - theirs) <= int(time.monotonic() - begun + 0.5), words
        else:
            assert ours == theirs, words


def test_every_command_answers_as_redis_does(pair):
    same(pair,
         "HSET h a 1 b 2", "HSET h b 3 c 4 c 5", "HSET h a", "HSET h a 1 b", "HMSET h d 5 e 6",
         "HMSET h d", "HSETNX h a 9", "HSETNX h f 7", "HGET h a", "HGET h x", "HGET none a",
         "HMGET h a x b", "HMGET none a", "HGETALL h", "HGETALL none", "HKEYS h", "HVALS h",
         "HLEN h", "HLEN none", "HEXISTS h a", "HEXISTS h x", "HSTRLEN h c", "HSTRLEN h x",
         "HSTRLEN none x", "HSCAN h 0", "HSCAN h 0 MATCH [ab]", "HSCAN h 0 MATCH x* COUNT 5",
         "HSCAN h 0 COUNT 0", "HSCAN h 0 MATCH", "HSCAN h x", "HSCAN none 0", "HRANDFIELD none",
         "HRANDFIELD none 2", "HRANDFIELD h 0", "HRANDFIELD h 100", "HRANDFIELD h 100 WITHVALUES",
         "HRANDFIELD h 1 VALUES", "HRANDFIELD h x", "HDEL h a x b", "HDEL h a", "HDEL none a",
         "HGETALL h", "TYPE h", "OBJECT ENCODING h", "EXISTS h", "HDEL h c d e f", "EXISTS h",
         "TYPE h", ["HSET", "h", "", "", b"\x00\xff", b"\r\n"], "HGETALL h")


def test_numbers_in_fields(pair):
    same(pair,
         "HINCRBY n f 5", "HINCRBY n f -7", "HINCRBY n f x", "HINCRBY n f 1.5",
         "HINCRBY n f 9223372036854775808", "HSET n g 9223372036854775807 t text e",
         "HSET n g 9223372036854775807 t text", "HINCRBY n g 1", "HINCRBY n t 1",
         "HINCRBYFLOAT n d 10.5", "HINCRBYFLOAT n d -0.5", "HINCRBYFLOAT n d 0.25",
         "HINCRBYFLOAT n t 1", "HINCRBYFLOAT n d x", "HINCRBYFLOAT n f 1", "HGETALL n")


def test_other_kinds_are_refused_and_left_alone(pair):
    same(pair,
         "SET s text", "HSET s a 1", "HSETNX s a 1", "HGET s a", "HMGET s a", "HGETALL s",
         "HKEYS s", "HVALS s", "HLEN s", "HEXISTS s a", "HSTRLEN s a", "HDEL s a", "HINCRBY s a 1",
         "HINCRBYFLOAT s a 1", "HSCAN s 0", "HRANDFIELD s", "HRANDFIELD s 2", "GET s",
         "HSET h a 1", "GET h", "GETSET h x", "SET h x GET", "SET h x XX GET", "SET h x NX GET",
         "SETNX h x", "GETDEL h", "GETEX h EX 5", "STRLEN h", "GETRANGE h 0 1", "SETRANGE h 0 x",
         "APPEND h x", "INCR h", "DECRBY h 2", "INCRBYFLOAT h 1", "MGET h", "TTL h", "HGETALL h",
         "SET h x", "TYPE h", "HGET h a")
    assert WRONG in said(pair[0], ["HGET", "h", "a"])


def test_a_hash_is_a_key_as_any_other(pair):
    same(pair,
         "HSET {t}h a 1 b 2", "TYPE {t}h", "EXPIRE {t}h 100", "TTL {t}h", "HSET {t}h c 3",
         "TTL {t}h", "PERSIST {t}h", "TTL {t}h", "COPY {t}h {t}i", "RENAME {t}h {t}j",
         "RENAMENX {t}j {t}i", "HGETALL {t}i", "HGETALL {t}j", "EXISTS {t}h {t}i {t}j",
         "SCAN 0 COUNT 1000 MATCH {t}i TYPE hash", "DEL {t}i {t}j", "DBSIZE")
    ours = pair[0]
    ours.hset("h", "a", 1)
    ours.set("s", 1)
    assert list(ours.scan_iter(count=1000, _type="hash")) == [b"h"]
    assert list(ours.scan_iter(count=1000, _type="string")) == [b"s"]
    ours.pexpire("h", 1)
    time.sleep(0.1)
    assert ours.hgetall("h") == {} and ours.exists("h") == 0


def test_in_transactions(pair):
    for client in pair:
        with client.pipeline(transaction=True) as pipe:
            pipe.watch("t")
            pipe.multi()
            pipe.hset("t", mapping={"a": 1, "b": 2}).hget("t", "a").hincrby("t", "a", 4)
            pipe.hgetall("t").hdel("t", "b").hlen("t").hscan("t").hexists("t", "b")
            assert pipe.execute() == [2, b"1", 5, {b"a": b"5", b"b": b"2"}, 1, 1,
                                      (0, {b"a": b"5"}), False]
        with client.pipeline(transaction=True) as pipe:
            pipe.watch("t")
            client.hset("t", "a", "changed")
            pipe.multi()
            pipe.hset("t", "a", "never")
            with pytest.raises(redis.WatchError):
                pipe.execute()
        assert client.hget("t", "a") == b"changed"


def test_many_changes_by_chance_leave_the_same_hashes(pair):
    chance = random.Random(5)
    for _ in range(400):
        key, field = f"h{chance.randrange(4)}", f"f{chance.randrange(12)}"
        same(pair, chance.choice([
            ["HSET", key, field, chance.randrange(100)], ["HDEL", key, field],
            ["HINCRBY", key, field, chance.randrange(-5, 5)], ["HGET", key, field],
            ["HSETNX", key, field, "7"], ["HGETALL", key], ["HLEN", key]]))


def test_chosen_fields_are_fields(pair):
    ours = pair[0]
    fields = {f"f{n}".encode(): str(n).encode() for n in range(50)}
    ours.hset("h", mapping=fields)
    assert ours.hrandfield("h") in fields
    some = ours.hrandfield("h", 20)
    assert len(set(some)) == 20 and set(some) <= set(fields)
    assert len(ours.hrandfield("h", -120)) == 120
    assert len({tuple(ours.hrandfield("h", 5)) for _ in range(20)}) > 1
    assert dict(ours.hscan_iter("h")) == fields


def test_a_counter_in_a_hash_loses_nothing_to_races(cluster):
    clients = [redis.Redis(port=node.resp, socket_timeout=20) for node in cluster.running()]
    clients[0].delete("race")
    pipes = [client.pipeline(transaction=False) for client in clients]
    for pipe in pipes:
        for _ in range(200):
            pipe.hincrby("race", "n", 1)
    answers = sorted(value for pipe in pipes for value in pipe.execute())
    assert answers == list(range(1, 1 + 200 * len(clients)))
    told = cluster.nodes[1].client().get("/v1/kv/race").json()
    assert told["type"] == "hash" and told["fields"] == [
        {"field": "n", "value": str(200 * len(clients))}]
