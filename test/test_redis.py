# SPDX-License-Identifier: Apache-2.0
"""Redis's own tools and redis-py, unchanged, against a cluster; also while nodes are killed."""
import subprocess
import threading
import time

import pytest
import redis
import redis.cluster
from redis.backoff import ConstantBackoff
from redis.crc import key_slot
from redis.retry import Retry

from cluster import GROUPS, Cluster


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One cluster for the tests that break nothing."""
    with Cluster(tmp_path_factory.mktemp("redis") / "cluster") as made:
        yield made.start().wait_settled()


@pytest.fixture
def node(shared):
    """The tests share the keys, and each begins with none."""
    first = shared.nodes[1]
    plain(first).flushall()
    return first


def plain(node, **more):
    return redis.Redis(port=node.resp, decode_responses=True, socket_timeout=20, **more)


def clustered(cluster, **more):
    nodes = [redis.cluster.ClusterNode("127.0.0.1", n.resp) for n in cluster.running()]
    return redis.cluster.RedisCluster(startup_nodes=nodes, decode_responses=True,
                                      socket_timeout=20, **more)


# ---- redis-cli and redis-benchmark --------------------------------------------------------------

def cli(node, *words, stdin=None):
    done = subprocess.run(["redis-cli", "-p", str(node.resp), *words], input=stdin, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_redis_cli(node, shared):
    assert cli(node, "set", "k", "v", "EX", "100") == "OK\n"
    assert cli(shared.nodes[2], "get", "k") == "v\n"
    assert cli(node, "-3", "--json", "mget", "k", "k") == '["v","v"]\n'
    assert "unknown command 'lpush'" in cli(node, "lpush", "l", "1")
    assert cli(node, stdin="multi\nincr n\nincr n\nexec\n").split() == [
        "OK", "QUEUED", "QUEUED", "1", "2"]
    for number in range(30):
        cli(node, "set", f"many:{number}", "x") if number % 10 == 0 else None
    assert sorted(cli(node, "--scan", "--pattern", "many:*").split()) == [
        "many:0", "many:10", "many:20"]
    assert cli(node, "-c", "set", "elsewhere", "1") == "OK\n"
    assert "All 16384 slots covered" in cli(node, "--cluster", "check", f"127.0.0.1:{node.resp}")


def test_redis_cli_takes_a_mass_of_commands_by_pipe(node):
    commands = "".join(f"SET pipe:{n} value{n}\r\n" for n in range(5_000))
    said = cli(node, "--pipe", stdin=commands)
    assert "errors: 0, replies: 5000" in said
    assert cli(node, "dbsize") == "5000\n"


# MSET takes keys of one group, so the tool's random keys have to carry its tags of a cluster.
@pytest.mark.parametrize("more", [["-t", "ping,set,get,incr", "-r", "1000"],
                                  ["-t", "set,get", "-P", "16", "-r", "1000"],
                                  ["-t", "set,get,mset", "-3"],
                                  ["-t", "set,get,mset", "-r", "1000", "--cluster"]],
                         ids=["plain", "pipeline", "resp3", "cluster"])
def test_redis_benchmark(node, more):
    done = subprocess.run(
        ["redis-benchmark", "-p", str(node.resp), "-n", "2000", "-c", "20", "-q", *more],
        text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and "rror" not in done.stdout + done.stderr, done
    assert "requests per second" in done.stdout


# ---- redis-py -----------------------------------------------------------------------------------

@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def client(node, request):
    with plain(node, protocol=request.param) as made:
        yield made


def test_redis_py_strings(client):
    assert client.set("k", "v") is True and client.get("k") == "v"
    assert client.set("k", "w", nx=True) is None
    assert client.set("k", "w", xx=True, get=True, keepttl=True) == "v"
    assert client.setrange("k", 1, "xy") == 3 and client.getrange("k", 0, -1) == "wxy"
    assert client.append("k", "!") == 4 and client.strlen("k") == 4
    assert client.incrby("n", 5) == 5 and client.decr("n") == 4
    assert client.mset({"{t}a": 1, "{t}b": 2}) and client.mget("{t}a", "{t}c") == ["1", None]
    assert client.getdel("k") == "wxy!" and client.get("k") is None
    with pytest.raises(redis.ResponseError, match="not an integer"):
        client.set("s", "text") and client.incr("s")
    with pytest.raises(redis.ResponseError, match="CROSSSLOT|hash to the same slot"):
        client.mget([f"spread:{n}" for n in range(20)])


def test_redis_py_keys_and_ends(client):
    begun = time.monotonic()
    client.set("k", "v", px=60_000)
    ttl = client.ttl("k")   # rounded
    assert 59 - (time.monotonic() - begun) <= ttl <= 60 and 0 < client.pttl("k") <= 60_000
    assert client.expire("k", 100, gt=True) and not client.expire("k", 50, gt=True)
    assert client.persist("k") and client.ttl("k") == -1 and client.ttl("none") == -2
    client.set("brief", "v", px=1)
    time.sleep(0.01)
    assert client.get("brief") is None and client.exists("brief", "brief") == 0
    client.set("a1", 1), client.set("a2", 2)
    assert client.dbsize() == 3 and sorted(client.keys("a?")) == ["a1", "a2"]
    assert sorted(client.scan_iter(count=1)) == ["a1", "a2", "k"]
    assert client.randomkey() in ("a1", "a2", "k") and client.type("k") == "string"
    assert client.delete("k") == 1 and client.flushall() and client.dbsize() == 0


def test_redis_py_pipelines_and_transactions(client):
    pipe = client.pipeline(transaction=False)
    for number in range(200):
        pipe.set(f"p:{number}", number).get(f"p:{number}")
    assert pipe.execute() == [x for n in range(200) for x in (True, str(n))]
    with client.pipeline() as transaction:
        transaction.set("{t}a", 1).incr("{t}a").get("{t}a")
        assert transaction.execute() == [True, 2, "2"]
    with client.pipeline() as transaction:
        transaction.watch("{t}a")
        client.set("{t}a", 7)
        transaction.multi()
        transaction.set("{t}a", 8)
        with pytest.raises(redis.WatchError):
            transaction.execute()
    assert client.transaction(lambda p: p.multi() or p.incr("{t}a"), "{t}a") == [8]


def test_redis_py_server_and_connection(client, node):
    assert client.ping() and client.echo("hi") == "hi"
    assert client.info("server")["redis_version"] and client.info()["cluster_enabled"] == 1
    assert client.client_setname("me") and client.client_getname() == "me"
    ours = client.client_id()
    assert [c for c in client.client_list() if int(c["id"]) == ours][0]["name"] == "me"
    assert client.config_get("maxmemory*")["maxmemory"] == "0"
    assert client.command_count() == len(client.command())
    assert client.time()[0] > 0 and client.wait(1, 100) == 1
    with plain(node) as other:
        assert client.client_kill_filter(_id=other.client_id()) == 1
        assert other.ping(), "a killed client connects again"
    for command in (("LPUSH", "l", "1"), ("EVAL", "return 1", "0"), ("DEBUG", "SEGFAULT")):
        with pytest.raises(redis.ResponseError):
            client.execute_command(*command)
    assert client.ping()


def test_redis_py_cluster(node, shared):
    with clustered(shared) as client:
        keys = [f"key:{n}" for n in range(200)]
        for key in keys:
            assert client.set(key, key)
        assert [client.get(key) for key in keys] == keys
        assert client.mget_nonatomic(keys) == keys
        pipe = client.pipeline()
        for key in keys:
            pipe.get(key)
        assert pipe.execute() == keys
        assert set(client.scan_iter(match="key:1*")) == {k for k in keys if k.startswith("key:1")}
        assert client.cluster_keyslot("{a}b") == client.keyslot("a")
        assert len(client.get_nodes()) == 3
        ranges = [(int(low), int(high)) for low, high in client.cluster_slots()]
        assert sum(high - low + 1 for low, high in ranges) == 16_384
        assert client.flushall()


def forwarded(cluster):
    name = "quorate_node_forwarded_total "
    texts = [node.client().get("/metrics").body.decode() for node in cluster.running()]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines()
               if line.startswith(name))


def test_the_slot_map_names_who_serves(tmp_path):
    """At the ends of every range too: 12 groups share the slots unevenly."""
    with Cluster(tmp_path / "uneven", settings={"cluster.groups": 12}) as cluster:
        cluster.start().wait_settled()
        keys = {}
        for number in range(200_000):
            keys.setdefault(key_slot(str(number).encode()), str(number))

        def not_straight():
            with plain(cluster.nodes[1]) as client:
                ranges = client.execute_command("CLUSTER SLOTS")
            before = forwarded(cluster)
            assert len(ranges) == 12
            for first, last, leader, *_ in ranges:
                with redis.Redis(port=leader[1]) as client:
                    assert client.set(keys[first], "x") and client.set(keys[last], "x")
            more = forwarded(cluster) - before
            return more and f"{more} commands did not go where the map says"

        cluster.wait(not_straight)


# ---- while nodes are killed ---------------------------------------------------------------------

class Counters:
    """Threads that count in keys of their own. What was answered counts; what was not may count."""

    KEYS = 8

    def __init__(self, connect):
        self.answered = [0] * self.KEYS
        self.unknown = [0] * self.KEYS
        self.unexpected = []
        self._stop = threading.Event()
        self._connect = connect
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(self.KEYS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, number):
        with self._connect() as client:
            while not self._stop.is_set():
                try:
                    client.incr(f"counter:{number}")
                    self.answered[number] += 1
                except redis.exceptions.ClusterDownError:
                    time.sleep(0.01)   # nothing was done
                except redis.ResponseError as error:
                    if str(error).startswith("UNKNOWN"):
                        self.unknown[number] += 1
                    elif not str(error).startswith(("BUSY", "TIMEOUT")):   # these: nothing either
                        self.unexpected.append(str(error))
                except (redis.RedisError, redis.exceptions.RedisClusterException):
                    self.unknown[number] += 1
                    time.sleep(0.05)

    def wait_for_more(self, count=100, within=60):
        begin, deadline = sum(self.answered), time.monotonic() + within
        while sum(self.answered) < begin + count:
            assert time.monotonic() < deadline, f"no progress: {self.answered} {self.unexpected}"
            time.sleep(0.02)

    def verify(self, client):
        for number in range(self.KEYS):
            value = int(client.get(f"counter:{number}") or 0)
            least = self.answered[number]
            assert least <= value <= least + self.unknown[number], f"counter {number}"
        assert not self.unexpected


def leader_besides(cluster, survivor):
    """Leaders move back to where they are preferred within seconds."""
    found = []

    def look():
        found.extend(n for n in (cluster.leader(g) for g in range(1, GROUPS + 1))
                     if n is not survivor)
        return "" if found else "one node leads every group"
    cluster.wait(look)
    return found[0]


@pytest.mark.parametrize("kind", ["plain", "cluster"])
def test_counting_goes_on_while_leaders_are_killed(cluster, rounds, kind):
    never = Retry(ConstantBackoff(0), 0)   # a client that repeats an INCR by itself counts twice
    survivor = cluster.nodes[1]

    def connect():
        if kind == "plain":
            return plain(survivor, retry=never)
        return clustered(cluster, retry=never)

    with Counters(connect) as counters:
        for _ in range(rounds(3)):
            counters.wait_for_more()
            victim = leader_besides(cluster, survivor)
            victim.kill()
            counters.wait_for_more()
            victim.start()
            counters.wait_for_more()
            # Not "healthy": under load the replicas are never all at the same entry.
            cluster.wait(lambda: "" if victim.ready() else "the killed node is not back")
    cluster.wait_healthy()
    counters.verify(plain(survivor))


# ---- while leaders move -------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["plain", "cluster"])
def test_planned_moves_of_leaders_are_not_seen_by_clients(cluster, rounds, kind):
    """Each command is answered as if nothing had happened, once, and in its connection's order."""
    cluster.wait_settled()

    def connect():
        if kind == "plain":
            return plain(cluster.nodes[1], retry=Retry(ConstantBackoff(0), 0))
        return clustered(cluster, retry=Retry(ConstantBackoff(0), 0))

    writers = [Orderly(number, connect) for number in range(4)]
    for writer in writers:
        writer.start()
    for turn in range(rounds(40)):
        cluster.wait(lambda group=1 + turn % GROUPS: move(cluster, group))
        time.sleep(0.05)
    cluster.wait(lambda: "" if min(w.done for w in writers) > 50 or any(w.error for w in writers)
                 else "they hardly write")
    for writer in writers:
        writer.stop()
    assert [w.error for w in writers] == [None] * len(writers)


def move(cluster, group):
    """A leader to any other node; a complaint if it was on its way already."""
    leader = cluster.leader(group)
    target = next(n for n in cluster.running() if n is not leader)
    answer = leader.client(30).post("/cluster/transfer", {"group": group, "to": target.number})
    return "" if answer.ok else f"{answer}"


class Orderly(threading.Thread):
    """Writes pipelines of appends to one key; each answer tells what its order was."""

    DEPTH = 8

    def __init__(self, number, connect):
        super().__init__()
        self.key, self.connect = f"order:{number}", connect
        self.done, self.error, self._ends = 0, None, threading.Event()

    def run(self):
        try:
            with self.connect() as client:
                while not self._ends.is_set():
                    self._write(client)
        except Exception as error:   # whatever it is, a client saw it
            self.error = repr(error)

    def _write(self, client):
        pipe = client.pipeline(transaction=False)
        for _ in range(self.DEPTH):
            pipe.incr(self.key)
        pipe.get(self.key)
        wanted = [self.done + n + 1 for n in range(self.DEPTH)]
        assert pipe.execute() == wanted + [str(wanted[-1])]
        self.done += self.DEPTH

    def stop(self):
        self._ends.set()
        self.join(60)
