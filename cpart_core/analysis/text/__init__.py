"""One text through a model."""
