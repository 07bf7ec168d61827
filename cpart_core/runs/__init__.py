"""The run folder: records, snapshots, checkpoints, analysis results. The only room that touches the
disk under runs.

`folder` is the way in for readers, `records` and `control` for the trainer; they need no torch.
`checkpoint` and `session` do.
"""
