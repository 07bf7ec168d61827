"""Studies: arms x seeds on the very same batches, measured, compared and stored as one small JSON.
Reading them needs no torch."""
