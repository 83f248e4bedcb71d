"""The front door: page settings, navigation and the checkpoint picker."""

from __future__ import annotations

import streamlit as st

from sams_core import explorer

page = explorer.navigation()
st.set_page_config(page_title=f"{page.title} · sams_core")
st.logo("assets/logo.svg", size="large", icon_image="assets/logo_icon.svg")
explorer.steady_history()
explorer.sidebar()
explorer.save_view(page)
explorer.stage(page)
with explorer.front_door():
    page.run()
explorer.warm_up()
