"""The run folder: records, snapshots, checkpoints, analysis results. The only room that touches the disk under runs.

`folder`, `records`, `snapshots`, `results` and `control` need no torch; `checkpoint` and `session` do.
"""
