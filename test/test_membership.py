# SPDX-License-Identifier: Apache-2.0
"""Nodes that come, go, and take each other's place while clients write."""
import shutil
import time

from client import Lost, NotSent
from load import Load


def ask(cluster, method, path, body=None):
    """A change of members, asked of any node; it may be told to wait a little."""
    last = []

    def look():
        client = cluster.running()[0].client(30)
        try:
            last[:] = [client.post(path, body) if method == "POST" else client.call(method, path)]
        except (NotSent, Lost) as error:  # each of these may be asked again
            return f"{method} {path}: {error}"
        finally:
            client.close()
        return "" if last[0].ok else f"{method} {path}: {last[0]}"
    cluster.wait(look)
    return last[0].json()


def remove(cluster, number):
    """As a person does it: say so, wait until it is done, stop the process."""
    ask(cluster, "DELETE", f"/cluster/nodes/{number}")
    wait_removed(cluster, number)


def test_a_node_is_added_under_load_and_gets_its_share(cluster):
    with Load(cluster) as load:
        load.wait_acknowledged(50)
        cluster.join(4)
        cluster.wait_caught_up()
        cluster.wait(lambda: "" if replicas(cluster, 4) >= 2 else "node 4 holds too little")
        load.wait_acknowledged(20)
    cluster.wait_healthy()
    for group in cluster.nodes[1].status()["groups"]:
        assert len(group["voters"]) == 3 or group["id"] == 0, group
    load.verify()


def replicas(cluster, number):
    return sum("role" in g for g in (cluster.nodes[number].status() or {"groups": []})["groups"])


def test_a_node_is_added_and_removed_again_under_load(cluster, rounds):
    with Load(cluster) as load:
        for number in range(4, 4 + rounds(2)):
            load.wait_acknowledged(20)
            cluster.join(number)
            cluster.wait_caught_up()
            load.wait_acknowledged(20)
            remove(cluster, number)
            cluster.wait_caught_up()
    load.verify()


def replace(cluster, old, new):
    """The new node is announced and given the old one's share before it starts: one that starts
    first has taken a share of its own."""
    node = cluster.prepare(new)
    ask(cluster, "POST", "/cluster/nodes", {"id": new, "raft": f"{node.host}:{node.raft}",
                                            "http": f"127.0.0.1:{node.http}"})
    ask(cluster, "POST", f"/cluster/nodes/{old}/replace", {"with": new})
    node.start()
    wait_removed(cluster, old, new)


def wait_removed(cluster, number, *unasked):
    asked = [n for n in cluster.running() if n.number not in (number, *unasked)][0]

    def look():
        status = asked.status()
        rows = [n["state"] for n in status["nodes"] if n["id"] == number] if status else ["?"]
        return "" if rows in ([], ["removed"]) else f"node {number} is {rows}"
    cluster.wait(look)
    cluster.forget(number)


def test_every_node_is_replaced_by_a_new_one_under_load(cluster):
    """The whole cluster moves to other machines, and no client notices."""
    with Load(cluster) as load:
        for old, new in [(1, 4), (2, 5), (3, 6)]:
            load.wait_acknowledged(20)
            replace(cluster, old, new)
            cluster.wait_caught_up()
            load.wait_acknowledged(20)
    cluster.wait_healthy(voters=[4, 5, 6])
    load.verify()


def test_a_node_whose_directory_is_lost_is_replaced(cluster):
    with Load(cluster) as load:
        load.wait_acknowledged(100)
        lost = cluster.followers()[0]
        lost.kill()
        shutil.rmtree(lost.data)
        load.wait_acknowledged(20)
        replace(cluster, lost.number, 4)
        load.wait_acknowledged(20)
    cluster.wait_healthy(voters=list(cluster.nodes))
    load.verify()


def test_a_node_whose_directory_is_lost_is_rebuilt_under_its_own_number(cluster):
    with Load(cluster) as load:
        load.wait_acknowledged(100)
        lost = cluster.followers()[0]
        lost.kill()
        shutil.rmtree(lost.data)
        load.wait_acknowledged(20)
        lost.start()
        cluster.wait_caught_up()
        load.wait_acknowledged(20)
    cluster.wait_healthy()
    load.verify()


def test_a_lost_directory_and_a_node_that_was_away_make_no_majority(cluster):
    away, lost, keeper = cluster.nodes.values()
    with Load(cluster) as load:
        load.wait_acknowledged(50)
        away.kill()
        load.wait_acknowledged(100)  # these are on the other two alone
        keeper.kill()
        lost.kill()
        shutil.rmtree(lost.data)
        away.start()
        lost.start()
        time.sleep(5)
        keeper.start()
        cluster.wait_caught_up()
        load.wait_acknowledged(20)
    cluster.wait_healthy()
    load.verify()


def test_a_node_dies_while_it_is_being_added(cluster):
    with Load(cluster) as load:
        load.wait_acknowledged(50)
        node = cluster.join(4)
        node.kill()
        load.wait_acknowledged(20)
        node.start()
        cluster.wait_caught_up()
    cluster.wait_healthy()
    load.verify()
