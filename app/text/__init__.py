"""Words, numbers and colours for pages: escaped, and as a person reads and tells them. No streamlit
here."""
