"""The seeded order: a hash of seed and key, so that it hangs on nothing else.

Not on the order in which files were found, the number of workers, or a library's generator: a
sample added later moves no other sample past another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

PERSON = b"segrecord.order1"
"""Set apart from every other use of BLAKE2b (RFC 7693, personalization); 1: the order's version."""


def ranks(keys: Iterable[str], seed: int) -> npt.NDArray[np.uint64]:
    """(N,) place of each key in the seeded order: BLAKE2b-64 of the key, keyed by the seed."""
    template = hashlib.blake2b(digest_size=8, key=seed.to_bytes(8, "little"), person=PERSON)
    digests = bytearray()
    for key in keys:
        state = template.copy()
        state.update(key.encode())
        digests += state.digest()
    return np.frombuffer(bytes(digests), "<u8").astype(np.uint64)


def order(keys: list[str], seed: int) -> npt.NDArray[np.int64]:
    """(N,) row numbers in the seeded order; equal hashes (never seen) fall back on the key."""
    hashed = ranks(keys, seed)
    first = np.argsort(hashed, kind="stable")
    ordered = hashed[first]
    if (ordered[1:] != ordered[:-1]).all():
        return first
    by_key = sorted(range(len(keys)), key=lambda row: (int(hashed[row]), keys[row]))
    return np.array(by_key, np.int64)
