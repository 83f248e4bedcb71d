"""A Streamlit page with a heading and nothing else: the floor of what a page costs."""

import streamlit as st

st.title("Empty")
