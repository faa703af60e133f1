"""What Swift's proxy is given besides its own middleware."""

from swift.common.middleware.healthcheck import HealthCheckMiddleware
from swift.common.swob import Response


class HealthCheck(HealthCheckMiddleware):
    """Swift's health check, which says 404 while ``disable_path`` is there: HAProxy lets what is under way end."""

    def DISABLED(self, req):
        """Return the answer of a proxy that is about to stop; Swift's own, 503, would have sessions cut."""
        return Response(request=req, status=404, body=b"Draining", content_type="text/plain")


def healthcheck(global_conf, **local_conf):
    """Return the filter for paste.deploy."""
    settings = {**global_conf, **local_conf}
    return lambda app: HealthCheck(app, settings)
