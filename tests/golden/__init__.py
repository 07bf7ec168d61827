"""Run folders as each release wrote them, which every later one opens and trains on."""
