# SPDX-License-Identifier: Apache-2.0
"""What a test does to the machine of one node: its wall clock, and how long its disk takes to sync.
A shim before the C library does it (shims/machine.c), for that process alone.
"""
import mmap
import pathlib
import shutil
import struct
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parent / "shims/machine.c"


def build(directory):
    """The shim, compiled; once for a test."""
    compiler = next((c for c in ("cc", "gcc", "g++") if shutil.which(c)), None)
    if compiler is None:
        pytest.skip("not on this machine: a C compiler")
    target = pathlib.Path(directory) / "machine.so"
    subprocess.run([compiler, "-x", "c", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o",
                    target, SOURCE, "-ldl"], check=True, timeout=60)
    return target


class Machine:
    """The machine of one node. Before: the node is not started yet."""

    def __init__(self, node, shim):
        path = node.directory / "machine"
        path.write_bytes(bytes(16))
        with open(path, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), 16)
        node.environment.update(LD_PRELOAD=str(shim), SHIM_CONTROL=str(path))

    def set_clock_ahead(self, seconds):
        self.control[0:8] = struct.pack("<q", int(seconds * 1_000_000))

    def make_syncs_take(self, seconds):
        self.control[8:16] = struct.pack("<q", int(seconds * 1_000_000))
