"""The adaptive law: how many connections, from measured goodput alone. Begin with `knee.py`."""
