"""Neuron -> segment: signatures, one file a method, balanced clustering, matching, permutation."""
