"""The engine's processes, as pages see them: trainers and the analysis worker. No streamlit
here."""
