"""A kernel that says what a test wants, and a clock that is kept after each look."""

import time

from agent.platform.clock import Clock, KernelTime, Sources


class Kernel:
    """What the clock asks; it may be changed at any time."""

    def __init__(self):
        self.error_s = 0.01
        self.here_s = 1000.0
        self.held_up_s = 0.0
        """For so long the next look is held up between the two clocks."""
        self.booted_utc = time.time() - 1000.0
        self.boot_id = "this-boot"
        self.synced_utc = None
        self.asked = 0

    @property
    def sources(self):
        return Sources(
            wall_utc=self._wall_utc,
            boottime_s=lambda: self.here_s,
            word=self._word,
            boot_id=lambda: self.boot_id,
        )

    def _wall_utc(self):
        self.here_s, self.held_up_s = self.here_s + self.held_up_s, 0.0
        return self.booted_utc + self.here_s

    def _word(self):
        self.asked += 1
        return KernelTime(self.error_s, self.synced_utc)

    def answer(self):
        """A server was asked: the bound that grew is small again."""
        self.error_s = 0.009 if self.error_s == 0.01 else 0.01

    def pass_by(self, asked, seconds, every_s=600):
        """So long all is as it is; servers are asked now and then. What the clock said last."""
        for _ in range(int(seconds // every_s)):
            self.here_s += every_s
            self.answer()
            found = asked.now()
            self.here_s += 1.1  # the bound grows again, and that is seen
            self.error_s += 0.001
            found = asked.now()
        return found

    def timesyncd(self):
        """From now on it has set the clock; it does not know whether somebody else does."""
        self.synced_utc = self.booted_utc + self.here_s


class Kept(Clock):
    """A clock whose keeper comes right after each look."""

    def now(self):
        found = super().now()
        self.save_if_due()
        return found
