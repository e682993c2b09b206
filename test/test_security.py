# SPDX-License-Identifier: Apache-2.0
"""Getting in without, with wrong, and with too little right; with Python's own TLS and HTTP."""
import base64
import http.client
import json
import re
import ssl
import subprocess
import time

import pytest
import redis

from cluster import BINARY, Cluster

PASSWORD = "correct horse battery"


def quorate(*words, **options):
    return subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60, **options)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    path = tmp_path_factory.mktemp("certs")
    for words in (["node", "1", "2", "3"], ["client", "ops"]):
        done = quorate("certs", *words, "--dir", str(path))
        assert done.returncode == 0, done.stderr
    other = tmp_path_factory.mktemp("other")
    assert quorate("certs", "client", "ops", "--dir", str(other)).returncode == 0
    return path, other


@pytest.fixture
def root_token(tmp_path):
    path = tmp_path / "root.token"
    path.write_text("r" * 48 + "\n")
    path.chmod(0o600)
    return path


def ask(node, method, path, body=None, **how):
    """The status and the body of one request; None for each if TLS refused."""
    headers, context = how.get("headers"), how.get("context")
    if context is None:
        link = http.client.HTTPConnection("127.0.0.1", node.http, timeout=20)
    else:
        link = http.client.HTTPSConnection("127.0.0.1", node.http, timeout=20, context=context)
    try:
        link.request(method, path, body, headers or {})
        answer = link.getresponse()
        return answer.status, answer.read()
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
        return None, None
    finally:
        link.close()


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token):
    return {"Authorization": "Bearer " + token}


def wait_for(check, seconds=60):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come to be in time"
        time.sleep(0.05)


def trusting(authority, certificate=None):
    context = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    if certificate:
        context.load_cert_chain(certificate / "client-ops.pem", certificate / "client-ops.key")
    return context


def in_the_clear(node):
    """Told at once what is wrong, and nothing else."""
    status, body = ask(node, "GET", "/v1/kv/a")
    assert status == 400 and b"speaks TLS" in body, (status, body)
    done = quorate("kv", "get", "a", "--node", f"127.0.0.1:{node.http}")
    assert done.returncode == 1 and "--tls-authority" in done.stderr, done
    with redis.Redis(port=node.resp, socket_timeout=20) as client:
        with pytest.raises(redis.RedisError, match="speaks TLS"):
            client.get("a")


def test_with_tls_only_those_who_belong_get_in(directory, certificates):
    ours, other = certificates
    settings = {"tls.directory": str(ours), "tls.clients": "required"}
    with Cluster(directory, settings=settings) as cluster:
        for node in cluster.nodes.values():
            node.start()
        known = trusting(ours, ours)
        wait_for(lambda: all(ask(node, "GET", "/readyz", context=known)[0] == 200
                             for node in cluster.nodes.values()))
        first, last = cluster.nodes[1], cluster.nodes[3]
        assert ask(first, "PUT", "/v1/kv/a", b"1", context=known)[0] == 200
        assert ask(last, "GET", "/v1/kv/a", context=known) == (200, b"1")
        in_the_clear(first)
        assert ask(first, "GET", "/v1/kv/a", context=trusting(ours))[0] is None, "no certificate"
        stranger = trusting(ours)
        stranger.load_cert_chain(other / "client-ops.pem", other / "client-ops.key")
        assert ask(first, "GET", "/v1/kv/a", context=stranger)[0] is None, "another authority"
        refused = quorate("kv", "get", "a", "--node", f"127.0.0.1:{first.http}",
                          "--tls-authority", str(ours / "ca.pem"))
        assert refused.returncode == 1 and "certificate" in refused.stderr, refused
        assert all(node.running for node in cluster.nodes.values())


def revoke_and_look_back(first, last, token):
    root = bearer("r" * 48)
    assert ask(first, "DELETE", "/access/tokens/ci", headers=root)[0] == 200
    wait_for(lambda: ask(last, "GET", "/v1/kv/app/1", headers=token)[0] == 401)
    head = json.loads(ask(last, "GET", "/access/audit", headers=root)[1])
    wait_for(lambda: quorate("audit", "verify", str(last.data / "audit.log")).returncode == 0)
    log = (last.data / "audit.log").read_text()
    assert head["chain"] in log and PASSWORD not in log and "r" * 48 not in log
    assert '"caller":"ada"' in log and "/access/users/ada" in log
    tampered = last.directory / "tampered.log"
    tampered.write_text(log.replace('"caller":"ada"', '"caller":"eve"', 1))
    assert quorate("audit", "verify", str(tampered)).returncode == 1


def test_only_who_may_gets_in(directory, root_token):
    settings = {"access.control": True, "access.root_token_file": str(root_token)}
    root = bearer("r" * 48)
    with Cluster(directory, settings=settings) as cluster:
        for node in cluster.nodes.values():
            node.start()
        wait_for(lambda: all(ask(node, "GET", "/readyz")[0] == 200
                             for node in cluster.nodes.values()))
        first, last = cluster.nodes[1], cluster.nodes[3]
        user = {"password": PASSWORD, "grants": [
            {"service": "kv", "scope": "default", "prefix": "app/", "rights": ["read", "write"]},
            {"service": "kv", "prefix": "drop/", "rights": ["write"]}]}
        assert ask(first, "PUT", "/access/users/ada", json.dumps(user), headers=root)[0] == 200
        status, body = ask(first, "POST", "/access/tokens", json.dumps(
            {"name": "ci", "ttl": "1h", "grants": [
                {"service": "kv", "prefix": "app/", "rights": ["read"]}]}), headers=root)
        assert status == 200
        token = bearer(json.loads(body)["token"])
        listed = quorate("token", "ls", "--node", f"127.0.0.1:{first.http}", "--token",
                         f"@{root_token}")
        assert re.search(r"^ci  until \d{4}-\d\d-\d\dT[0-9:]{8}Z$", listed.stdout, re.M), listed
        ada = basic("ada", PASSWORD)
        wait_for(lambda: all(ask(node, "GET", "/access/self", headers=who)[0] == 200
                             for node in (first, last) for who in (ada, token)))

        many = json.dumps({"items": [{"key": "app/1", "value": "1"}, {"key": "b", "value": "2"}]})
        scan = json.dumps({"prefix": "app/"})
        everything = json.dumps({"prefix": "ap"})
        rows = [
            # what, method, path, body, headers, status
            ("no credentials", "GET", "/v1/kv/app/1", None, {}, 401),
            ("no credentials, all", "GET", "/metrics", None, {}, 401),
            ("an empty token", "GET", "/v1/kv/app/1", None, bearer(""), 401),
            ("a wrong token", "GET", "/v1/kv/app/1", None, bearer("qt_ci_" + "0" * 64), 401),
            ("a token of nobody", "GET", "/v1/kv/app/1", None, bearer("qt_no_00"), 401),
            ("nearly the root token", "GET", "/access/users", None, bearer("r" * 47), 401),
            ("a wrong password", "GET", "/v1/kv/app/1", None, basic("ada", "wrong"), 401),
            ("a user of that name", "GET", "/v1/kv/app/1", None, basic("eve", PASSWORD), 401),
            ("not even base64", "GET", "/v1/kv/app/1", None, {"Authorization": "Basic ?"}, 401),
            ("its own key", "PUT", "/v1/kv/app/1", "x", ada, 200),
            ("another key", "PUT", "/v1/kv/b", "x", ada, 403),
            ("write only", "PUT", "/v1/kv/drop/1", "x", ada, 200),
            ("write only, read", "GET", "/v1/kv/drop/1", None, ada, 403),
            ("write only, look", "PUT", "/v1/kv/drop/1?return_previous=true", "x", ada, 403),
            ("a batch with one outside", "POST", "/v1/kv:put_many", many, ada, 403),
            ("a scan inside", "POST", "/v1/kv:scan", scan, token, 200),
            ("a scan beyond", "POST", "/v1/kv:scan", everything, token, 403),
            ("a watch beyond", "GET", "/v1/kv:watch?prefix=ap", None, token, 403),
            ("a reader reads", "GET", "/v1/kv/app/1", None, token, 200),
            ("a reader writes", "PUT", "/v1/kv/app/1", "y", token, 403),
            ("how much there is", "GET", "/v1/kv:stats", None, token, 403),
            ("makes itself a user", "PUT", "/access/users/ada", json.dumps(user), ada, 403),
            ("reads the users", "GET", "/access/users", None, ada, 403),
            ("removes a node", "DELETE", "/cluster/nodes/3?force=true", None, ada, 403),
            ("alive", "GET", "/healthz", None, {}, 200),
            ("documentation", "GET", "/docs", None, {}, 200),
        ]
        for what, method, path, body, headers, expected in rows:
            for node in (first, last):
                status, text = ask(node, method, path, body, headers=headers)
                assert status == expected, f"{what}: {status} {text!r}"
        assert ask(last, "GET", "/v1/kv/app/1", headers=ada) == (200, b"x"), "nothing was changed"

        revoke_and_look_back(first, last, token)
        logs = "".join(node.log_text() for node in cluster.nodes.values())
        secrets = (PASSWORD, "r" * 48, token["Authorization"][7:])
        assert not any(secret in logs for secret in secrets)


def test_a_root_token_that_others_may_read_is_refused(directory, root_token):
    root_token.chmod(0o644)
    done = quorate("server", "--data", directory + "/d", "--http-listen", "127.0.0.1:0",
                   "--raft-listen", "127.0.0.1:0", "--access-control", "true",
                   "--access-root-token-file", str(root_token))
    assert done.returncode != 0 and "chmod 600" in done.stderr, done
