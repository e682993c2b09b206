# SPDX-License-Identifier: Apache-2.0
"""Every verb on keys, by clients that other people wrote (curl, httpx) and by the command line."""
import json
import subprocess
import threading
import time

import httpx
import pytest

from cluster import BINARY, Cluster

WITHIN = 60.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One cluster for the tests that break nothing."""
    with Cluster(tmp_path_factory.mktemp("kv") / "cluster") as made:
        yield made.start()


def nodes_of(cluster):
    return ",".join(f"127.0.0.1:{n.http}" for n in cluster.nodes.values())


def run(cluster, *words, stdin=None, within=60):
    return subprocess.run([BINARY, *words, "--node", nodes_of(cluster)], input=stdin,
                          capture_output=True, timeout=within, check=False)


@pytest.fixture
def kv(shared):
    return lambda *words, **more: run(shared, "kv", *words, **more)


@pytest.fixture
def http(shared):
    """httpx to one node; they are all alike."""
    with httpx.Client(base_url=f"http://127.0.0.1:{shared.nodes[2].http}", timeout=30) as client:
        yield client


class Watcher:
    """JSON lines of a watch, read by httpx in a thread of their own."""

    def __init__(self, node, **query):
        self.events, self.error = [], None
        self._url, self._query = f"http://127.0.0.1:{node.http}/v1/kv:watch", query
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.until(lambda: self.cursor is not None or self.error)

    def _read(self):
        try:
            with httpx.stream("GET", self._url, params=self._query, timeout=WITHIN) as answer:
                if answer.status_code != 200:
                    answer.read()
                    self.error = answer.json()["error"]
                    return
                for line in answer.iter_lines():
                    self.events.append(json.loads(line))
        except httpx.HTTPError as error:
            self.error = error

    @property
    def cursor(self):
        return self.events[-1]["cursor"] if self.events else None

    @property
    def changes(self):
        return [e for e in self.events if e.get("type") in ("put", "delete", "expire")]

    def until(self, look):
        deadline = time.monotonic() + WITHIN
        while not look():
            assert time.monotonic() < deadline, (self.events[-5:], self.error)
            time.sleep(0.01)


# ---- watch --------------------------------------------------------------------------------------

def test_a_watch_tells_each_change_once_in_order_with_what_was_before(shared, http):
    watcher = Watcher(shared.nodes[1], prefix="{w1}")
    http.put("/v1/kv/{w1}a", content=b"1")
    http.put("/v1/kv/{w1}a", content=b"\xff2")
    http.delete("/v1/kv/{w1}a")
    http.put("/v1/kv/{w1}b?ttl=100ms", content=b"x")
    watcher.until(lambda: len(watcher.changes) == 5)
    seen = [(e["type"], e["key"], e.get("value"), e.get("previous")) for e in watcher.changes]
    assert seen == [("put", "{w1}a", "1", None), ("put", "{w1}a", None, "1"),
                    ("delete", "{w1}a", None, None), ("put", "{w1}b", "x", None),
                    ("expire", "{w1}b", None, "x")]
    assert watcher.changes[1]["value_base64"] == "/zI="
    revisions = [e["revision"] for e in watcher.changes]
    assert revisions == sorted(set(revisions))


def test_curl_reads_server_sent_events(shared, http):
    command = ["curl", "-sN", "--max-time", "60", "-H", "Accept: text/event-stream",
               f"http://127.0.0.1:{shared.nodes[3].http}/v1/kv:watch?prefix=%7Bw2%7D"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout.readline() == "event: ready\n"
        http.put("/v1/kv/{w2}k", content=b"v")
        lines = [curl.stdout.readline().strip() for _ in range(6)]
        curl.kill()
    assert lines[3] == "event: put"
    assert lines[4].startswith("id: ")
    assert json.loads(lines[5].removeprefix("data: "))["value"] == "v"


def test_a_watch_goes_on_at_another_node_after_its_cursor(shared, http):
    first = Watcher(shared.nodes[1], prefix="w3-")
    for number in range(20):
        http.put(f"/v1/kv/w3-{number}", content=b"1")
    first.until(lambda: len(first.changes) >= 10)
    part = first.changes[:10]
    second = Watcher(shared.nodes[3], prefix="w3-", after=part[-1]["cursor"])
    second.until(lambda: len(second.changes) == 10)
    keys = [e["key"] for e in part + second.changes]
    assert sorted(keys) == sorted(f"w3-{n}" for n in range(20))


def test_a_cursor_that_the_history_left_behind_is_compacted(shared, http):
    cursor = Watcher(shared.nodes[1], prefix="{w4}").cursor
    for _ in range(12):
        assert http.put("/v1/kv/{w4}k", content=b"x" * 1_000_000).status_code == 200
    error = Watcher(shared.nodes[2], prefix="{w4}", after=cursor).error
    assert error["code"] == "precondition_failed"
    assert error["details"] == {"compacted": True}
    assert error["message"].startswith("compacted")


def test_a_watch_outlives_the_leader_and_its_own_node(directory, keep):
    """The command line watches; its node is killed, then the group's leader."""
    with Cluster(directory) as cluster:
        cluster.start()
        # After a cursor, so that it does not matter when the command begins to look.
        begin = Watcher(cluster.nodes[3], prefix="{f}").cursor
        command = [BINARY, "kv", "watch", "--prefix", "{f}", "--json", "--count", "300",
                   "--after", begin, "--node", nodes_of(cluster), "--timeout", "60"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(watch.stdout), daemon=True)
            reader.start()
            for number in range(300):
                if number == 100:
                    cluster.wait(lambda: "" if lines else "it watches nothing")
                    cluster.nodes[1].kill()   # where the command line began
                if number == 200:
                    cluster.nodes[1].start()
                    cluster.wait_healthy()
                    cluster.leader(group=leading_group(cluster)).kill()
                done = run(cluster, "kv", "put", f"{{f}}{number}", "v", "--timeout", "30")
                assert done.returncode == 0, done.stderr
            assert watch.wait(90) == 0
            reader.join(60)
        assert [json.loads(line)["key"] for line in lines] == [f"{{f}}{n}" for n in range(300)]
        keep(cluster)


def leading_group(cluster):
    """The group of the keys {f}..., by what a read of one says."""
    node = cluster.running()[0]
    answer = httpx.get(f"http://127.0.0.1:{node.http}/v1/kv/%7Bf%7D0", timeout=30)
    return int(answer.headers["Quorate-Group"])


# ---- the other verbs ----------------------------------------------------------------------------

def test_a_transaction_is_all_or_the_other(http):
    body = {"compare": [{"key": "{t}seat", "exists": False}],
            "then": [{"op": "put", "key": "{t}seat", "value": "12A"},
                     {"op": "increment", "key": "{t}sold"}],
            "else": [{"op": "get", "key": "{t}seat"}]}
    first, second = (http.post("/v1/kv:txn", json=body).json() for _ in range(2))
    assert (first["held"], first["answers"][1]["value"]) == (True, 1)
    assert (second["held"], second["answers"][0]["value"]) == (False, "12A")
    apart = {"then": [{"op": "put", "key": k, "value": "x"} for k in ("a", "b", "c", "d")]}
    answer = http.post("/v1/kv:txn", json=apart)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_argument")


def test_racing_clients_take_no_token_too_many(shared):
    allowed = []

    def take(node):
        with httpx.Client(base_url=f"http://127.0.0.1:{node.http}", timeout=30) as client:
            for _ in range(20):
                answer = client.post("/v1/kv:rate_limit", json={
                    "name": "race", "burst": 25, "tokens": 1, "period": "1d"})
                allowed.append(answer.json()["allowed"])
    threads = [threading.Thread(target=take, args=(node,))
               for node in list(shared.nodes.values()) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(allowed), sum(allowed)) == (180, 25)


def test_compare_and_swap_lets_one_of_many_through(shared):
    won = []

    def swap(number):
        done = run(shared, "kv", "cas", "owner", str(number), "--if-absent")
        won.append(done.returncode)
    threads = [threading.Thread(target=swap, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [0, 1, 1, 1, 1, 1]


def test_the_command_line_has_every_verb(kv):
    assert kv("put", "cl/a", "one").returncode == 0
    assert kv("cas", "cl/a", "two", "--if-value", "one").returncode == 0
    assert kv("cas", "cl/a", "three", "--if-value", "one").returncode == 1
    assert kv("append", "cl/a", "!").returncode == 0
    assert kv("set-range", "cl/a", "0", "T").returncode == 0
    assert kv("get", "cl/a").stdout.strip() == b"Two!"
    assert kv("exists", "cl/a").returncode == 0
    assert kv("exists", "cl/a", "cl/none").stdout == b"cl/a\tyes\ncl/none\tno\n"
    assert kv("exists", "cl/none").returncode == 1
    assert kv("incr", "cl/n", "5").stdout == b"5\n"
    assert kv("decr", "cl/n", "7").stdout == b"-2\n"
    assert kv("touch", "cl/n", "--ttl", "1h").returncode == 0
    assert kv("touch", "cl/n", "--ttl", "2h", "--when", "if_sooner").stdout.startswith(b"unchanged")
    assert kv("persist", "cl/n").stdout == b"ok, no expiry\n"
    assert kv("touch-many", "cl/a", "cl/n", "cl/none", "--ttl", "1h").stdout == b"2 touched\n"
    assert kv("put-many", "cl/b=2", "cl/c=3").returncode == 0
    assert kv("get-many", "cl/b", "cl/c").stdout == b"cl/b\t2\ncl/c\t3\n"
    assert kv("scan", "--prefix", "cl/", "--keys-only", "--reverse").stdout == (
        b"cl/n\ncl/c\ncl/b\ncl/a\n")
    assert kv("scan", "--start", "cl/b", "--end", "cl/n", "--keys-only").stdout == b"cl/b\ncl/c\n"
    assert json.loads(kv("stats", "--json").stdout)["keys"] >= 4
    assert kv("delete-range", "--prefix", "cl/").stdout == b"4 deleted\n"
    assert kv("scan", "cl/").stdout == b""


def test_the_command_line_goes_by_its_exit_codes(kv, tmp_path):
    book = tmp_path / "book.json"
    book.write_text(json.dumps({"compare": [{"key": "{cx}", "exists": False}],
                                "then": [{"op": "put", "key": "{cx}", "value": "1"}]}))
    assert kv("txn", "-f", str(book)).returncode == 0
    assert kv("txn", "-f", str(book)).returncode == 1, "the compares did not hold"
    assert kv("txn", "-", stdin=b"{}").returncode == 1, "a refusal of the cluster"
    take = ["rate-limit", "cx", "--burst", "1", "--period", "1d"]
    assert [kv(*take).returncode for _ in range(2)] == [0, 1]
    assert kv("watch", "--after", "99:1", "--prefix", "cx").returncode == 1


def test_more_is_deleted_than_one_step_takes(kv, http):
    for begin in range(0, 25_000, 5_000):
        items = [{"key": f"{{many}}{n}", "value": ""} for n in range(begin, begin + 5_000)]
        assert http.post("/v1/kv:put_many", json={"items": items}).status_code == 200
    done = kv("delete-range", "{many}")
    assert (done.stdout, done.stderr) == (b"25000 deleted\n", b"")


def test_the_api_describes_every_route_of_keys(http):
    paths = http.get("/openapi.json").json()["paths"]
    for verb in ["txn", "watch", "scan", "put_many", "get_many", "delete_many", "touch_many",
                 "delete_range", "rate_limit", "stats", "find", "indexes", "create_index",
                 "drop_index"]:
        assert f"/v1/kv:{verb}" in paths
    for verb in ["touch", "increment", "append", "set_range"]:
        assert f"/v1/kv/{{key}}/{verb}" in paths


# ---- keyspaces ----------------------------------------------------------------------------------

def test_a_keyspace_lives_from_create_to_drop(shared, http):
    made = run(shared, "keyspace", "create", "orders", "--keys-max", "50", "--json")
    assert json.loads(made.stdout)["partitions"] == 1
    watcher = Watcher(shared.nodes[2], keyspace="orders")
    codes = [http.put(f"/v1/kv/o{n}?keyspace=orders", content=b"1").status_code for n in range(60)]
    assert (codes.count(200), codes[50:]) == (50, [507] * 10)
    for node in shared.nodes.values():
        there = httpx.get(f"http://127.0.0.1:{node.http}/v1/kv/o7?keyspace=orders", timeout=30)
        assert there.status_code == 200, "any node answers"
    assert http.get("/v1/kv/o7").status_code == 404
    watcher.until(lambda: len(watcher.changes) == 50)
    assert [e["key"] for e in watcher.changes] == [f"o{n}" for n in range(50)], "one order"
    assert run(shared, "keyspace", "change", "orders", "--keys-max", "none").returncode == 0
    assert http.put("/v1/kv/o99?keyspace=orders", content=b"1").status_code == 200
    listed = run(shared, "keyspace", "list").stdout.decode()
    assert [line.split(":")[0] for line in listed.splitlines()] == ["default", "orders"]
    assert run(shared, "keyspace", "drop", "orders").returncode == 0
    for node in shared.nodes.values():
        gone = httpx.put(f"http://127.0.0.1:{node.http}/v1/kv/o7?keyspace=orders", content=b"1",
                         timeout=30)
        assert gone.status_code == 404
    assert run(shared, "keyspace", "status", "orders").returncode == 1


def test_dropping_removes_every_key_on_every_replica(shared, http):
    assert run(shared, "keyspace", "create", "big", "--partitions", "4").returncode == 0
    watcher = Watcher(shared.nodes[3], keyspace="big", prefix="big")
    items = [{"key": f"big{n}", "value": "x" * 20} for n in range(5_000)]
    assert http.post("/v1/kv:put_many?keyspace=big", json={"items": items}).status_code == 200
    assert json.loads(run(shared, "keyspace", "status", "big", "--json").stdout)["keys"] == 5_000
    assert http.delete("/v1/keyspaces/big").status_code == 200
    watcher.until(lambda: len(watcher.changes) == 10_000)
    assert [e["type"] for e in watcher.changes].count("delete") == 5_000
    assert http.post("/v1/keyspaces", json={"name": "big"}).status_code == 200
    assert http.get("/v1/kv:stats?keyspace=big").json()["keys"] == 0
    assert http.delete("/v1/keyspaces/big").status_code == 200
    shared.wait_healthy()   # and all replicas have the same digest


# ---- completion ---------------------------------------------------------------------------------

COMPLETIONS = [
    (["k"], "kv keyspace"), (["kv", "del"], "del delete-range"), (["kv", "wat"], "watch"),
    (["kv", "scan", "--re"], "--reverse"), (["cluster", "rem"], "remove"),
    (["config", "c"], "check"), (["certs", ""], "node client show"), (["audit", ""], "verify"),
    (["server", "--resp-l"], "--resp-listen"), (["config", "check", "--http-l"], "--http-listen"),
    (["dev", "--p"], "--port-offset"), (["top", "--c"], "--count"),
    (["restore", "--shift"], "--shift-ends"), (["restore", "a.qb", "--a"], "--at"),
    (["bench", "e"], "embedded"), (["completion", ""], "bash zsh"), (["help", "ke"], "keyspace"),
    (["help", "kv", "wat"], "watch"), (["kv", "get", "k"], "")]


@pytest.mark.parametrize("words,expected", COMPLETIONS)
def test_bash_completes(words, expected):
    script = ('source <("$0" completion bash); COMP_WORDS=(quorate "$@"); COMP_CWORD=$#; '
              '_quorate; echo "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, BINARY, *words], capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == expected


@pytest.mark.parametrize("words,expected", COMPLETIONS)
def test_zsh_completes(words, expected):
    """What it offers, by stand-ins for the functions of zsh's own that show it."""
    script = ('compdef() { :; }; _files() { :; }; _describe() { print -l -- ${(P)2%%:*}; }; '
              'source <("$0" completion zsh); words=(quorate "$@"); CURRENT=$#words; '
              'PREFIX=$words[-1]; _quorate')
    done = subprocess.run(["zsh", "-f", "-c", script, BINARY, *words], capture_output=True,
                          text=True, check=True)
    assert done.stderr == ""
    offered = [name for name in done.stdout.split() if name.startswith(words[-1])]
    assert offered == expected.split()
