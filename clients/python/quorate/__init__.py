# SPDX-License-Identifier: Apache-2.0
"""Client of Quorate over HTTP. See Client, and LockSession for locks."""
from .client import Client
from .errors import (AlreadyExists, Corrupted, Deadlock, Error, InvalidArgument, LeaseLost,
                     NotFound, PermissionDenied, PreconditionFailed, QuotaExceeded,
                     ResourceExhausted, TimedOut, TooLarge, Unauthenticated, Unavailable,
                     UnknownOutcome)
from .locks import Held, LockSession
from .recipes import Barrier, Election, ReadWriteLock, Semaphore
from .types import Change, Item, Rated, TxnResult

__all__ = ["Client", "Error", "AlreadyExists", "Change", "Corrupted", "Deadlock",
           "InvalidArgument", "Item", "Barrier", "Election", "Held", "LeaseLost", "LockSession",
           "ReadWriteLock", "Semaphore",
           "NotFound", "PermissionDenied", "PreconditionFailed", "QuotaExceeded", "Rated",
           "ResourceExhausted", "TimedOut", "TooLarge", "TxnResult", "Unauthenticated",
           "Unavailable", "UnknownOutcome"]
__version__ = "0.1.0"
