"""The windows of CPart: pages, charts, and the client of the engine's processes. Tensors never come
here."""
