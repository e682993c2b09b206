# SPDX-License-Identifier: Apache-2.0
"""The Python client: its wheel, every verb of it, and what it does while nodes die."""
import ast
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "clients/python"
sys.path.insert(0, str(PACKAGE))

import quorate  # noqa: E402  (it is found by the line above)


def connect(cluster, **options):
    nodes = [f"127.0.0.1:{node.http}" for node in cluster.nodes.values()]
    return quorate.Client(nodes, timeout=30, **options)


def test_one_key(cluster):
    with connect(cluster) as db:
        assert db.get("k") is None and not db.exists("k")
        assert db.put("k", "väl") == 1
        item = db.get("k")
        assert (item.key, item.text, item.version, item.ttl) == (b"k", "väl", 1, None)
        with pytest.raises(quorate.AlreadyExists):
            db.put("k", "x", if_absent=True)
        with pytest.raises(quorate.PreconditionFailed):
            db.put("k", "x", if_version=7)
        with pytest.raises(quorate.NotFound):
            db.put("other", "x", if_present=True)
        with pytest.raises(TypeError):
            db.put("k", "x", if_nice=True)
        assert db.put("k", b"\xff\x00", if_version=1, ttl=60) == 2
        assert 50 < db.get("k").ttl <= 60
        assert db.persist("k") and db.get("k").ttl is None
        assert db.expire("k", 0.2)
        end = time.monotonic() + 30
        while db.get("k", "gone") != "gone":
            assert time.monotonic() < end, "it lives on"
        with pytest.raises(ValueError, match="not empty"):
            db.get("")
        assert not db.expire("none", 5) and not db.persist("none") and not db.persist("n")
        assert db.increment("n") == 1 and db.increment("n", -5) == -4
        assert db.append("t", "ab") == 2 and db.append("t", b"c") == 3
        assert db.set_range("t", 5, "z") == 6 and db.get("t").value == b"abc\0\0z"
        assert db.delete("t") and not db.delete("t")
        odd = bytes(range(256))
        db.put(odd, odd)
        assert db.get(odd).value == odd


def test_many_keys(cluster):
    with connect(cluster) as db:
        items = {b"m/%03d" % n: b"\xfe%d" % n for n in range(250)}
        assert db.put_many(items) == 250
        found = db.get_many(["m/007", "none", b"m/249"])
        assert [item and item.value for item in found] == [b"\xfe7", None, b"\xfe249"]
        assert [item.key for item in db.scan("m/", page=7)] == sorted(items)
        assert db.touch_many(["m/007", "none", b"m/249"], ttl=60) == 2
        assert 50 < db.get("m/007").ttl <= 60 and db.get("m/008").ttl is None
        assert db.put_many({}) == db.delete_many([]) == db.touch_many([], ttl=1) == 0
        assert db.get_many([]) == []
        assert db.touch_many(["m/007"]) == 1 and db.get("m/007").ttl is None
        backwards = [item.key for item in db.scan(start="m/240", end="m/245", reverse=True)]
        assert backwards == [b"m/%03d" % n for n in (244, 243, 242, 241, 240)]
        assert db.delete_many(["m/000", "m/001", "none"]) == 2
        assert db.delete_prefix("m/") == 248
        assert db.stats()["keys"] == 0


def test_indexes(cluster):
    with connect(cluster) as db:
        db.put_many({f"p/{n}": json.dumps({"user": {"age": n % 7}}) for n in range(50)})
        assert db.create_index("ages", "user.age") is True
        assert db.create_index("ages", "user.age") is False
        end = time.monotonic() + 30
        while [each["state"] for each in db.indexes()] != ["ready"] and time.monotonic() < end:
            time.sleep(0.05)
        found = [item.key.decode() for item in db.find("ages", equals=3, page=3)]
        assert found == sorted(f"p/{n}" for n in range(3, 50, 7))
        ages = [json.loads(item.value)["user"]["age"]
                for item in db.find("ages", above=1, to=4, reverse=True, page=5)]
        assert ages == sorted((n % 7 for n in range(50) if 1 < n % 7 <= 4), reverse=True)
        assert db.drop_index("ages") is True
        assert db.drop_index("ages") is False
        with pytest.raises(quorate.NotFound):
            list(db.find("ages"))
        assert db.delete_prefix("p/") == 50


def test_transactions_and_rate_limits(cluster):
    with connect(cluster) as db:
        free = [{"key": "{u}seat", "exists": False}]
        take = [{"op": "put", "key": "{u}seat", "value": "12A"}]
        look = [{"op": "get", "key": "{u}seat"}]
        assert db.txn(free, take, look).succeeded
        second = db.txn(free, take, look)
        assert not second.succeeded and second.results[0]["value"] == "12A"
        allowed = [db.rate_limit("r", burst=3, tokens=1, period=86_400).allowed for _ in range(5)]
        assert allowed == [True, True, True, False, False]


def test_a_watch_goes_on_while_nodes_die_and_tells_each_change_once(cluster):
    seen, ready = [], threading.Event()

    def look():
        with connect(cluster) as db:
            for change in db.watch("{w}"):
                if change.kind == "ready":
                    ready.set()
                else:
                    seen.append(change.value)
                if change.value == b"end":
                    return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    assert ready.wait(30)
    with connect(cluster) as db:
        for number in range(60):
            db.put("{w}k", str(number))
            if number in (20, 40):
                victim = cluster.nodes[1 if number == 20 else 2]
                victim.kill()
                victim.start()
        db.put("{w}k", "end")
    watcher.join(60)
    assert seen == [str(number).encode() for number in range(60)] + [b"end"]


def test_counters_count_once_while_leaders_are_killed(cluster):
    with connect(cluster) as db:
        for number in range(1, 61):
            if number % 20 == 0:
                victim = cluster.nodes[number // 20]
                victim.kill()
                victim.start()
            assert db.increment("once") == number


def test_nobody_there():
    with quorate.Client("127.0.0.1:1", timeout=0.3) as db:
        with pytest.raises(quorate.Unavailable):
            db.put("k", "v")


def test_the_wheel_can_be_installed(tmp_path):
    # A copy, for the build leaves its traces beside the sources.
    source = shutil.copytree(PACKAGE, tmp_path / "source")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps",
                    "--no-build-isolation", "-w", tmp_path,
                    source], check=True, timeout=120)
    wheel = next(tmp_path.glob("quorate-*.whl"))
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target",
                    tmp_path / "site", wheel], check=True, timeout=120)
    done = subprocess.run([sys.executable, "-c", "import quorate; print(quorate.__version__)"],
                          capture_output=True, text=True, check=True, cwd=tmp_path / "site")
    assert done.stdout == "0.1.0\n"


def test_the_code_of_its_page_names_what_is_there():
    blocks = re.findall(r"^```python\n(.*?)^```$", (PACKAGE / "README.md").read_text(), re.M | re.S)
    assert len(blocks) >= 2
    for text in blocks:
        tree = ast.parse(text)
        for name in {each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute)
                     and isinstance(each.value, ast.Name) and each.value.id == "quorate"}:
            assert hasattr(quorate, name), name
        for name in {each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute)
                     and isinstance(each.value, ast.Name) and each.value.id == "db"}:
            assert hasattr(quorate.Client, name), name
