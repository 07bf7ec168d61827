"""Text -> documents with contexts -> tokens -> batches. Knows nothing of models."""
