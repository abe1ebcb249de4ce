"""Releases of the agent on one machine: which one is in use, and how another takes its place."""
