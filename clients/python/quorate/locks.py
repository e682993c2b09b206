# SPDX-License-Identifier: Apache-2.0
"""LockSession: an owner of locks that lives while this process is heard of."""
import json
import os
import socket
import threading
import time
import uuid
from urllib.parse import quote, urlencode

from .errors import Error, LeaseLost, PreconditionFailed, TimedOut, Unavailable, UnknownOutcome
from .transport import Call, Options, Transport
from .types import put_bytes, to_bytes

# What the cluster may take beyond the time that a call waits for a lock.
_SLACK = 10.0


class Held:
    """A lock that is held. A context; `token` goes with everything that is written under it."""

    def __init__(self, session, names, token, count=1):
        self._session, self._names, self._count = session, names, count
        self.token = token
        self._released = False

    @property
    def fence(self):
        """Lock, token and domain, as the writes of a Client take them."""
        return self._names[0], self.token, self._session.domain

    @property
    def lost(self):
        """True once the lease may be over: from then on others may hold it."""
        return self._session.lost

    def check(self):
        """LeaseLost if it is lost; to be asked before each step that cannot be taken back."""
        if self.lost:
            raise LeaseLost(f"the lease of {self._session.owner} is over")

    def release(self):
        """Once; of a lost one nothing is left to give back."""
        if self._released:
            return
        self._released = True
        for name in self._names:
            self._session.release(name, self._count, quiet=self.lost)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()


class LockSession:
    """An owner of locks, kept alive by a thread until it is closed. A context.

    `lease`: for how many seconds after it was heard of last its locks stay its own, and so how long
    others wait if this process dies. `on_lost`: called once, in the thread, when the lease is over
    by this machine's clock or by the cluster's word. An owner waits for one thing at a time, so a
    session is for one thread; threads that exclude each other have a session each. `nodes` and
    `options`: as of a Client.
    """

    def __init__(self, nodes="127.0.0.1:8001", *, lease=10.0, owner=None, on_lost=None, domain=0,
                 **options):
        if isinstance(nodes, str):
            nodes = [node.strip() for node in nodes.split(",") if node.strip()]
        self.owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.lease, self._domain, self._on_lost = float(lease), domain, on_lost
        self._transport = Transport(nodes, Options(**options))
        patience = Options(**{**options, "timeout": lease / 3, "try_timeout": lease / 6})
        self._heart = Transport(nodes, patience)
        self._timeout = options.get("timeout", 10.0)
        self._lost, self._closing = threading.Event(), threading.Event()
        self._good_until = 0.0
        self._open()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="quorate-lease")
        self._thread.start()

    @property
    def domain(self):
        return self._domain

    # ---- its life -------------------------------------------------------------------------------

    @property
    def lost(self):
        return self._lost.is_set() or time.monotonic() >= self._good_until

    def close(self):
        """Gives everything back. If nobody can be reached the lease does it."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        try:
            self._call("DELETE", self._owner_path(""))
        except Error:
            pass
        self._transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _open(self):
        sent = time.monotonic()
        self._call("PUT", self._owner_path(""), {"lease": f"{int(self.lease * 1000)}ms"})
        self._good_until = sent + self.lease

    def _keep(self):
        while not self._closing.wait(self._pause()):
            sent = time.monotonic()
            try:
                self._heart.call(Call("POST", self._owner_path("/renew"), b"",
                                      {"Idempotency-Key": uuid.uuid4().hex}))
                renewed_until = sent + self.lease
            except LeaseLost:
                break
            except Error:
                renewed_until = self._good_until
            # Once it has run out it stays so: an answer that comes later may speak of an owner that
            # this session's own acquire made anew.
            if time.monotonic() >= self._good_until:
                break
            self._good_until = max(self._good_until, renewed_until)
        self._heart.close()
        if not self._closing.is_set():
            self._lost.set()
            if self._on_lost is not None:
                self._on_lost()

    def _pause(self):
        """A third of the lease after the last renewal; sooner when renewals fail."""
        left = self._good_until - time.monotonic()
        return max(min(left - self.lease * 2 / 3, self.lease / 3), self.lease / 20)

    # ---- locks ----------------------------------------------------------------------------------

    def acquire(self, name, *, shared=False, wait=None):
        """The lock as Held, at once or within `wait` seconds (None: as long as it takes; 0: at
        once). TimedOut if it does not become free in time, Deadlock if it never would."""
        mode = {"mode": "shared" if shared else "exclusive"}
        return Held(self, [name], self._take(self._lock_path(name, "/acquire"), mode, wait))

    def lock(self, name, *, shared=False, wait=None):
        """The same by another name: with session.lock("x") as held: ..."""
        return self.acquire(name, shared=shared, wait=wait)

    def acquire_many(self, names, *, shared=(), wait=None):
        """All of `names`, and of `shared` in shared mode, or none; no deadlock among those who
        take several so."""
        items = [put_bytes({}, "name", name) for name in names]
        items += [put_bytes({"mode": "shared"}, "name", name) for name in shared]
        token = self._take("/v1/locks:acquire" + self._query(), {"locks": items}, wait)
        return Held(self, [*names, *shared], token)

    def acquire_permits(self, name, *, limit, permits=1, wait=None):
        """`permits` of a semaphore that has `limit` of them."""
        body = {"permits": permits, "limit": limit}
        token = self._take(self._lock_path(name, "/acquire"), body, wait)
        return Held(self, [name], token, permits)

    def upgrade(self, name, *, wait=None):
        """From shared to exclusive, before all who wait; the new token."""
        return self._take(self._lock_path(name, "/upgrade"), {}, wait, lease=False)

    def downgrade(self, name):
        """From exclusive to shared; the token stays."""
        return self._call("POST", self._lock_path(name, "/downgrade"), self._who())["token"]

    def release(self, name, count=1, *, quiet=False):
        """What is still held of it. `quiet`: it may be gone already."""
        try:
            body = {**self._who(), "count": count}
            return self._call("POST", self._lock_path(name, "/release"), body)["left"]
        except Error:
            if not quiet:
                raise
            return 0

    def info(self, name):
        """Holders and waiters as the HTTP route has them; NotFound if there are none."""
        return self._transport.call(Call("GET", self._lock_path(name, ""))).json()

    # ---- the way there --------------------------------------------------------------------------

    def _query(self, query=None):
        known = {**(query or {}), **({"domain": self._domain} if self._domain else {})}
        return "?" + urlencode(known) if known else ""

    def _lock_path(self, name, verb):
        return "/v1/locks/" + quote(to_bytes(name), safe="") + verb + self._query()

    def _owner_path(self, verb):
        return "/v1/lock-owners/" + quote(to_bytes(self.owner), safe="") + verb + self._query()

    def _who(self):
        return put_bytes({}, "owner", self.owner)

    def _call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else b""
        return self._transport.call(
            Call(method, path, data, {"Idempotency-Key": uuid.uuid4().hex})).json()

    def _take(self, path, body, wait, lease=True):
        """The token. A try whose answer is lost is repeated under its key, so that it counts once
        and its wait goes on; a wait that a node gave up with the connection is begun anew."""
        most = 86_400.0 if wait is None else float(wait)
        deadline = time.monotonic() + most
        key, repeated, weather_until = uuid.uuid4().hex, False, None
        body = {**self._who(), **body, "wait": f"{int(most * 1000)}ms",
                **({"lease": 0} if lease else {})}
        while True:
            data = json.dumps(body).encode()
            call = Call("POST", path, data, {"Idempotency-Key": key}, once=True)
            try:
                left = max(deadline - time.monotonic(), 0.0)
                return self._transport.call(call, left + _SLACK).json()["token"]
            except TimedOut:
                raise
            except PreconditionFailed as error:
                if wait == 0:
                    raise TimedOut(str(error)) from error
                left = deadline - time.monotonic()
                if not repeated or left <= 0:
                    raise
                key, repeated = uuid.uuid4().hex, False
                body["wait"] = f"{int(left * 1000)}ms"
            except (UnknownOutcome, Unavailable):
                now = time.monotonic()
                weather_until = weather_until or now + self._timeout
                if now >= weather_until:
                    raise
                repeated = True
                self._transport.go_on()
                time.sleep(0.05)
            if self.lost:
                raise LeaseLost(f"the lease of {self.owner} is over")
