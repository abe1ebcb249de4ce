"""What the agent does with a device on a busy machine, for tests of drivers alone."""

import time

from drivers.contract import DeviceGone


def opened(driver):
    """The driver, opened; again if a busy machine took too long over it, as the agent does."""
    end_s = time.monotonic() + 90
    while True:
        try:
            driver.open()
        except DeviceGone:
            if time.monotonic() > end_s:
                raise
        else:
            return driver


def until(is_so):
    """Wait until a busy machine has come so far."""
    end_s = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.005)
