"""Fusion: the attention weights alpha with which the segments' outputs of one layer are summed
(arXiv 2501.12901: y = sum_i alpha_i y_i). The contract, a file a fusion, and the visible list."""
