"""Other people's models at our shapes, to be trained beside ours: nanoGPT's architecture written
plainly, and those of `transformers`."""
