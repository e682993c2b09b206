# SPDX-License-Identifier: Apache-2.0
"""The API's own description is good enough for a client that a program makes of it."""
import json
import os
import re
import subprocess
import venv

import httpx
import pytest

from cluster import Cluster

GENERATOR = "openapi-python-client==0.29.1"

# What a user of the generated client would write; run by the Python that it is installed for.
SESSION = '''
import io
import sys
from quorate_client import Client
from quorate_client.api.keys_and_values import (
    get_v1_kv_key, get_v1_kvstats, post_v1_kv_key_increment, post_v1_kvdelete_many,
    post_v1_kvget_many, post_v1_kvput_many, post_v1_kvscan, put_v1_kv_key)
from quorate_client.api.keyspaces import get_v1_keyspaces_name, post_v1_keyspaces
from quorate_client.models import (
    PostV1KeyspacesBody, PostV1KvdeleteManyBody, PostV1KvgetManyBody, PostV1KvputManyBody,
    PostV1KvscanBody)
from quorate_client.types import File

with Client(base_url=sys.argv[1]) as client:
    body = File(payload=io.BytesIO(b"hello"), mime_type="application/octet-stream")
    put = put_v1_kv_key.sync(key="greeting", client=client, body=body)
    assert put.version == 1, put
    item = get_v1_kv_key.sync(key="greeting", client=client, accept="application/json")
    assert (item.value, item.version, item.expires_at_ms) == ("hello", 1, None), item
    assert post_v1_kv_key_increment.sync(key="n", client=client, by=5).value == 5
    many = PostV1KvputManyBody.from_dict(
        {"items": [{"key": f"k{n}", "value": str(n)} for n in range(10)]})
    assert post_v1_kvput_many.sync(client=client, body=many).count == 10
    page = post_v1_kvscan.sync(client=client, body=PostV1KvscanBody(prefix="k", limit=3))
    assert [each.key for each in page.items] == ["k0", "k1", "k2"] and page.resume == "k2", page
    page = post_v1_kvscan.sync(client=client, body=PostV1KvscanBody(
        prefix="k", limit=3, resume=page.resume))
    assert [each.key for each in page.items] == ["k3", "k4", "k5"], page
    found = post_v1_kvget_many.sync(client=client, body=PostV1KvgetManyBody(
        keys=["greeting", "nowhere"]))
    assert [each and each.value for each in found.items] == ["hello", None], found
    made = post_v1_keyspaces.sync(client=client, body=PostV1KeyspacesBody.from_dict(
        {"name": "generated", "keys_max": 10}))
    assert (made.name, made.keys_max, made.bytes_max) == ("generated", 10, None), made
    said = get_v1_keyspaces_name.sync(name="nowhere", client=client)
    assert said.error.code == "not_found" and said.error.retry == "no", said
    gone = post_v1_kvdelete_many.sync(client=client, body=PostV1KvdeleteManyBody.from_dict(
        {"keys": [f"k{n}" for n in range(10)]}))
    assert gone.count == 10
    assert get_v1_kvstats.sync(client=client).keys == 2
'''


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python of its own, with the generator and what its clients need."""
    path = tmp_path_factory.mktemp("venv")
    venv.create(path, with_pip=True)
    python = path / "bin" / "python"
    try:
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--retries", "1",
                               GENERATOR], capture_output=True, text=True, timeout=150,
                              check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{GENERATOR} cannot be had: pip fetched nothing in time")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        pytest.skip(f"{GENERATOR} cannot be had: {lines[-1] if lines else 'pip failed'}")
    return python


def test_a_generated_client_works(directory, python, tmp_path):
    with Cluster(directory, count=1) as cluster:
        cluster.start()
        url = f"http://127.0.0.1:{cluster.nodes[1].http}"
        document = tmp_path / "openapi.json"
        document.write_bytes(httpx.get(f"{url}/openapi.json", timeout=30).content)
        assert json.loads(document.read_text())["openapi"].startswith("3.")
        made = subprocess.run(
            [python.parent / "openapi-python-client", "generate", "--path", document,
             "--output-path", tmp_path / "client", "--meta", "none", "--overwrite"],
            capture_output=True, text=True, timeout=120, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
        assert "will not be generated" not in made.stdout + made.stderr, made.stdout + made.stderr
        (tmp_path / "client").rename(tmp_path / "quorate_client")
        ran = subprocess.run([python, "-c", SESSION, url], capture_output=True, text=True,
                             timeout=120, check=False,
                             env={**os.environ, "PYTHONPATH": str(tmp_path)})
        assert ran.returncode == 0, ran.stderr


def test_the_description_names_all_that_a_body_may_say(directory):
    """What the server says it knows, when it is told something else."""
    checked = 0
    with Cluster(directory, count=1) as cluster:
        cluster.start()
        url = f"http://127.0.0.1:{cluster.nodes[1].http}"
        document = httpx.get(f"{url}/openapi.json", timeout=30).json()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                body = operation.get("requestBody", {"content": {}})["content"]
                if "application/json" not in body:
                    continue
                answer = httpx.request(
                    method, url + re.sub(r"\{\w+\}", "1", path), json={"no such": 1}, timeout=30)
                said = answer.json()["error"]["message"]
                assert answer.status_code == 400 and "known here: " in said, (path, said)
                known = set(said.split("known here: ")[1].split(", "))
                described = set(body["application/json"]["schema"]["properties"])
                described -= {f"{name}_base64" for name in described - known}
                assert known == described, path
                checked += 1
    assert checked >= 25
