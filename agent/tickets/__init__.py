"""Used tickets: one ticket lets somebody in once, at whichever kiosk of the site it is shown."""
