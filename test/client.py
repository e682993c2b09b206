# SPDX-License-Identifier: Apache-2.0
"""HTTP to one node, over a connection that is kept. Knows what an error says about a retry."""
import http.client
import json
import socket
import time
import uuid


class NotSent(Exception):
    """Nobody was there: nothing can have happened."""


class Lost(Exception):
    """The answer did not come: it may have happened."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def ok(self):
        return self.status == 200

    def json(self):
        return json.loads(self.body)

    @property
    def retry(self):
        """What the server says about trying again: "no", "safe" or "with_key"."""
        try:
            return self.json()["error"]["retry"]
        except (ValueError, KeyError, TypeError):
            return "with_key"  # no answer of the server's own; be careful

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Client:
    """`open_socket` makes the sockets, so that a test may put them into a namespace."""

    def __init__(self, port, timeout=5.0, open_socket=socket.create_connection):
        self.port, self.timeout, self._open = port, timeout, open_socket
        self._connection = None

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self):
        if self._connection is None:
            try:
                link = self._open(("127.0.0.1", self.port), self.timeout)
            except OSError as error:
                raise NotSent(str(error)) from error
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection.sock = link
        self._connection.sock.settimeout(self.timeout)
        return self._connection

    def call(self, method, path, body=None, headers=None):
        connection = self._connected()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Lost(str(error)) from error
        if response.will_close:
            self.close()
        return answer

    def insist(self, method, path, body=None, within=60.0):
        """As an application calls: again, under one Idempotency-Key, for as long as the answer (or
        that there is none) says that another try may help. The answer that ended it."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        deadline = time.monotonic() + within
        while True:
            try:
                answer = self.call(method, path, body, headers)
                if answer.ok or answer.retry == "no" or time.monotonic() > deadline:
                    return answer
            except (NotSent, Lost):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def get(self, path, headers=None):
        return self.call("GET", path, headers=headers)

    def put(self, path, body, headers=None):
        return self.call("PUT", path, body, headers)

    def post(self, path, body=None, headers=None):
        return self.call("POST", path, None if body is None else json.dumps(body), headers)
