"""Devices that are not there but speak on real wires: pseudo-terminals, and I²C chips behind the real smbus2.

Each is written from the part's own document, not from its driver, and is fed a `world`: what is physically before
the lane. Whatever comes from one is marked simulated by the driver that reads it.
"""
