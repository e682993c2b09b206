# SPDX-License-Identifier: Apache-2.0
"""What deploy/ names must be there: metrics, configuration keys, flags; what it starts, start."""
import configparser
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from cluster import BINARY, Cluster

DEPLOY = pathlib.Path(__file__).resolve().parent.parent / "deploy"
METRIC = re.compile(r"\bquorate_[a-z0-9_]+")


def metrics_of(cluster):
    """After one request of each kind, so that every series is there."""
    client = cluster.nodes[1].client()
    client.put("/v1/kv/a", b"1")
    client.get("/v1/kv/a")
    subprocess.run(["redis-cli", "-p", str(cluster.nodes[1].resp), "set", "b", "1"], check=True,
                   capture_output=True, timeout=30)
    text = client.get("/metrics").body.decode()
    client.close()
    return set(re.findall(r"^(quorate_[a-z0-9_]+)[ {]", text, re.M))


def test_dashboard_and_alerts_name_metrics_that_exist(directory):
    dashboards = [json.loads(path.read_text()) for path in (DEPLOY / "grafana").glob("*.json")]
    assert len({each["uid"] for each in dashboards}) == len(dashboards) >= 2
    asked = " ".join(target["expr"] for dashboard in dashboards
                     for panel in dashboard["panels"] for target in panel["targets"])
    alerts = (DEPLOY / "prometheus/alerts.yaml").read_text()
    named = set(METRIC.findall(asked)) | set(METRIC.findall(alerts))
    assert len(named) >= 15
    with Cluster(directory, count=1) as cluster:
        known = metrics_of(cluster.start())
    assert not named - known, named - known


def test_each_alert_says_what_to_do():
    rules = [rule for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())
             ["groups"] for rule in group["rules"]]
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule
        assert rule["annotations"]["summary"] and rule["annotations"]["action"], rule
    named = [rule["alert"] for rule in rules]
    assert len(set(named)) == len(named)
    scrape = yaml.safe_load((DEPLOY / "prometheus/scrape.yaml").read_text())
    assert scrape["rule_files"] == ["alerts.yaml"]
    assert scrape["scrape_configs"][0]["job_name"] == "quorate"


# ---- systemd ------------------------------------------------------------------------------------

def check(environment, *arguments):
    """What quorate config check says, in this environment alone."""
    return subprocess.run([BINARY, "config", "check", *arguments], capture_output=True, text=True,
                          timeout=30, env={"PATH": os.environ["PATH"], **environment})


def test_the_example_of_a_configuration_is_right(tmp_path):
    token = tmp_path / "root.token"
    token.write_text("x" * 40)
    token.chmod(0o600)
    certs = tmp_path / "certs"
    subprocess.run([BINARY, "certs", "node", "1", "--dir", str(certs)], check=True, timeout=30,
                   capture_output=True)
    text = (DEPLOY / "systemd/quorate.conf").read_text()
    for there, here in [("/etc/quorate/root.token", token), ("/etc/quorate/certs", certs),
                        ("/var/lib/quorate", tmp_path / "data")]:
        assert there in text
        text = text.replace(there, str(here))
    config = tmp_path / "quorate.conf"
    config.write_text(text)
    done = check({}, "--config", str(config))
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([BINARY, "config", "show", str(config)], capture_output=True, text=True,
                           timeout=30, check=True).stdout
    assert 'listen = "0.0.0.0:7001"' in shown  # Redis clients get in from other machines too
    token.chmod(0o644)
    (certs / "node-1.key").unlink()
    done = check({}, "--config", str(config))
    assert done.returncode == 2
    assert "root.token may be read by others" in done.stderr
    assert "node-1.key" in done.stderr


def test_the_unit_starts_what_is_there(tmp_path):
    text = (DEPLOY / "systemd/quorate.service").read_text()
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string(text)
    for key in ["ExecStartPre", "ExecStart"]:
        program, *words = shlex.split(unit["Service"][key])
        assert program == "/usr/bin/quorate"
        assert words[-2:] == ["--config", "/etc/quorate/quorate.conf"]
    if shutil.which("systemd-analyze"):
        path = tmp_path / "quorate.service"
        path.write_text(text.replace("/usr/bin/quorate", str(BINARY)))
        done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True,
                              text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr


# ---- containers ---------------------------------------------------------------------------------

def image():
    """Variables and ports of the image."""
    text = (DEPLOY / "container/Containerfile").read_text().replace("\\\n", " ")
    variables = dict(word.split("=", 1) for line in re.findall(r"^ENV (.*)$", text, re.M)
                     for word in shlex.split(line))
    ports = {int(port) for line in re.findall(r"^EXPOSE (.*)$", text, re.M)
             for port in line.split()}
    return variables, ports


def port_of(variables, listener):
    host, port = variables[f"QUORATE_{listener}_LISTEN"].rsplit(":", 1)
    assert host == "0.0.0.0", listener
    return int(port)


def test_the_image_serves_what_it_exposes(tmp_path):
    variables, ports = image()
    assert ports == {port_of(variables, name) for name in ["HTTP", "RESP", "RAFT"]}
    done = check({**variables, "QUORATE_DATA": str(tmp_path)})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [1, 2, 3])
def test_compose_starts_three_nodes_that_clients_reach(number, tmp_path):
    compose = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())
    service = compose["services"][f"node{number}"]
    variables, ports = image()
    variables = {**variables, **service["environment"], "QUORATE_DATA": str(tmp_path)}
    assert variables["QUORATE_NODE"] == str(number)
    published = {int(entry.split(":")[2]): entry for entry in service["ports"]}
    assert set(published) == ports - {port_of(variables, "RAFT")}
    assert all(entry.startswith("127.0.0.1:") for entry in published.values())
    done = check(variables)
    assert done.returncode == 0, done.stderr


def manifests():
    return list(yaml.safe_load_all((DEPLOY / "kubernetes/quorate.yaml").read_text()))


def test_kubernetes_takes_the_manifests():
    for manifest in manifests():
        kubernetes_validate.validate(manifest, "1.31", strict=True)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_pod_starts_a_node_that_clients_reach(number, tmp_path):
    """The pod's script, run by sh, up to the server."""
    services = {each["metadata"]["name"]: each["spec"] for each in manifests()
                if each["kind"] == "Service"}
    pods = next(each for each in manifests() if each["kind"] == "StatefulSet")["spec"]
    assert pods["serviceName"] in services
    pod = pods["template"]["spec"]
    container = pod["containers"][0]
    assert pod["enableServiceLinks"] is False  # else the service quorate sets QUORATE_PORT
    program = tmp_path / "quorate"
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o755)
    given = {each["name"]: each["value"] for each in container["env"]}
    done = subprocess.run([*container["command"], *container["args"]], capture_output=True,
                          text=True, timeout=30, check=True,
                          env={"PATH": f"{tmp_path}:/usr/bin:/bin",
                               "HOSTNAME": f"quorate-{number - 1}", **given})
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines()
                     if line.startswith("QUORATE_"))
    assert variables["QUORATE_NODE"] == str(number)
    assert ("QUORATE_CLUSTER_NODES" in variables) == (number <= 3)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {name.lower(): port_of(variables, name) for name in ["HTTP", "RESP", "RAFT"]}
    for name in ["HTTP", "RESP", "RAFT"]:
        host, port = variables[f"QUORATE_{name}_ADVERTISE"].split(":")
        assert host == f"quorate-{number - 1}.{pods['serviceName']}"
        assert int(port) == ports[name.lower()]
    offered = {each["name"]: each["port"] for each in services["quorate"]["ports"]}
    assert offered == {name: port for name, port in ports.items() if name != "raft"}
    done = check({**variables, "QUORATE_DATA": str(tmp_path)})
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
