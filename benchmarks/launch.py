"""`python -I -S launch.py OUTPUT COMMAND…`: run a command, print what it cost as a line of JSON.

The kernel's account of a process's peak memory begins with that of the process which started it,
so that is this one, which imports nearly nothing. Before, it prints the id of the process.
"""

import json
import os
import sys
from time import perf_counter


def main(output: str, command: "list[str]") -> None:
    """Run *command* with nothing to read, and what it says in the file *output*."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    start = perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    print(process, flush=True)
    _, status, usage = os.wait4(process, 0)
    cost = {
        "wall_seconds": perf_counter() - start,
        "exit_code": os.waitstatus_to_exitcode(status),
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_rss_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }
    print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
