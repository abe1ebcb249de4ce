"""How a screening threshold is chosen and tried, from people measured at a site. Pure; for the command line."""
