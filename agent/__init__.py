"""Gatepost, the edge checkpoint agent: observations in, decisions and events out."""

__version__ = "0.1.0"
