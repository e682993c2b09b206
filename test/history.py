# SPDX-License-Identifier: Apache-2.0
"""What clients asked and were told, and whether one register per key could have said it.

A history is a list of operations on registers: who, when it began, when its answer came, and what
the answer was. An operation whose answer never came may have happened at any time after it began,
or never. The check looks for an order of the operations that agrees with real time and with every
answer (Wing and Gong's search, with the states already tried remembered). Keys are independent of
each other, so each is checked by itself.
"""
import math
import threading
import time
from dataclasses import dataclass

UNKNOWN = math.inf  # the end of an operation whose answer never came
STEPS_MAX = 2_000_000  # of one key's search; beyond it the history is too tangled to judge


@dataclass(frozen=True)
class Operation:
    client: int
    kind: str  # "write" or "read"
    key: str
    value: object  # what was written, or what was read; None: no value
    begin: float
    end: float  # UNKNOWN if the answer never came

    def __str__(self):
        end = "never" if self.end == UNKNOWN else f"{self.end:.6f}"
        what = f"{self.kind} {self.key} = {self.value!r}"
        return f"client {self.client} {what} [{self.begin:.6f}, {end}]"


class History:
    """Filled by many threads; the clock is one for all, so real time is known exactly."""

    def __init__(self):
        self._lock = threading.Lock()
        self._operations = []

    @staticmethod
    def now():
        return time.monotonic()

    def add(self, operation):
        # A read without an answer says nothing.
        if operation.kind == "read" and operation.end == UNKNOWN:
            return
        with self._lock:
            self._operations.append(operation)

    def operations(self):
        with self._lock:
            return list(self._operations)

    def acknowledged(self, kind):
        return sum(o.kind == kind and o.end != UNKNOWN for o in self.operations())

    def unknown(self):
        return sum(o.end == UNKNOWN for o in self.operations())

    def check(self):
        """The keys whose operations no register could have answered so; empty if all is well."""
        keys = {}
        for operation in self.operations():
            keys.setdefault(operation.key, []).append(operation)
        return {key: each for key, each in keys.items() if not linearizable(each)}


def linearizable(operations, initial=None):
    """Whether one register, which holds `initial` at first, could have given these answers."""
    return _Search(_without_idle_unknowns(operations), initial).run()


def _without_idle_unknowns(operations):
    # A write without an answer whose value nobody read may as well never have happened.
    read = {o.value for o in operations if o.kind == "read"}
    return [o for o in operations if o.end != UNKNOWN or o.value in read]


class _Search:
    """Depth-first over "which operation took effect next", over a list of begins and ends."""

    def __init__(self, operations, initial):
        self.operations = sorted(operations, key=lambda o: o.begin)
        self.state = initial
        self.done = 0  # a bit per operation
        # An operation may come next if it began before the first end of those not yet done.
        self.by_end = sorted(range(len(self.operations)), key=lambda i: self.operations[i].end)

    def run(self):
        answered = sum(1 << i for i, o in enumerate(self.operations) if o.end != UNKNOWN)
        seen = set()
        path = []  # (operation, state before it, candidates not yet tried)
        candidates = self._candidates()
        for _ in range(STEPS_MAX):
            if self.done & answered == answered:
                return True
            chosen = self._choose(candidates, seen)
            if chosen is not None:
                path.append((chosen, self.state, candidates))
                self.done |= 1 << chosen
                operation = self.operations[chosen]
                self.state = operation.value if operation.kind == "write" else self.state
                seen.add((self.done, self.state))
                candidates = self._candidates()
            elif not path:
                return False
            else:
                chosen, self.state, candidates = path.pop()
                self.done &= ~(1 << chosen)
        raise RuntimeError(f"{len(self.operations)} operations on one key are too tangled to judge")

    def _candidates(self):
        first_end = next((self.operations[i].end for i in self.by_end if not self.done >> i & 1), 0)
        found = []
        for i, operation in enumerate(self.operations):
            if operation.begin > first_end:
                break
            if not self.done >> i & 1:
                found.append(i)
        return found

    def _choose(self, candidates, seen):
        while candidates:
            i = candidates.pop(0)
            operation = self.operations[i]
            if operation.kind == "read" and operation.value != self.state:
                continue
            state = operation.value if operation.kind == "write" else self.state
            if (self.done | 1 << i, state) not in seen:
                return i
        return None
