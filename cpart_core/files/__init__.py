"""Reading and writing what somebody else may have made: plain files by their own names, of bounded
size and cost. Standard library and numpy."""
