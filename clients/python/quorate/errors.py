# SPDX-License-Identifier: Apache-2.0
"""One class for each code of the server's table of errors."""


class Error(Exception):
    """What the cluster, or the way to it, has refused."""
    code = "internal"

    def __init__(self, message, details=None):
        super().__init__(message)
        self.details = details or {}


class NotFound(Error):
    code = "not_found"


class AlreadyExists(Error):
    code = "already_exists"


class PreconditionFailed(Error):
    code = "precondition_failed"


class InvalidArgument(Error):
    code = "invalid_argument"


class TooLarge(Error):
    code = "too_large"


class ResourceExhausted(Error):
    """A queue is full; nothing was done, and later it may be."""
    code = "resource_exhausted"


class QuotaExceeded(Error):
    """A quota or a capacity is used up; nothing was done."""
    code = "quota_exceeded"


class Unavailable(Error):
    """No node answered, or no leader was there, for the whole time; nothing was done."""
    code = "unavailable"


class TimedOut(Unavailable):
    code = "timeout"


class UnknownOutcome(Error):
    """The answer did not come: the write may have been done."""
    code = "unknown_outcome"


class Deadlock(Error):
    """The wait would never have ended; the message names the cycle. Nothing was taken."""
    code = "deadlock"


class LeaseLost(Error):
    """The owner of the locks is no more: it was not heard of for as long as its lease."""
    code = "lease_lost"


class Unauthenticated(Error):
    code = "unauthenticated"


class PermissionDenied(Error):
    code = "permission_denied"


class Corrupted(Error):
    code = "corrupted"


_BY_CODE = {each.code: each for each in (
    NotFound, AlreadyExists, PreconditionFailed, InvalidArgument, TooLarge, ResourceExhausted,
    QuotaExceeded, Unavailable, TimedOut, UnknownOutcome, Deadlock, LeaseLost, Unauthenticated,
    PermissionDenied,
    Corrupted)}


def error_of(code, message, details=None):
    made = _BY_CODE.get(code, Error)(message, details)
    made.code = code
    return made
