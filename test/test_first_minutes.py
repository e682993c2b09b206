# SPDX-License-Identifier: Apache-2.0
"""What somebody does in the first five minutes: the command line, curl, a mistake or two."""
import json
import re
import shutil
import signal
import subprocess

import pytest

from cluster import BINARY, Cluster, GROUPS, free_port


def run(*arguments, stdin=None, within=60):
    return subprocess.run([BINARY, *arguments], input=stdin, capture_output=True, timeout=within,
                          check=False)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One cluster for the tests that break nothing."""
    with Cluster(tmp_path_factory.mktemp("shared") / "cluster") as made:
        yield made.start()


@pytest.fixture
def kv(shared):
    nodes = ",".join(f"127.0.0.1:{n.http}" for n in shared.nodes.values())
    return lambda *words, **more: run("kv", *words, "--node", nodes, **more)


@pytest.fixture
def curl(shared):
    def call(path, *arguments, node=1):
        url = f"http://127.0.0.1:{shared.nodes[node].http}{path}"
        return subprocess.run(["curl", "-s", "--max-time", "30", *arguments, url],
                              capture_output=True, timeout=60, check=True).stdout
    return call


# ---- the command line ---------------------------------------------------------------------------

@pytest.mark.parametrize("words", [["--help"], ["help"], ["-h"], ["help", "server"],
                                   ["server", "--help"], ["help", "dev"], ["help", "kv"],
                                   ["kv", "--help"], ["help", "cluster"], ["kv", "help", "put"]])
def test_help_is_on_standard_output_and_no_error(words):
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"quorate" in done.stdout.lower()
    assert max(len(line) for line in done.stdout.splitlines()) < 200


def test_help_names_every_command():
    text = run("--help").stdout.decode()
    for command in ["dev", "server", "kv", "cluster", "version"]:
        assert re.search(rf"^  {command} ", text, re.M)


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["kv"], ["kv", "frobnicate"], ["kv", "get"],
                                   ["kv", "get", "k", "--frobnicate"], ["server", "--frobnicate"],
                                   ["dev", "--nodes", "many"]])
def test_wrong_usage_says_what_to_do_and_ends_with_2(words):
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr


def test_version():
    assert re.fullmatch(rb"quorate \d+\.\d+\.\d+\S*\n", run("version").stdout)


def test_kv_put_get_del(kv):
    assert kv("put", "greeting", "hello").returncode == 0
    got = kv("get", "greeting")
    assert (got.returncode, got.stdout.rstrip(b"\n")) == (0, b"hello")
    assert kv("del", "greeting").returncode == 0
    assert kv("get", "greeting").returncode == 1


def test_kv_keeps_every_byte(kv):
    value = bytes(range(256)) * 40
    assert kv("put", "bytes", "-", stdin=value).returncode == 0
    assert kv("get", "bytes").stdout == value


def test_kv_scan_and_incr(kv):
    for name in ["scan/b", "scan/a", "scan/c"]:
        assert kv("put", name, name.upper()).returncode == 0
    lines = kv("scan", "scan/").stdout.decode().splitlines()
    assert lines == ["scan/a\tSCAN/A", "scan/b\tSCAN/B", "scan/c\tSCAN/C"]
    assert kv("incr", "visits", "5").stdout.strip() == b"5"
    assert kv("incr", "visits").stdout.strip() == b"6"


def test_kv_prints_json(kv):
    assert kv("put", "j", "x").returncode == 0
    assert json.loads(kv("get", "j", "--json").stdout)["value"] == "x"


@pytest.mark.parametrize("words", [["get", "full"], ["scan"], ["export"],
                                   ["get", "full", "--json"]])
def test_output_that_cannot_be_written_is_an_error(kv, shared, words):
    assert kv("put", "full", "x" * 100_000).returncode == 0
    node = f"127.0.0.1:{shared.nodes[1].http}"
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, "kv", *words, "--node", node], stdout=full,
                              stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1
    assert b"cannot write to standard output: No space left" in done.stderr


def test_a_node_may_be_named_as_in_a_url(directory):
    port = free_port()
    with subprocess.Popen([BINARY, "server", "--data", str(directory), "--resp-listen", "",
                           "--http-listen", f"[::1]:{port}", "--raft-listen", "127.0.0.1:0"],
                          stderr=subprocess.PIPE, text=True) as server:
        try:
            assert any(" ready " in line for line in server.stderr)
            for node in [f"[::1]:{port}", f"::1:{port}"]:
                done = run("kv", "incr", "n", "--node", node)
                assert done.returncode == 0, done.stderr
        finally:
            server.terminate()
            server.stderr.read()
    shutil.rmtree(directory)


def test_a_command_of_keys_is_found_where_it_is():
    assert b"did you mean kv get?" in run("get", "k").stderr


def test_kv_with_nobody_there_ends_with_3():
    done = run("kv", "put", "k", "v", "--node", f"127.0.0.1:{free_port()}", "--timeout", "1")
    assert done.returncode == 3
    assert b"unavailable" in done.stderr


def test_cluster_status_names_all_nodes(shared):
    done = run("cluster", "status", "--groups", "--node", f"127.0.0.1:{shared.nodes[2].http}")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert "3 nodes" in text
    for node in shared.nodes.values():
        assert f"127.0.0.1:{node.http}" in text


def test_top_shows_every_node_and_what_it_does(shared):
    ask = ["--node", f"127.0.0.1:{shared.nodes[1].http}", "--count", "1"]
    page = run("top", *ask).stdout.decode()
    assert "3 of 3 nodes answer" in page and page.count(" ready ") == 3

    def one_leader_each():  # between two nodes' answers a leader may move
        nodes = json.loads(run("top", *ask, "--json").stdout)["nodes"]
        assert [node["node"] for node in nodes] == [1, 2, 3]
        assert all(node["resident_bytes"] > 0 for node in nodes)
        assert all(node["resp_per_second"] >= 0 for node in nodes)
        leads = [node["leads"] for node in nodes]
        return "" if sum(leads) == GROUPS + 1 else f"they lead {leads}"
    shared.wait(one_leader_each)
    assert run("top", *ask, "--interval", "0").returncode == 2


def test_cluster_transfer_moves_the_leader(shared):
    shared.wait_settled()  # else the cluster moves it at the same time
    target = shared.followers(group=1)[0]
    ask = f"127.0.0.1:{shared.leader(group=1).http}"
    done = run("cluster", "transfer", "1", str(target.number), "--node", ask)
    assert done.returncode == 0, done.stderr
    shared.wait(lambda: "" if shared.leader(1) is target else "it did not move")


# ---- HTTP, by a stock client --------------------------------------------------------------------

def test_curl_puts_on_one_node_and_gets_from_the_others(curl):
    put = curl("/v1/kv/by/curl", "-X", "PUT", "--data-binary", "a value")
    assert json.loads(put)["version"] == 1
    for node in (1, 2, 3):
        assert curl("/v1/kv/by/curl", node=node) == b"a value"
    assert b"404" in curl("/v1/kv/absent", "-o", "/dev/null", "-w", "%{http_code}")


def test_curl_compares_and_swaps(curl):
    code = ["-o", "/dev/null", "-w", "%{http_code}"]
    assert curl("/v1/kv/cas?if_absent=true", "-X", "PUT", "-d", "1", *code) == b"200"
    assert curl("/v1/kv/cas?if_absent=true", "-X", "PUT", "-d", "2", *code) == b"409"
    assert curl("/v1/kv/cas?if_version=1", "-X", "PUT", "-d", "3", *code) == b"200"
    assert curl("/v1/kv/cas?if_version=1", "-X", "PUT", "-d", "4", *code) == b"412"
    assert curl("/v1/kv/cas") == b"3"


def test_a_retry_with_the_same_idempotency_key_counts_once(curl):
    for node in (1, 2, 3):
        answer = curl("/v1/kv/once/increment", "-X", "POST", "-H", "Idempotency-Key: k-1",
                      node=node)
        assert json.loads(answer)["value"] == 1


def test_an_error_says_whether_to_retry(curl):
    error = json.loads(curl("/v1/kv/absent"))["error"]
    assert (error["code"], error["retry"]) == ("not_found", "no")
    assert json.loads(curl("/v1/kv/k?ttl=soon", "-X", "PUT"))["error"]["code"] == "invalid_argument"


def test_a_key_with_a_lifetime_ends(curl, shared):
    curl("/v1/kv/short?ttl=300ms", "-X", "PUT", "-d", "x")
    shared.wait(lambda: "it lives on" if curl("/v1/kv/short") == b"x" else "")


def test_the_description_of_the_api_is_json_and_names_every_path(curl):
    api = json.loads(curl("/openapi.json"))
    assert api["openapi"].startswith("3.")
    for path in ["/v1/kv/{key}", "/cluster/status", "/healthz", "/readyz", "/metrics"]:
        assert path in api["paths"]
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)


def test_the_documentation_page_needs_nobody_else(curl):
    page = curl("/docs", "-f").decode()
    assert "<html" in page.lower()
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)


SAMPLE = re.compile(r'[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? -?[0-9.e+-]+(Inf|NaN)?')


def test_metrics_can_be_parsed(curl):
    typed = set()
    for line in curl("/metrics", "-f").decode().splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        elif line and not line.startswith("#"):
            assert SAMPLE.fullmatch(line), line
            name = re.match("[a-z_]+", line)[0]
            assert name in typed or re.sub("_(bucket|sum|count)$", "", name) in typed, line
    assert "quorate_node_ready" in typed


def test_metrics_are_json_too(curl, shared):
    port = str(shared.nodes[2].resp)
    for _ in range(3):
        subprocess.run(["redis-cli", "-p", port, "set", "k", "v"], capture_output=True, timeout=30,
                       check=True)
    said = json.loads(curl("/cluster/metrics", "-f", node=2))
    assert said["node"] == 2
    metrics = said["metrics"]
    assert metrics["quorate_http_connections"] >= 1
    assert metrics["quorate_node_lag_ms_max"] >= 0
    took = metrics['quorate_resp_command_seconds{command="set"}']
    assert took["count"] >= 3 and 0 < took["p50"] <= took["p99"] <= took["max"] <= took["sum"] < 90



def test_health_and_readiness(curl):
    assert curl("/healthz", "-f") == b"ok\n"
    assert curl("/readyz", "-f") == b"ready\n"


# ---- mistakes -----------------------------------------------------------------------------------

@pytest.mark.parametrize("text, complaint", [
    ("node = 1\n[http]\nlisen = \"127.0.0.1:1\"\n", "conf:3: there is no key 'http.lisen'; "
                                                    "did you mean 'http.listen'?"),
    ("node = 1\n\n[raft\n", "conf:3:"),
    ("[http]\nlisten = \"nowhere\"\n", "conf:2: 'http.listen' must be an address"),
    ("node = \"first\"\n", "conf:1: 'node' must be a whole number"),
])
def test_a_wrong_configuration_is_refused_with_its_line(tmp_path, text, complaint):
    path = tmp_path / "conf"
    path.write_text(text)
    for done in (run("server", "--config", str(path)), run("config", "check", str(path))):
        assert done.returncode == 2
        assert complaint in done.stderr.decode()


def test_a_configuration_that_is_not_there_is_named(tmp_path):
    done = run("server", "--config", str(tmp_path / "absent"))
    assert done.returncode == 2
    assert "absent" in done.stderr.decode()


def second(shared, **changes):
    node = shared.nodes[1]
    words = {"node": "1", "data": str(node.data), "http-listen": f"127.0.0.1:{free_port()}",
             "raft-listen": f"127.0.0.1:{free_port()}", "resp-listen": ""} | changes
    return run("server", *[w for k, v in words.items() for w in (f"--{k}", v)])


def test_two_processes_on_one_data_directory_are_refused(shared):
    done = second(shared)
    assert done.returncode == 1
    assert str(shared.nodes[1].data) in done.stderr.decode()
    assert shared.nodes[1].running


def test_a_port_in_use_is_named(shared, tmp_path):
    port = f"127.0.0.1:{shared.nodes[1].http}"
    done = second(shared, data=str(tmp_path / "data"), **{"http-listen": port})
    assert done.returncode == 1
    assert port in done.stderr.decode()


# ---- quorate dev --------------------------------------------------------------------------------

@pytest.fixture
def own_network():
    """`quorate dev` has fixed ports, so it gets a loopback of its own."""
    wrap = ["unshare", "--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]
    probe = subprocess.run([*wrap, "true"], capture_output=True, timeout=30, check=False)
    if probe.returncode != 0:
        pytest.skip("no network namespace may be made here (root can): "
                    + probe.stderr.decode().strip())
    return wrap


def until_it_says_where_to_look(process):
    text = ""
    for line in process.stdout:
        text += line
        if "/docs" in line:
            break
    assert "127.0.0.1:8001" in text
    return text


def test_dev_says_where_to_look_and_serves(own_network, tmp_path):
    process = subprocess.Popen(
        [*own_network, "setpriv", "--pdeathsig", "TERM", BINARY, "dev", "--nodes", "3", "--dir",
         str(tmp_path / "dev")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net", "--"]
    try:
        text = until_it_says_where_to_look(process)
        put = subprocess.run([*inside, "curl", "-sf", "--max-time", "30", "-X", "PUT", "-d",
                              "hello", "http://127.0.0.1:8001/v1/kv/k"], capture_output=True,
                             timeout=60, check=False)
        assert put.returncode == 0, text
        for port in (8002, 8003):
            got = subprocess.run([*inside, BINARY, "kv", "get", "k", "--node", f"127.0.0.1:{port}"],
                                 capture_output=True, timeout=60, check=True)
            assert got.stdout.strip() == b"hello"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        # Nobody hands its leaderships to another that stops too; what was on its way may arrive.
        at_stop, at_end = (sum(map(int, re.findall(rf"info  {word} .*leads=(\d+)", rest)))
                           for word in ("stop", "stopped"))
        assert 2 * at_end > at_stop > 0, rest
    finally:
        process.kill()
        process.wait(30)


def test_as_many_wait_to_be_accepted_as_the_system_allows(own_network, tmp_path):
    """All clients of a node that failed come to another at once."""
    most = ["sh", "-c", "echo 20000 > /proc/sys/net/core/somaxconn && exec \"$@\"", "sh"]
    process = subprocess.Popen(
        [*own_network, *most, "setpriv", "--pdeathsig", "TERM", BINARY, "dev", "--nodes", "1",
         "--dir", str(tmp_path / "dev")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until_it_says_where_to_look(process)
        inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net", "--"]
        found = subprocess.run([*inside, "ss", "-ltnH"], capture_output=True, text=True,
                               timeout=30, check=True)
        # State, those who wait, how many may wait, address.
        queues = {row.split()[3]: row.split()[2] for row in found.stdout.splitlines()}
        assert queues["127.0.0.1:8001"] == queues["127.0.0.1:7001"] == "20000"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait(30)
