# SPDX-License-Identifier: Apache-2.0
"""A small network of namespaces, made by the test and removed after it.

Each node has a namespace of its own, with a cable to a switch, which has one too; nothing of the
machine's own network is touched. A cable is cut by a wrong Ethernet address of the peer in one's
own table: what is sent goes to nobody, without an error, one way. Cut in both tables, it is a
partition.

A client of a node is inside the node's namespace, and reaches it over its loopback whatever is cut.
"""
import ctypes
import itertools
import os
import socket
import subprocess

import pytest

_numbers = itertools.count(1)
_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
NOBODY = "02:ff:ff:ff:ff:ff"


def _ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _enter(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(descriptor)


def open_socket_in(namespace):
    """Connects as socket.create_connection does, from inside a namespace.

    The namespace is the thread's, for a moment; a socket stays where it was made."""
    def connect(address, timeout):
        _enter(f"/run/netns/{namespace}")
        try:
            return socket.create_connection(address, timeout)
        finally:
            _enter(f"/proc/{os.getpid()}/ns/net")
    return connect


class Network:
    """`count` namespaces that see each other. A context: they are gone after it."""

    def __init__(self, count):
        self.count = count
        self._name = f"qt{os.getpid()}-{next(_numbers)}"
        self._made = []

    def namespace(self, number):
        return f"{self._name}-n{number}"

    @staticmethod
    def host(number):
        return f"10.199.0.{number}"

    @staticmethod
    def _ethernet(number):
        return f"02:00:00:00:00:{number:02x}"

    def __enter__(self):
        try:
            self._build()
        except OSError as error:
            self._remove()
            if os.geteuid() != 0:
                pytest.skip(f"only root can make network namespaces: {error}")
            pytest.skip(f"no network namespaces may be made here: {error}")
        return self

    def __exit__(self, *_):
        self._remove()

    def _build(self):
        switch = f"{self._name}-sw"
        self._add(switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for number in range(1, self.count + 1):
            here = self.namespace(number)
            self._add(here)
            _ip("-n", here, "link", "add", "eth0", "address", self._ethernet(number), "type",
                "veth", "peer", "name", f"port{number}", "netns", switch)
            _ip("-n", switch, "link", "set", f"port{number}", "master", "bridge", "up")
            _ip("-n", here, "address", "add", f"{self.host(number)}/24", "dev", "eth0")
            _ip("-n", here, "link", "set", "eth0", "up")
            _ip("-n", here, "link", "set", "lo", "up")
        self.heal()

    def _add(self, namespace):
        _ip("netns", "add", namespace)
        self._made.append(namespace)

    def _remove(self):
        for namespace in self._made:
            try:
                _ip("netns", "delete", namespace)
            except OSError as error:
                print(error)
        self._made = []

    def _point(self, source, target, ethernet):
        _ip("-n", self.namespace(source), "neighbour", "replace", self.host(target), "lladdr",
            ethernet, "nud", "permanent", "dev", "eth0")

    def drop(self, source, target):
        """What `source` sends to `target` is lost; the other way it still arrives."""
        self._point(source, target, NOBODY)

    def split(self, *sides):
        """Those of different sides do not hear each other."""
        for side in sides:
            for source in side:
                for target in range(1, self.count + 1):
                    if target not in side:
                        self.drop(source, target)

    def isolate(self, number):
        self.split([number], [n for n in range(1, self.count + 1) if n != number])

    def heal(self):
        for source in range(1, self.count + 1):
            for target in range(1, self.count + 1):
                if source != target:
                    self._point(source, target, self._ethernet(target))
