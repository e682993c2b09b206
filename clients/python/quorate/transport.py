# SPDX-License-Identifier: Apache-2.0
"""One conversation with a cluster: which node is asked, what is asked again, and how often."""
import base64
import http.client
import json
import random
import select
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Dict, Optional

from .errors import Unauthenticated, Unavailable, UnknownOutcome, error_of

_PAUSE_FIRST = 0.01
_PAUSE_MOST = 0.5
# Of one who waits for a node that may be gone: how often it is asked, how long it may take to
# answer, and how often one after the other it may not.
_BETWEEN_LOOKS = 2.0
_PROBE_PATIENCE = 1.0
_SILENCES_MOST = 3


@dataclass
class Call:
    method: str
    path: str
    body: Optional[bytes] = None
    headers: Dict[str, str] = field(default_factory=dict)
    once: bool = False             # whatever comes of the first try is the answer; it may wait long

    @property
    def reads(self):
        return self.method == "GET" or self.path.split("?")[0].endswith((":scan", ":get_many"))


@dataclass
class Answer:
    status: int
    headers: Dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


class _Lost(Exception):
    """The connection broke. `sent`: the node may have acted on the request."""

    def __init__(self, sent, why):
        super().__init__(str(why))
        self.sent = sent


def _context(options):
    context = ssl.create_default_context(cafile=options.authority)
    if options.certificate:
        context.load_cert_chain(options.certificate, options.key)
    return context


@dataclass
class Options:
    timeout: float = 10.0          # of a call with all its tries
    try_timeout: float = 5.0       # of one try
    token: Optional[str] = None
    user: Optional[str] = None
    password: str = ""
    authority: Optional[str] = None
    certificate: Optional[str] = None
    key: Optional[str] = None
    tls: bool = False

    def authorization(self):
        if self.token:
            return "Bearer " + self.token
        if self.user is None:
            return None
        pair = f"{self.user}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


class Transport:
    def __init__(self, nodes, options):
        if not nodes:
            raise ValueError("no node is given")
        self._nodes, self._options = list(nodes), options
        self._node, self._position = self._nodes[0], 0
        self._link = None
        secure = options.tls or options.authority or options.certificate
        self._tls = _context(options) if secure else None

    def close(self):
        if self._link is not None:
            self._link.close()
            self._link = None

    def call(self, call, timeout=None):
        """The answer; raises what the server says, or Unavailable, or UnknownOutcome."""
        deadline = time.monotonic() + (self._options.timeout if timeout is None else timeout)
        pause, maybe_done = _PAUSE_FIRST, False
        while True:
            hint = None
            try:
                answer = self._try(call, deadline - time.monotonic())
                if answer.status < 400:
                    return answer
                last, retry = _refusal(answer)
                hint = answer.headers.get("quorate-leader")
                maybe_done = maybe_done or retry == "with_key"
                if retry == "no" or call.once:
                    raise last  # decided by the cluster, also for the tries before
            except _Lost as lost:
                last = Unavailable(f"{self._node}: {lost}")
                maybe_done = maybe_done or (lost.sent and not call.reads)
                if call.once:
                    self._go_elsewhere(None)
                    raise UnknownOutcome(str(lost)) if maybe_done else last from lost
            self._go_elsewhere(hint)
            left = deadline - time.monotonic()
            if left <= 0:
                raise UnknownOutcome(str(last)) if maybe_done else last
            time.sleep(min(pause * random.uniform(0.5, 1), left))
            pause = min(pause * 2, _PAUSE_MOST)

    def open_stream(self, call, timeout):
        """An answer whose body is read line by line, on a connection of its own; a _Lost, or what
        the server says, otherwise. The next try goes to another node."""
        link = self._connect(timeout)
        try:
            self._send(link, call)
            response = link.getresponse()
            if response.status >= 400:
                answer = Answer(response.status, {}, response.read())
                link.close()
                raise _refusal(answer)[0]
            return link, response
        except (OSError, http.client.HTTPException) as error:
            link.close()
            raise _Lost(True, error) from error

    def go_on(self):
        self._go_elsewhere(None)

    def _go_elsewhere(self, hint):
        self.close()
        if hint and hint != self._node:
            self._node = hint
            return
        self._position = (self._position + 1) % len(self._nodes)
        self._node = self._nodes[self._position]

    def _connect(self, timeout):
        host, _, port = self._node.rpartition(":")
        make = http.client.HTTPConnection if self._tls is None else http.client.HTTPSConnection
        more = {} if self._tls is None else {"context": self._tls}
        link = make(host.strip("[]"), int(port), timeout=max(timeout, 0.001), **more)
        try:
            link.connect()
        except ssl.SSLCertVerificationError as error:
            raise Unauthenticated(f"{self._node}: {error}") from error
        except OSError as error:
            raise _Lost(False, error) from error
        link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link

    def _send(self, link, call):
        headers = dict(call.headers)
        authorization = self._options.authorization()
        if authorization:
            headers["Authorization"] = authorization
        link.request(call.method, call.path, call.body, headers)

    def _try(self, call, left):
        timeout = max(left if call.once else min(left, self._options.try_timeout), 0.001)
        kept = self._link is not None
        try:
            return self._ask(call, timeout)
        except _Lost:
            self.close()
            if not kept or call.once:
                raise
        # The server may have closed the connection that was kept; every call may be repeated, for
        # it is a read or has a key.
        try:
            return self._ask(call, timeout)
        except _Lost:
            self.close()
            raise

    def _ask(self, call, timeout):
        if self._link is None:
            self._link = self._connect(timeout)
        self._link.sock.settimeout(timeout)
        try:
            self._send(self._link, call)
            if call.once:
                self._wait_in_hope(timeout)
            response = self._link.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise _Lost(True, error) from error
        headers = {name.lower(): value for name, value in response.getheaders()}
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(response.status, headers, body)


    def _wait_in_hope(self, timeout):
        """Until there is an answer to read. A node that stands still, or a machine that went
        without a word, leaves its connections open: it is asked for a sign of life meanwhile."""
        deadline, silences = time.monotonic() + timeout, 0
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._link.sock], [], [], min(left, _BETWEEN_LOOKS))[0]:
                return
            silences = 0 if self._gives_a_sign() else silences + 1
            if silences == _SILENCES_MOST:
                raise OSError("the node has not given a sign of life for long")

    def _gives_a_sign(self):
        try:
            probe = self._connect(_PROBE_PATIENCE)
        except (_Lost, Unauthenticated):
            return False
        try:
            probe.request("GET", "/healthz")
            probe.getresponse().read()
            return True
        except (OSError, http.client.HTTPException):
            return False
        finally:
            probe.close()


def _refusal(answer):
    try:
        error = json.loads(answer.body)["error"]
        made = error_of(error["code"], error["message"], error.get("details"))
        return made, error.get("retry", "no")
    except (ValueError, KeyError, TypeError):
        text = answer.body[:200].decode(errors="replace")
        return error_of("internal", f"status {answer.status}: {text}"), "with_key"
