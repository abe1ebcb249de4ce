"""An authority and a new kiosk for every test."""

from conftest_enrolment import kiosk, office

__all__ = ["kiosk", "office"]
