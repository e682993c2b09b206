# SPDX-License-Identifier: Apache-2.0
"""What is built of locks: read-write locks, semaphores, elections, barriers."""
import time

from .errors import NotFound, TimedOut
from .types import take_bytes, to_bytes


class ReadWriteLock:
    """Readers together, or one writer; a writer that waits is not starved by readers."""

    def __init__(self, session, name):
        self._session, self._name = session, name

    def read(self, *, wait=None):
        return self._session.acquire(self._name, shared=True, wait=wait)

    def write(self, *, wait=None):
        return self._session.acquire(self._name, wait=wait)


class Semaphore:
    """At most `limit` permits are out, over all processes; all who use it say the same limit."""

    def __init__(self, session, name, limit):
        self._session, self._name, self._limit = session, name, limit

    def acquire(self, permits=1, *, wait=None):
        return self._session.acquire_permits(self._name, limit=self._limit, permits=permits,
                                             wait=wait)


class Election:
    """One of many candidates leads: whoever holds the lock. Its token is its term."""

    def __init__(self, session, name):
        self._session, self._name = session, name
        self._held = None

    def campaign(self, *, wait=None):
        """Waits to be elected; the term."""
        self._held = self._session.acquire(self._name, wait=wait)
        return self._held.token

    @property
    def is_leader(self):
        return self._held is not None and not self._held.lost

    def resign(self):
        if self._held is not None:
            held, self._held = self._held, None
            held.release()

    def leader(self):
        """(owner, term) of who leads now, or None."""
        try:
            holders = self._session.info(self._name)["holders"]
        except NotFound:
            return None
        if not holders:
            return None
        return take_bytes(holders[0], "owner").decode(errors="replace"), holders[0]["token"]

    def __enter__(self):
        self.campaign()
        return self

    def __exit__(self, *_):
        self.resign()


class Barrier:
    """Nobody goes on before `parties` have come; then it begins again. `client`: a Client, whose
    keys "NAME/..." it uses. A party that comes and dies has come."""

    def __init__(self, client, name, parties):
        if parties < 1:
            raise ValueError("a barrier has parties")
        self._client, self._parties = client, parties
        self._key = to_bytes(name) + b"/arrived"

    def wait(self, timeout=None):
        """The number of this party in its round, from 0; TimedOut if the others do not come."""
        came = self._client.increment(self._key)
        number = (came - 1) % self._parties
        full = came - 1 - number + self._parties
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = 0.002
        while int(self._client.get(self._key).text) < full:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimedOut("the others have not come")
            time.sleep(pause)
            pause = min(pause * 2, 0.1)
        return number
