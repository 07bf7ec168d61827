"""Matrices transposed in tiles that stay in the cache while they are read along rows and written
along columns."""

from __future__ import annotations

from typing import Any

from cpart_core.model.kernels.cpu.numbers import compiled, inlined, prange, put, widened

TILE = 32


@inlined
def transposed(tile: Any, out: Any) -> None:
    # constant bounds are what the compiler makes vectors of
    if tile.shape[0] == TILE and tile.shape[1] == TILE:
        for column in range(TILE):
            for row in range(TILE):
                put(out[column], row, widened(tile[row, column]))
    else:
        for column in range(tile.shape[1]):
            for row in range(tile.shape[0]):
                put(out[column], row, widened(tile[row, column]))


@compiled
def transpose(matrix: Any, out: Any) -> None:
    """Fills out [C, R] from matrix [R, C]."""
    R, C = matrix.shape
    for block in prange(-(-R // TILE)):
        row = block * TILE
        for column in range(0, C, TILE):
            transposed(
                matrix[row : row + TILE, column : column + TILE],
                out[column : column + TILE, row : row + TILE],
            )


@compiled
def gate_and_up(d_into: Any, d_gate: Any, d_up: Any) -> None:
    """Fills d_gate and d_up [N, D] from their gradients transposed and side by side, [D, 2N]."""
    N, D = d_gate.shape
    for block in prange(-(-N // TILE)):
        first = block * TILE
        last = min(first + TILE, N)
        for column in range(0, D, TILE):
            rows = d_into[column : column + TILE]
            transposed(rows[:, first:last], d_gate[first:last, column : column + TILE])
            transposed(rows[:, N + first : N + last], d_up[first:last, column : column + TILE])
