"""The asynchronous part: it knows the core and its own ports, and nothing of HTTP or disks."""
