"""A fluid model of downloads over one line: laws of the controller are compared in it.

No sockets, no tasks, no clock: `network.py` shares capacity among flows, `client.py` plays the part
of the engine around a controller, `world.py` runs both, `scenarios.py` says what is run and how
good it must be, `baselines.py` has the laws we do not use.
"""
