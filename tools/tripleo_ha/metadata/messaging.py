"""How oslo.messaging is configured in every service, and in the client that measures what a service would see."""

from collections.abc import Mapping

RABBIT: Mapping[str, str] = {
    "rabbit_quorum_queue": "true",
    "rabbit_transient_quorum_queue": "true",
    "rabbit_stream_fanout": "true",
    # Streams give nothing to a consumer that sets no limit.
    "rabbit_qos_prefetch_count": "100",
    "use_queue_manager": "true",
    # A broker that vanished is noticed within twice this, in seconds.
    "heartbeat_timeout_threshold": "15",
    "heartbeat_rate": "3",
    # The virtual IP leads to a living broker at once, so waiting longer and longer for it gains nothing.
    "kombu_reconnect_delay": "0.5",
    "rabbit_retry_interval": "1",
    "rabbit_retry_backoff": "0",
    "rabbit_interval_max": "1",
}
"""The section ``oslo_messaging_rabbit``."""
