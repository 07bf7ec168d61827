"""Analyses asked for by name: the registry, and the process that answers."""
