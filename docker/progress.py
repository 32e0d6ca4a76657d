"""How far something is: a bar on a terminal, a line every ten seconds elsewhere."""
import sys
import time

BAR_WIDTH = 24
REDRAW_S = 0.2
LINE_S = 10


class Progress:
    """show() as often as you like; it draws when it is time, and always the last."""

    def __init__(self):
        self.start = time.monotonic()
        self.terminal = sys.stdout.isatty()
        self._drawn = self.start
        self._width = 0

    def seconds(self):
        return max(time.monotonic() - self.start, 0.001)

    def show(self, reached, total, text, last=False):
        now = time.monotonic()
        if not last and now - self._drawn < (REDRAW_S if self.terminal else LINE_S):
            return
        self._drawn = now
        filled = BAR_WIDTH * min(reached, total) // max(total, 1)
        line = f"  [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {text}"
        if self.terminal:
            print("\r" + line.ljust(self._width), end="\n" if last else "", flush=True)
            self._width = len(line)
        else:
            print(line, flush=True)
