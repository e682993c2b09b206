# SPDX-License-Identifier: Apache-2.0
"""What deploy/ names must be there: metrics, configuration keys, flags."""
import json
import pathlib
import re
import subprocess

from cluster import BINARY, Cluster

DEPLOY = pathlib.Path(__file__).resolve().parent.parent / "deploy"
METRIC = re.compile(r"\bquorate_[a-z0-9_]+")


def metrics_of(cluster):
    """After one request of each kind, so that every series is there."""
    client = cluster.nodes[1].client()
    client.put("/v1/kv/a", b"1")
    client.get("/v1/kv/a")
    text = client.get("/metrics").body.decode()
    client.close()
    return set(re.findall(r"^(quorate_[a-z0-9_]+)[ {]", text, re.M))


def test_dashboard_and_alerts_name_metrics_that_exist(directory):
    dashboard = json.loads((DEPLOY / "grafana/quorate.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"]
                     for target in panel["targets"])
    alerts = (DEPLOY / "prometheus/alerts.yaml").read_text()
    named = set(METRIC.findall(asked)) | set(METRIC.findall(alerts))
    assert len(named) >= 15
    with Cluster(directory, count=1) as cluster:
        known = metrics_of(cluster.start())
    assert not named - known, named - known


def test_the_example_of_a_configuration_is_right(tmp_path):
    token = tmp_path / "root.token"
    token.write_text("x" * 40)
    token.chmod(0o600)
    text = (DEPLOY / "systemd/quorate.conf").read_text()
    config = tmp_path / "quorate.conf"
    config.write_text(text.replace("/etc/quorate/root.token", str(token)))
    done = subprocess.run([BINARY, "config", "check", "--config", str(config)],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_containers_set_variables_that_are_known():
    done = subprocess.run([BINARY, "config", "keys"], capture_output=True, text=True, timeout=30)
    known = {"QUORATE_" + key.upper().replace(".", "_")
             for key in re.findall(r"^\| `([a-z0-9._]+)`", done.stdout, re.M)}
    files = ["container/Containerfile", "compose/compose.yaml", "kubernetes/quorate.yaml"]
    named = set(re.findall(r"QUORATE_[A-Z0-9_]+", " ".join((DEPLOY / f).read_text()
                                                           for f in files)))
    assert len(named) > 5
    assert not named - known, named - known
