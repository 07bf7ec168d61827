"""Faults and abuse, really done to run folders, servers and processes of their own: `python -m
tests.abuse` prints what was seen of each."""
