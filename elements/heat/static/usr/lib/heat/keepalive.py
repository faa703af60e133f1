"""Has a call of Heat's engine end when its other end is gone.

Clients that set neither a timeout nor keepalive, as python-swiftclient, would wait for ever for an answer that was lost
with the node of the balancer. They ask again once the connection breaks, which it does after 20 s.

Heat loads this as it loads resources of deployers' own, from ``plugin_dirs``, before its engine starts.
"""

import socket

from urllib3.connection import HTTPConnection

# Its value is taken over where it is made, so it is added to and not replaced.
HTTPConnection.default_socket_options.extend(
    [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    ]
)
