"""All settings of a run: the machinery of one setting, a file a group, and all groups together.
Loads no torch."""
