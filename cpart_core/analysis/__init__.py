"""Pure: run or model and text -> a result dataclass of numpy arrays. `results` needs no torch;
pages import only that."""
