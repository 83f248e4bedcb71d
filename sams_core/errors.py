"""Errors that a user can act on: one sentence each, naming the field and the cure."""

from __future__ import annotations


class SamsError(ValueError):
    """Base of every error whose message is meant for the person at the keyboard."""


class ScreenError(SamsError):
    """The screen (counts, labels or annotations) cannot be used as it is."""


class ConfigError(SamsError):
    """A hyperparameter or option is unknown or outside its range."""


class CheckpointError(SamsError):
    """A checkpoint folder is missing, damaged, foreign or of another version."""


class TrainingError(SamsError):
    """Training cannot start or go on."""


class ClusterError(SamsError):
    """Other processes, here or on a cluster, did not do what they were asked."""


class StoryError(SamsError):
    """A story, or a view to be saved in it, is malformed, too large or leads elsewhere."""
