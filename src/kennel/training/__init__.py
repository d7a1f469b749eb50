"""Runs in the training image: reads the channels, trains, and leaves artifact and reports."""
