# SPDX-License-Identifier: Apache-2.0
"""Locks from outside: over HTTP, by Redis clients, on the command line and from Python."""
import json
import pathlib
import subprocess
import sys
import threading
import time

import pytest
import redis

from client import Client
from cluster import BINARY, Cluster

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients/python"))

import quorate  # noqa: E402  (it is found by the line above)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One cluster for the tests that break nothing; each uses names of its own."""
    with Cluster(tmp_path_factory.mktemp("locks") / "cluster") as made:
        yield made.start().wait_settled()


# A wait that is told to end ends; a busy machine may add this. Calls give up after 30 s.
SOON = 20


def nodes_of(cluster):
    return [f"127.0.0.1:{node.http}" for node in cluster.nodes.values()]


def session(cluster, **options):
    return quorate.LockSession(nodes_of(cluster), **{"timeout": 30, **options})


def post(node, path, body, timeout=30.0):
    client = Client(node.http, timeout)
    try:
        return client.call("POST", path, json.dumps(body))
    finally:
        client.close()


def quorate_lock(cluster, *words, **options):
    command = [BINARY, "lock", *words]
    at = command.index("--") if "--" in command else len(command)
    command[at:at] = ["--node", ",".join(nodes_of(cluster))]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def in_threads(jobs):
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


# ---- fences, at every face ----------------------------------------------------------------------

KEY = "fenced/all/key"


def refused_by_python(db, late, reason):
    changes = (lambda: db.put(KEY, "x", fence=late),
               lambda: db.put(KEY, "x", if_version=1, fence=late),
               lambda: db.delete(KEY, fence=late),
               lambda: db.increment(KEY, fence=late),
               lambda: db.append(KEY, "x", fence=late),
               lambda: db.txn(then=[{"op": "delete", "key": KEY}], fence=late))
    for change in changes:
        with pytest.raises(quorate.PreconditionFailed, match=reason):
            change()


def refused_by_redis(node, late, reason):
    with redis.Redis(port=node.resp) as client:
        for words in (["SET", KEY, "x"], ["DEL", KEY]):
            with pytest.raises(redis.ResponseError, match="PRECONDITION.*" + reason):
                client.execute_command("FENCE", late[0], late[1], *words)


def put_by_command(node, fence, *words):
    command = [BINARY, "kv", *words, "--node", f"127.0.0.1:{node.http}", "--fence",
               f"{fence[0]}={fence[1]}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_every_face_refuses_a_write_whose_lock_went_to_somebody_else(shared):
    node = next(iter(shared.nodes.values()))
    with session(shared) as first, session(shared) as second, \
            quorate.Client(nodes_of(shared)) as db:
        with first.acquire("fenced/all") as held:
            late = held.fence
            db.put(KEY, "first", fence=held)
        with second.acquire("fenced/all") as held:
            assert db.txn(then=[{"op": "get", "key": KEY}], fence=held).succeeded
            reason = f"the token {late[1]} of the lock '{late[0]}' is older than {held.token}"
            refused_by_python(db, late, reason)
            refused_by_redis(node, late, reason)
            cas = ["cas", KEY, "x", "--if-version", "1"]
            for words in (["put", KEY, "x"], ["del", KEY], cas):
                refused = put_by_command(node, late, *words)
                assert refused.returncode == 1 and reason in refused.stderr, refused
            written = put_by_command(node, held.fence, *cas)
            assert written.returncode == 0, written
            assert db.get(KEY).text == "x"


def test_top_shows_who_holds_and_who_waits(shared):
    def told():
        looked = subprocess.run([BINARY, "top", "--count", "1", "--json", "--node",
                                 ",".join(nodes_of(shared))], capture_output=True, text=True,
                                timeout=60)
        return json.loads(looked.stdout)["locks"]

    with session(shared) as holder, session(shared) as waiter:
        with holder.acquire("seen from above"):
            before = told()
            waits = threading.Thread(target=lambda: waiter.acquire("seen from above").release())
            waits.start()
            shared.wait(lambda: "" if told()["waiting"] > before["waiting"] else "nobody waits")
            assert told()["held"] >= 1
        waits.join(60)
        shared.wait(lambda: "" if told()["waiting"] == 0 else "somebody waits still")


# ---- HTTP ---------------------------------------------------------------------------------------

def test_a_waiter_at_any_node_is_granted_when_the_holder_releases(shared):
    first, second, third = shared.nodes.values()
    held = post(first, "/v1/locks/hand/acquire", {"owner": "a"})
    assert held.ok and held.json()["granted"]
    assert post(second, "/v1/locks/hand/acquire", {"owner": "b"}).status == 412
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(
        post(third, "/v1/locks/hand/acquire", {"owner": "b", "wait": "20s"})))
    waiter.start()
    shared.wait(lambda: "" if Client(first.http).get("/v1/locks/hand").json()["waiters"] else "-")
    assert not answers
    assert post(second, "/v1/locks/hand/release", {"owner": "a"}).ok
    waiter.join(20)
    assert answers[0].json()["token"] > held.json()["token"]
    assert post(first, "/v1/locks/hand/release", {"owner": "b"}).ok
    assert Client(first.http).get("/v1/locks/hand").status == 404


def test_a_client_that_hangs_up_waits_no_more(shared):
    first, second, _ = shared.nodes.values()
    assert post(first, "/v1/locks/hung/acquire", {"owner": "a", "lease": "5m"}).ok
    impatient = Client(second.http, 0.5)
    with pytest.raises(Exception):
        impatient.call("POST", "/v1/locks/hung/acquire", json.dumps({"owner": "b", "wait": "60s"}))
    shared.wait(lambda: "" if Client(first.http).get("/v1/locks/hung").json()["waiter_count"] == 0
                else "the wait goes on", within=50)  # and not as long as it was to wait
    post(first, "/v1/locks/hung/release", {"owner": "a"})


def test_the_calls_of_older_services(shared):
    first, second, _ = shared.nodes.values()
    for client in ("c1", "c2"):
        body = {"resource": "r", "client_id": client, "mode": "shared", "timeout": 5,
                "lease": "5m"}
        assert post(first, "/lock", body).ok
    begun = time.monotonic()
    refused = post(second, "/lock", {"resource": "r", "client_id": "c3", "mode": "exclusive",
                                     "timeout": 1})
    assert refused.status == 504 and 0.9 < time.monotonic() - begun < SOON
    for client in ("c1", "c2"):
        assert post(second, "/unlock", {"resource": "r", "client_id": client}).ok
    assert post(second, "/unlock", {"resource": "r", "client_id": "c1"}).status == 404


def test_a_watch_tells_who_holds_a_lock(shared):
    first, second, _ = shared.nodes.values()
    process = subprocess.Popen([BINARY, "lock", "watch", "w/", "--json", "--count", "3", "--node",
                                f"127.0.0.1:{first.http}"], stdout=subprocess.PIPE, text=True)
    try:
        assert post(second, "/v1/locks/w/x/acquire", {"owner": "me", "lease": "5m"}).ok
        assert json.loads(process.stdout.readline())["owner"] == "me"
        waiting = threading.Thread(target=lambda: post(
            second, "/v1/locks/w/x/acquire", {"owner": "you", "wait": "20s"}))
        waiting.start()
        assert json.loads(process.stdout.readline())["waiters"] == 1
        assert post(second, "/v1/locks/w/x/release", {"owner": "me"}).ok
        event = json.loads(process.stdout.readline())
        assert event["owner"] == "you" or event["type"] == "lock"
        waiting.join(20)
        assert process.wait(20) == 0
        post(second, "/v1/locks/w/x/release", {"owner": "you"})
    finally:
        process.kill()


def test_deadlocks_made_on_purpose_are_all_found_and_no_others(shared):
    """Twelve cycles of two to four owners: in each exactly one is refused; the rest end well."""
    for round_number in range(12):
        size = 2 + round_number % 3
        names = [f"dead/{round_number}/{at}" for at in range(size)]
        owners = [session(shared) for _ in names]
        results, ready = [], threading.Barrier(size)

        def run(at, owners=owners, names=names, results=results, ready=ready):
            mine = owners[at].acquire(names[at], wait=20)
            ready.wait(30)
            try:
                theirs = owners[at].acquire(names[(at + 1) % len(names)], wait=20)
                results.append("granted")
                theirs.release()
            except quorate.Deadlock as error:
                assert " waits for " in str(error)
                results.append("deadlock")
            mine.release()

        in_threads([lambda at=at: run(at) for at in range(size)])
        assert sorted(results) == ["deadlock"] + ["granted"] * (size - 1), results
        for owner in owners:
            owner.close()


# ---- Redis clients ------------------------------------------------------------------------------

def test_lock_commands(shared):
    node, other, _ = shared.nodes.values()
    a = redis.Redis(port=node.resp, decode_responses=True, socket_timeout=30)
    b = redis.Redis(port=other.resp, decode_responses=True, socket_timeout=30)
    token = a.execute_command("LOCK.ACQUIRE", "resp", "EXCLUSIVE", "a", "LEASE", 300_000)
    assert b.execute_command("LOCK.ACQUIRE", "resp", "EXCLUSIVE", "b") is None
    begun = time.monotonic()
    assert b.execute_command("LOCK.ACQUIRE", "resp", "SHARED", "b", "WAIT", 300) is None
    assert 0.25 < time.monotonic() - begun < SOON
    old = redis.Redis(port=node.resp, decode_responses=True, socket_timeout=30, protocol=2)
    info = old.execute_command("LOCK.INFO", "resp")
    assert info[info.index("holder_count") + 1] == 1
    new = redis.Redis(port=node.resp, decode_responses=True, socket_timeout=30, protocol=3)
    assert new.execute_command("LOCK.INFO", "resp")["holders"][0]["owner"] == "a"
    tokens = []
    waiter = threading.Thread(target=lambda: tokens.append(
        b.execute_command("LOCK.ACQUIRE", "resp", "SHARED", "b", "WAIT", 20_000)))
    waiter.start()
    time.sleep(0.2)
    assert a.execute_command("LOCK.RELEASE", "resp", "a", "TOKEN", token) == 0
    waiter.join(20)
    assert tokens[0] > token
    assert b.execute_command("LOCK.CLOSE", "b") == 1
    docs = old.execute_command("COMMAND DOCS", "lock.acquire")
    assert "lock.acquire" in str(docs)


def test_a_peer_that_hangs_up_waits_no_more(shared):
    node = shared.nodes[1]
    a = redis.Redis(port=node.resp, decode_responses=True, socket_timeout=30)
    a.execute_command("LOCK.ACQUIRE", "left", "EXCLUSIVE", "a", "LEASE", 300_000)
    impatient = redis.Redis(port=node.resp, socket_timeout=0.5, retry=None)
    with pytest.raises(redis.exceptions.TimeoutError):
        impatient.execute_command("LOCK.ACQUIRE", "left", "EXCLUSIVE", "b", "WAIT", 60_000)
    impatient.close()
    shared.wait(lambda: "" if Client(node.http).get("/v1/locks/left").json()["waiter_count"] == 0
                else "the wait goes on", within=50)  # and not as long as it was to wait
    a.execute_command("LOCK.CLOSE", "a")


def test_the_lock_of_redis_py_works_unchanged(shared):
    """SET NX PX and the three scripts of redis-py, through different nodes."""
    clients = [redis.Redis(port=n.resp, socket_timeout=30) for n in shared.nodes.values()]
    inside, most, turns = [], [0], [0]

    def work(client):
        for _ in range(10):
            with client.lock("{py}lock", timeout=60, blocking_timeout=60, sleep=0.005):
                inside.append(1)
                most[0] = max(most[0], len(inside))
                turns[0] += 1
                inside.pop()

    in_threads([lambda client=client: work(client) for client in clients])
    assert (most[0], turns[0]) == (1, 30)

    one = clients[0].lock("{py}one", timeout=200)
    assert one.acquire(blocking=False)
    assert not clients[1].lock("{py}one", timeout=200).acquire(blocking=False)
    assert one.extend(200) and 200_000 < clients[0].pttl("{py}one") <= 400_000
    assert one.extend(100, replace_ttl=True) and clients[0].pttl("{py}one") <= 100_000
    assert one.reacquire() and 100_000 < clients[0].pttl("{py}one") <= 200_000
    clients[1].set("{py}one", "somebody else")
    with pytest.raises(redis.exceptions.LockNotOwnedError):
        one.release()
    assert clients[2].get("{py}one") == b"somebody else"


# ---- the command line ---------------------------------------------------------------------------

def test_a_command_runs_under_its_lock(shared, tmp_path):
    script = 'echo "$QUORATE_LOCK_TOKEN $QUORATE_LOCK_NAME"; exit 7'
    done = quorate_lock(shared, "cli/run", "--", "sh", "-c", script)
    assert done.returncode == 7, done.stderr
    token, name = done.stdout.split()
    assert int(token) > 0 and name == "cli/run"
    assert quorate_lock(shared, "cli/run", "--", "no-such-command-here").returncode == 127
    assert quorate_lock(shared, "cli/run", "--", "sh", "-c", "kill -9 $$").returncode == 137

    # Ten at once: each reads a number and writes one more, which is lost without the lock.
    path = tmp_path / "count"
    path.write_text("0")
    add = f"n=$(cat {path}); sleep 0.02; echo $((n + 1)) > {path}"
    in_threads([lambda: quorate_lock(shared, "cli/count", "--", "sh", "-c", add)] * 10)
    assert path.read_text().strip() == "10"
    assert quorate_lock(shared, "ls", "cli/").stdout.count("\n") == 1, "all are given back"


def test_who_does_not_get_the_lock_does_not_run(shared):
    taken = quorate_lock(shared, "acquire", "cli/busy", "--owner", "me", "--lease", "5m")
    assert taken.returncode == 0, taken
    refused = quorate_lock(shared, "cli/busy", "--try", "--", "echo", "ran")
    assert (refused.returncode, refused.stdout) == (1, "")
    begun = time.monotonic()
    refused = quorate_lock(shared, "cli/busy", "--wait", "700ms", "--", "echo", "ran")
    assert (refused.returncode, refused.stdout) == (1, ""), refused.stderr
    assert 0.6 < time.monotonic() - begun < SOON
    listed = quorate_lock(shared, "ls", "cli/busy").stdout
    assert "exclusive" in listed and "me" in listed
    assert "holds  exclusive  me" in quorate_lock(shared, "info", "cli/busy").stdout
    assert "cli/busy" in quorate_lock(shared, "owner", "me").stdout
    assert quorate_lock(shared, "release", "cli/busy", "somebody").returncode == 1
    assert quorate_lock(shared, "break", "cli/busy").stdout == "taken from 1 holder(s)\n"
    assert quorate_lock(shared, "info", "cli/busy").returncode == 1
    assert quorate_lock(shared, "stats").returncode == 0
    assert quorate_lock(shared, "cli/busy", "--lease", "soon", "--", "true").returncode == 2


def test_signals_reach_the_command(shared):
    command = [BINARY, "lock", "cli/signal", "--node", ",".join(nodes_of(shared)), "--", "sh", "-c",
               "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.stdout.readline() == "told\n"
    assert process.wait(20) == 9
    assert quorate_lock(shared, "info", "cli/signal").returncode == 1, "it was given back"


# ---- Python -------------------------------------------------------------------------------------

def test_python_locks(shared):
    with session(shared) as a, session(shared) as b:
        with a.acquire("py/x") as held:
            assert held.token > 0 and not held.lost
            held.check()
            with pytest.raises(quorate.TimedOut):
                b.acquire("py/x", wait=0)
            begun = time.monotonic()
            with pytest.raises(quorate.TimedOut):
                b.acquire("py/x", wait=0.5)
            assert 0.4 < time.monotonic() - begun < SOON
            with a.acquire("py/x"):
                assert a.info("py/x")["holders"][0]["count"] == 2
        with b.acquire("py/x", wait=0) as later:
            assert later.token > held.token
        rw = quorate.ReadWriteLock(a, "py/rw"), quorate.ReadWriteLock(b, "py/rw")
        with rw[0].read(), rw[1].read():
            with pytest.raises(quorate.TimedOut):
                b.upgrade("py/rw", wait=0)
        with a.acquire_many(["py/1", "py/2"], shared=["py/3"]):
            with b.acquire("py/3", shared=True, wait=0):
                pass
            with pytest.raises(quorate.TimedOut):
                b.acquire_many(["py/2", "py/4"], wait=0)
        with a.acquire("py/d"):
            a.downgrade("py/d")
            b.acquire("py/d", shared=True, wait=0).release()


def test_python_recipes(shared):
    with session(shared) as a, session(shared) as b:
        slots = [quorate.Semaphore(s, "py/slots", 3) for s in (a, b)]
        with slots[0].acquire(2):
            with pytest.raises(quorate.TimedOut):
                slots[1].acquire(2, wait=0)
            slots[1].acquire(1, wait=0).release()
        elections = [quorate.Election(s, "py/leader") for s in (a, b)]
        assert elections[0].leader() is None
        term = elections[0].campaign()
        assert elections[0].is_leader and elections[1].leader() == (a.owner, term)
        terms = []
        waiter = threading.Thread(target=lambda: terms.append(elections[1].campaign()))
        waiter.start()
        time.sleep(0.2)
        elections[0].resign()
        waiter.join(20)
        assert terms[0] > term and elections[1].is_leader and not elections[0].is_leader
        elections[1].resign()

    numbers = []

    def come(at):
        with quorate.Client(nodes_of(shared), timeout=30) as client:
            barrier = quorate.Barrier(client, "py/barrier", 3)
            for _ in range(2):
                time.sleep(0.05 * at)
                numbers.append(barrier.wait(timeout=30))

    in_threads([lambda at=at: come(at) for at in range(3)])
    assert sorted(numbers) == [0, 0, 1, 1, 2, 2]


# ---- rights -------------------------------------------------------------------------------------

def test_rights_over_names(directory, tmp_path):
    token_file = tmp_path / "root.token"
    token_file.write_text("r" * 48 + "\n")
    token_file.chmod(0o600)
    settings = {"access.control": True, "access.root_token_file": str(token_file)}
    cluster = Cluster(directory, 1, settings)
    with cluster:
        node = cluster.nodes[1]
        node.start()
        root = {"Authorization": "Bearer " + "r" * 48}
        client = Client(node.http, 20)
        cluster.wait(lambda: "" if node.ready() else "not ready")
        user = {"password": "correct horse battery",
                "grants": [{"service": "lock", "prefix": "team/", "rights": ["read", "write"]}]}
        cluster.wait(lambda: "" if client.call("PUT", "/access/users/ada", json.dumps(user),
                                               root).ok else "no user")
        ada = {"Authorization": "Basic YWRhOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ=="}

        def status(method, path, body, headers):
            return client.call(method, path, json.dumps(body) if body else None, headers).status

        mine = {"owner": "team/1"}
        cluster.wait(lambda: "" if status("GET", "/v1/locks?prefix=team/", None, ada) == 200
                     else "ada is not known yet")
        assert status("POST", "/v1/locks/team/x/acquire", mine, ada) == 200
        assert status("POST", "/v1/locks/other/acquire", mine, ada) == 403
        assert status("POST", "/v1/locks/team/y/acquire", {"owner": "root"}, ada) == 403
        assert status("POST", "/v1/locks/team/x/break", {}, ada) == 403
        assert status("GET", "/v1/locks", None, ada) == 403
        assert status("GET", "/v1/locks/team/x", None, {}) == 401
        assert status("POST", "/v1/locks/other/acquire", {"owner": "root"}, root) == 200
        assert status("DELETE", "/v1/lock-owners/root", None, ada) == 403
        assert status("POST", "/v1/locks/team/x/break", {}, root) == 200
