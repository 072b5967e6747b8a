"""The world in memory, for tests of what is built on the ports of the engine.

Each fake fits its protocol of `engine.ports` and passes the suite of `testing.conformance`, as the
real ones do. None of them waits for anything real, so a run over them takes the same turns every
time.
"""

from hfdl_async.testing.clock import ManualClock
from hfdl_async.testing.memorysink import (
    MemoryPart,
    MemorySink,
    MemoryStore,
    remote_file,
    sha256_of,
)
from hfdl_async.testing.memorysource import (
    Asked,
    MemorySource,
    Turn,
    broken,
    refused,
    short,
    slow,
    stalled,
)

__all__ = [
    "Asked",
    "ManualClock",
    "MemoryPart",
    "MemorySink",
    "MemorySource",
    "MemoryStore",
    "Turn",
    "broken",
    "refused",
    "remote_file",
    "sha256_of",
    "short",
    "slow",
    "stalled",
]
