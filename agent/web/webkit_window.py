"""The window of a lane's page in WebKitGTK, run by the system's Python; `webkit.py` starts it.

Requests come on descriptor 3 and answers go out on 4, one line of JSON each:

    {"open": "http://127.0.0.1:8470/lanes/entry"}   → {"opened": true}   when the page has begun, or cannot be had
    {"paint": "1 + 1"}                              → {"value": 2}       when the screen has shown a frame
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import Gdk, GLib, Gtk, WebKit2  # noqa: E402 - after their versions are chosen

_REQUESTS, _ANSWERS = 3, 4
_MOST_BYTES = 65536
_OURS = ("http://127.0.0.1:", "data:text/html", "about:blank")
"""Where a page may come from."""
_ON_A_FRAME = """\
await new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)));
return ({});
"""
_OFF = (
    "enable_back_forward_navigation_gestures", "enable_html5_database", "enable_html5_local_storage",
    "enable_media", "enable_page_cache", "enable_webaudio", "enable_webgl",
    "javascript_can_open_windows_automatically",
)  # fmt: skip


class PageWindow:
    """One page on the whole screen: no menu, no other page, nothing that is kept."""

    def __init__(self) -> None:
        self._unread = b""
        self._opening = False
        settings = WebKit2.Settings(**dict.fromkeys(_OFF, False))
        settings.set_hardware_acceleration_policy(WebKit2.HardwareAccelerationPolicy.NEVER)  # 80 MB less
        context = WebKit2.WebContext.new_ephemeral()
        context.set_cache_model(WebKit2.CacheModel.DOCUMENT_VIEWER)
        self._view = WebKit2.WebView(web_context=context, settings=settings)
        self._view.set_background_color(Gdk.RGBA(0, 0, 0, 1))
        self._view.connect("context-menu", lambda *_: True)
        self._view.connect("decide-policy", self._on_policy)
        self._view.connect("load-changed", self._on_load)
        self._view.connect("load-failed", self._on_failed)
        self._view.connect("permission-request", self._on_permission)
        self._view.connect("web-process-terminated", lambda *_: os._exit(1))
        window = Gtk.Window()
        screen = Gdk.Display.get_default().get_monitor(0).get_geometry()
        window.set_default_size(screen.width, screen.height)
        window.add(self._view)
        window.fullscreen()
        window.show_all()
        GLib.io_add_watch(_REQUESTS, GLib.IO_IN | GLib.IO_HUP, self._on_request)

    def _on_request(self, *_: Any) -> bool:
        """Bytes of requests; the launcher has ended when there are none."""
        got = os.read(_REQUESTS, _MOST_BYTES)
        if not got:
            os._exit(0)
        *lines, self._unread = (self._unread + got).split(b"\n")
        for line in lines:
            match json.loads(line):
                case {"open": str(url)}:
                    self._opening = True
                    self._view.load_uri(url)
                case {"paint": str(expression)}:
                    script = _ON_A_FRAME.format(expression)
                    self._view.call_async_javascript_function(script, -1, None, None, None, None, self._on_value)
        return True

    def _on_value(self, view: Any, result: Any) -> None:
        """What a script gave; nothing when its page has gone."""
        try:
            text = view.call_async_javascript_function_finish(result).to_json(0)
        except GLib.Error:
            text = None
        _answer({"value": json.loads(text) if text else None})

    def _on_load(self, _view: Any, event: Any) -> None:
        if event == WebKit2.LoadEvent.COMMITTED:
            self._opened()

    def _on_failed(self, *_: Any) -> bool:
        """No page of the browser's own that says so."""
        self._opened()
        return True

    def _opened(self) -> None:
        if self._opening:
            self._opening = False
            _answer({"opened": True})

    def _on_policy(self, _view: Any, decision: Any, kind: Any) -> bool:
        """Pages of this kiosk alone."""
        if kind == WebKit2.PolicyDecisionType.RESPONSE:
            return False
        if not decision.get_navigation_action().get_request().get_uri().startswith(_OURS):
            decision.ignore()
            self._opened()
            return True
        return False

    @staticmethod
    def _on_permission(_view: Any, request: Any) -> bool:
        request.deny()
        return True


def _answer(said: dict[str, Any]) -> None:
    try:
        os.write(_ANSWERS, json.dumps(said).encode() + b"\n")
    except OSError:
        sys.exit(0)


if __name__ == "__main__":
    PageWindow()
    Gtk.main()
