# SPDX-License-Identifier: Apache-2.0
"""Client: keys and values of a cluster."""
import json
import time
import uuid
from urllib.parse import quote, urlencode

from .errors import NotFound, Unavailable
from .transport import Call, Options, Transport, _Lost
from .types import Change, Item, Rated, TxnResult, put_bytes, take_bytes, to_bytes

_READS = ("linearizable", "follower", "bounded", "eventual")
# Longer than the server's beats, so that silence means a lost connection.
_WATCH_SILENCE = 45.0


def _duration(seconds):
    return f"{int(seconds * 1000)}ms"


def _lifetime(ttl, keep_ttl):
    if ttl is not None and keep_ttl:
        raise ValueError("ttl and keep_ttl exclude each other")
    return {"ttl": _duration(ttl)} if ttl is not None else {"keep_ttl": "true"} if keep_ttl else {}


class Client:
    """A cluster, whichever of its nodes is up. `nodes`: "host:port,host:port" or a list of these.

    Every write may be repeated by the client and counts once. A write that ends with UnknownOutcome
    may have been done; all other errors say that it was not. Not for several threads.
    """

    def __init__(self, nodes="127.0.0.1:8001", *, keyspace=None, consistency=None, **options):
        if isinstance(nodes, str):
            nodes = [node.strip() for node in nodes.split(",") if node.strip()]
        if consistency is not None and consistency not in _READS:
            raise ValueError(f"consistency is one of {', '.join(_READS)}")
        self._options = Options(**options)
        self._transport = Transport(nodes, self._options)
        self._keyspace, self._consistency = keyspace, consistency

    def close(self):
        self._transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- one key --------------------------------------------------------------------------------

    def get(self, key, default=None):
        """The Item, or `default` if there is no such key."""
        try:
            answer = self._read("GET", self._path(key), {}, accept="application/json")
        except NotFound:
            return default
        return Item.of(answer.json())

    def put(self, key, value, *, ttl=None, keep_ttl=False, **condition):
        """The new version. Conditions, one at most: if_absent=True, if_present=True,
        if_version=N, if_modified=REVISION, if_value=...; AlreadyExists, NotFound or
        PreconditionFailed if it does not hold. And fence=held, or fence=(lock, token):
        PreconditionFailed if a later holder of that lock has written there."""
        query = {**_lifetime(ttl, keep_ttl), **_condition(condition)}
        return self._write("PUT", self._path(key), query, to_bytes(value)).json()["version"]

    def delete(self, key, **condition):
        """True if it was there. Conditions and fence as of put()."""
        answer = self._write("DELETE", self._path(key), _condition(condition))
        return answer.json()["count"] > 0

    def exists(self, key):
        return self.get(key) is not None

    def expire(self, key, ttl):
        """Lets the key end so many seconds from now; True if it is there."""
        return self._touch(key, {"ttl": _duration(ttl)})

    def persist(self, key):
        """Lets the key last; True if it would have ended."""
        return self._touch(key, {"persist": "true"})

    def increment(self, key, by=1, *, ttl=None, fence=None):
        """The new number; a missing key counts as 0."""
        query = {"by": str(int(by)), **_lifetime(ttl, False), **_fence(fence)}
        return self._write("POST", self._path(key) + "/increment", query).json()["value"]

    def append(self, key, value, *, fence=None):
        """The new length."""
        query = _fence(fence)
        answer = self._write("POST", self._path(key) + "/append", query, to_bytes(value))
        return answer.json()["bytes"]

    def set_range(self, key, offset, value, *, fence=None):
        """Overwrites a part, a gap before it with zeros; the new length."""
        query = {"offset": str(int(offset)), **_fence(fence)}
        answer = self._write("POST", self._path(key) + "/set_range", query, to_bytes(value))
        return answer.json()["bytes"]

    # ---- many keys ------------------------------------------------------------------------------

    def put_many(self, items, *, ttl=None):
        """A mapping of keys to values; how many they are."""
        rows = []
        for key, value in items.items():
            row = put_bytes(put_bytes({}, "key", key), "value", value)
            rows.append({**row, **_lifetime(ttl, False)})
        return self._write_json("put_many", {"items": rows})["count"] if rows else 0

    def get_many(self, keys):
        """Items in the order of the keys; None for what is not there."""
        body = {"keys": [put_bytes({}, "key", key) for key in keys]}
        rows = self._read_json("get_many", body)["items"] if body["keys"] else []
        return [None if row is None else Item.of(row) for row in rows]

    def delete_many(self, keys):
        """How many were there."""
        body = {"keys": [put_bytes({}, "key", key) for key in keys]}
        return self._write_json("delete_many", body)["count"] if body["keys"] else 0

    def touch_many(self, keys, ttl=None):
        """Lets them end so many seconds from now, or last; how many were there."""
        body = {"keys": [put_bytes({}, "key", key) for key in keys]}
        body.update({"persist": True} if ttl is None else {"ttl": _duration(ttl)})
        return self._write_json("touch_many", body)["count"] if body["keys"] else 0

    def scan(self, prefix=b"", *, start=None, end=None, **how):
        """Items in the order of their keys: with the prefix, or from `start` to before `end`.
        `reverse`, `keys_only`, and `page`: how many are fetched at once (1000)."""
        unknown = set(how) - {"reverse", "keys_only", "page"}
        if unknown:
            raise TypeError(f"no such option: {unknown.pop()}")
        if start is None and end is None:
            body = put_bytes({}, "prefix", prefix)
        else:
            body = put_bytes({}, "start", b"" if start is None else start)
            if end is not None:
                put_bytes(body, "end", end)
        body.update({"limit": how.get("page", 1000), "reverse": bool(how.get("reverse")),
                     "keys_only": bool(how.get("keys_only"))})
        return self._pages("scan", body)

    # ---- indexes --------------------------------------------------------------------------------

    def create_index(self, index, field, *, unique=False):
        """Over a field of JSON values: names with dots between them. Built in the background.
        True if it is new, False if it was there just so."""
        body = {"index": index, "field": field, "unique": unique}
        return self._write_json("create_index", body)["changed"]

    def drop_index(self, index):
        """True if it was there."""
        return self._write_json("drop_index", {"index": index})["changed"]

    def indexes(self):
        """Dictionaries with index, field, unique, state and entries."""
        return self._read("GET", "/v1/kv:indexes", {}).json()["indexes"]

    def find(self, index, **how):
        """Items in the order of an indexed field: `equals`; or `from_` or `above`, and `to` or
        `below`; or all. `reverse`, `keys_only` and `page` as of scan()."""
        unknown = set(how) - {"equals", "from_", "above", "to", "below", "reverse", "keys_only",
                              "page"}
        if unknown:
            raise TypeError(f"no such option: {unknown.pop()}")
        body = {name.rstrip("_"): value for name, value in how.items() if name != "page"}
        body.update({"index": index, "limit": how.get("page", 1000)})
        return self._pages("find", body)

    def delete_prefix(self, prefix):
        """How many there were. In steps, so what is written meanwhile may stay or go."""
        total = 0
        while True:
            answer = self._write_json("delete_range", put_bytes({}, "prefix", prefix))
            total += answer["count"]
            if not answer["more"]:
                return total

    def txn(self, compare=(), then=(), otherwise=(), *, fence=None):
        """Compares keys, then does one list of operations or the other, with nothing in between.
        Dictionaries as the HTTP route takes them; all keys live in one group (use a {tag}).
        `fence` as of put()."""
        body = {"compare": list(compare), "then": list(then), "else": list(otherwise)}
        answer = self._write_json("txn", body, _fence(fence))
        return TxnResult(answer["held"], answer["answers"])

    def rate_limit(self, name, *, burst, tokens, period, cost=1):
        """Takes `cost` tokens from a bucket of `burst` that gains `tokens` per `period` seconds."""
        body = put_bytes({}, "name", name)
        body.update({"burst": burst, "tokens": tokens, "period": _duration(period), "cost": cost})
        answer = self._write_json("rate_limit", body)
        return Rated(answer["allowed"], answer["tokens_left"], answer["retry_after_ms"] / 1000,
                     answer["full_after_ms"] / 1000)

    def stats(self):
        return self._read("GET", "/v1/kv:stats", {}).json()

    # ---- watching -------------------------------------------------------------------------------

    def watch(self, prefix=b"", *, after=None):
        """Changes of keys with the prefix, each once, in order, without an end; begins with
        "ready". It goes on by itself when a node dies, for `timeout` seconds at most without any.
        PreconditionFailed if what `after` (a Change's cursor) comes after is forgotten."""
        cursor, quiet_since = after, time.monotonic()
        while True:
            try:
                for change in self._watch_once(prefix, cursor):
                    quiet_since = time.monotonic()
                    resumed = cursor is not None and change.kind == "ready" and cursor != after
                    cursor = change.cursor
                    if not resumed and change.kind != "progress":
                        yield change
            except (_Lost, OSError, Unavailable) as error:
                if time.monotonic() - quiet_since > self._options.timeout:
                    raise Unavailable(str(error)) from error
            self._transport.go_on()
            time.sleep(0.05)

    def _watch_once(self, prefix, cursor):
        query = {"prefix": to_bytes(prefix)}
        if cursor is not None:
            query["after"] = cursor
        call = self._call("GET", "/v1/kv:watch", query)
        link, response = self._transport.open_stream(call, self._options.try_timeout)
        try:
            link.sock.settimeout(_WATCH_SILENCE)
            for line in response:
                if line.strip():
                    yield _change_of(json.loads(line))
        finally:
            link.close()

    # ---- the way there --------------------------------------------------------------------------

    @staticmethod
    def _path(key):
        if not key:
            raise ValueError("a key is not empty")
        return "/v1/kv/" + quote(to_bytes(key), safe="")

    def _call(self, method, path, query, body=None):
        if self._keyspace is not None:
            query = {**query, "keyspace": self._keyspace}
        return Call(method, path + ("?" + urlencode(query) if query else ""), body)

    def _write(self, method, path, query, body=None):
        call = self._call(method, path, query, body)
        call.headers["Idempotency-Key"] = uuid.uuid4().hex
        return self._transport.call(call)

    def _touch(self, key, query):
        try:
            return self._write("POST", self._path(key) + "/touch", query).json()["count"] > 0
        except NotFound:
            return False

    def _read(self, method, path, query, *, body=None, accept=None):
        if self._consistency is not None:
            query = {**query, "consistency": self._consistency}
        call = self._call(method, path, query, body)
        if accept:
            call.headers["Accept"] = accept
        return self._transport.call(call)

    def _pages(self, verb, body):
        while True:
            answer = self._read_json(verb, body)
            yield from map(Item.of, answer["items"])
            resume = take_bytes(answer, "resume")
            if resume is None:
                return
            for name in ("resume", "resume_base64"):   # one place is text, the next one may not be
                body.pop(name, None)
            put_bytes(body, "resume", resume)

    def _write_json(self, verb, body, query=None):
        data = json.dumps(body).encode()
        return self._write("POST", "/v1/kv:" + verb, query or {}, data).json()

    def _read_json(self, verb, body):
        return self._read("POST", "/v1/kv:" + verb, {}, body=json.dumps(body).encode()).json()


def _fence(given):
    """Of what is held, or (lock, token), or (lock, token, domain)."""
    if given is None:
        return {}
    lock, token, *domain = getattr(given, "fence", given)
    query = {"fence": to_bytes(lock) + b"=%d" % token}
    return {**query, "fence_domain": str(domain[0])} if domain and domain[0] else query


def _condition(given):
    fence = _fence(given.pop("fence", None))
    return {**fence, **_one_condition(given)}


def _one_condition(given):
    if len(given) > 1:
        raise ValueError("one condition at most")
    for name, value in given.items():
        if name in ("if_absent", "if_present"):
            return {name: "true"} if value else {}
        if name in ("if_version", "if_modified"):
            return {name: str(int(value))}
        if name == "if_value":
            return put_bytes({}, name, value)
        raise TypeError(f"no such condition: {name}")
    return {}


def _change_of(event):
    previous = take_bytes(event, "previous")
    key = take_bytes(event, "key")
    return Change(event["type"], event["cursor"], key, take_bytes(event, "value"),
                  None if previous is None else Item(key, previous), event.get("revision", 0))
