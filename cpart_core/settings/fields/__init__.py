"""What settings are made of: one setting, and a family of methods that each own theirs. Below all
that has settings; standard library only."""
