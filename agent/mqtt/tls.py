"""TLS to the broker: whom to trust, and who we are."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.mqtt.options import Options


def context(options: Options) -> ssl.SSLContext:
    """TLS 1.3, the broker's certificate and name checked, our own certificate if there is one."""
    made = ssl.create_default_context(cafile=options.ca_file or None)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.sslsocket_class = _Wire
    if options.cert_file:
        made.load_cert_chain(options.cert_file, options.key_file or None)
    return made


class _Wire(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho just forgets it."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise
