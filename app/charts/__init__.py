"""Result dataclass -> plotly figure. No streamlit here."""
