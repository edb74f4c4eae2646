"""Frozen foundation models: names and files become trunks that turn samples into features."""
