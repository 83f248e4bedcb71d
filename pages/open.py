"""A trained model or a screen of one's own, and what this server has."""

from __future__ import annotations

import streamlit as st

from sams_core import explorer
from sams_core.explorer import catalogue
from sams_core.explorer.navigation import enter_by_the_front_door
from sams_core.explorer.server_runs import checkpoints_here
from sams_core.explorer.state import chosen_entry
from sams_core.explorer.upload_bundle import bundle_upload, take_along, uploaded
from sams_core.explorer.upload_screen import screen_look, screen_upload

enter_by_the_front_door()
explorer.header(
    "Open",
    "Open a trained model of your own, or see what a screen holds before you train on it. What "
    "you upload stays in this window and is gone when you close it.",
    screen=None,
    simulated=False,
)
left, right = st.columns(2, gap="large")
with left:
    bundle_upload()
with right:
    screen_upload()
uploaded()
screen_look()
entries = catalogue.find()
checkpoints_here(entries)
if entries and chosen_entry(entries).problem is None:
    take_along(chosen_entry(entries))
