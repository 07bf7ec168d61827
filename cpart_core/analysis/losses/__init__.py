"""The losses of documents under a model."""
