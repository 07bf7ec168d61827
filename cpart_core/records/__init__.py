"""Plain data: what training yields and analyses return. Frozen dataclasses of numbers and numpy
arrays; no torch, nothing of the project but settings.

L layers, N neurons, S segments, C contexts, T tokens of one text, V vocabulary, M documents, P
points of a map. Segment numbers are 0..S-1; -1 is the shared segment. Every result says where it is
from: run, step, n, seed.
"""
