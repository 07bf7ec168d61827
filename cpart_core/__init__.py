"""CPart's engine: contextual partitioning of small language models.

Text becomes a corpus; a model whose neurons lie in segments is trained on it and yields records
into a run folder; everything a person sees is computed from a run. The engine never imports
streamlit or plotly. Importing `cpart_core` alone imports neither torch nor numpy.
"""

__version__ = "0.1.0"
