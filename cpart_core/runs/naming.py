"""What a run's id may be. Standard library only."""

from __future__ import annotations

import re

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""A run's id is the name of its folder; an arm of a study is part of one."""
