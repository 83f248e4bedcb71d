"""Pure functions from tables to plotly figures: no Streamlit, no torch, no files."""
