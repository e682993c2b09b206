# SPDX-License-Identifier: Apache-2.0
"""The judge is judged: good histories pass, bad ones do not."""
import random

import pytest

from history import UNKNOWN, History, Operation, linearizable


def write(value, begin, end):
    return Operation(1, "write", "k", value, begin, end)


def read(value, begin, end):
    return Operation(2, "read", "k", value, begin, end)


GOOD = {
    "nothing": [],
    "a read of an absent key": [read(None, 0, 1)],
    "a write, then a read": [write("a", 0, 1), read("a", 2, 3)],
    "a read during a write sees the old value": [write("a", 0, 3), read(None, 1, 2)],
    "a read during a write sees the new value": [write("a", 0, 3), read("a", 1, 2)],
    "two writes at once, read in either order": [
        write("a", 0, 3), write("b", 0, 3), read("a", 4, 5), read("a", 6, 7)],
    "a write without an answer took effect late": [
        write("a", 0, UNKNOWN), write("b", 1, 2), read("b", 3, 4), read("a", 5, 6)],
    "a write without an answer never took effect": [
        write("b", 0, 1), write("a", 2, UNKNOWN), read("b", 3, 4), read("b", 90, 91)],
    "reads that overlap a write flip once": [
        write("a", 0, 9), read(None, 1, 2), read("a", 3, 4), read("a", 5, 6)],
}
BAD = {
    "a write that was acknowledged is lost": [write("a", 0, 1), read(None, 2, 3)],
    "a stale read": [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)],
    "the value goes back": [
        write("a", 0, 9), read("a", 1, 2), read(None, 3, 4)],
    "a value that nobody wrote": [write("a", 0, 1), read("z", 2, 3)],
    "a read of what is written later": [read("a", 0, 1), write("a", 2, 3)],
    "a write without an answer took effect twice": [
        write("a", 0, UNKNOWN), read("a", 1, 2), write("b", 3, 4), read("b", 5, 6),
        read("a", 7, 8), write("c", 9, 10), read("c", 11, 12), read("a", 13, 14)],
    "two readers disagree about the order": [
        write("a", 0, 9), write("b", 0, 9), read("a", 1, 2), read("b", 3, 4), read("a", 5, 6)],
}


@pytest.mark.parametrize("story", GOOD)
def test_a_register_could_have_said_so(story):
    assert linearizable(GOOD[story])


@pytest.mark.parametrize("story", BAD)
def test_no_register_could_have_said_so(story):
    assert not linearizable(BAD[story])


def test_keys_are_judged_one_by_one():
    history = History()
    history.add(Operation(1, "write", "good", "a", 0, 1))
    history.add(Operation(1, "write", "bad", "a", 0, 1))
    history.add(Operation(2, "read", "good", "a", 2, 3))
    history.add(Operation(2, "read", "bad", None, 2, 3))
    assert list(history.check()) == ["bad"]


def real_register(seed, count, clients=6):
    """A history made by a register: each operation takes effect at a moment within its time."""
    prng = random.Random(seed)
    free = [0.0] * clients
    planned = []
    for i in range(count):
        client = prng.randrange(clients)
        begin = free[client] + prng.random()
        moment = begin + prng.random()
        end = moment + prng.random()
        free[client] = end
        planned.append((moment, client, prng.random() < 0.5, f"v{i}", begin, end))
    state, operations = None, []
    for _, client, writes, value, begin, end in sorted(planned):
        lost = writes and prng.random() < 0.1
        if lost and prng.random() < 0.5:  # never happened
            operations.append(Operation(client, "write", "k", value, begin, UNKNOWN))
            continue
        state = value if writes else state
        operations.append(Operation(client, "write" if writes else "read", "k", state, begin,
                                    UNKNOWN if lost else end))
    return operations


@pytest.mark.parametrize("seed", range(20))
def test_what_a_register_did_passes_and_one_wrong_answer_does_not(seed):
    operations = real_register(seed, 150)
    assert linearizable(operations)
    last = max(o.end for o in operations if o.end != UNKNOWN)
    first = next(o.value for o in operations if o.kind == "write" and o.end != UNKNOWN)
    assert not linearizable(operations + [write("z", last + 1, last + 2),
                                          read(first, last + 3, last + 4)])
