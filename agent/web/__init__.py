"""Screens and pages: a view of the running agent for person, guard and technician, in a process apart."""
