"""The metadata API, in threads of the system, as the compute API."""

import os

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"

from nova.api.metadata.wsgi import init_application

application = init_application()
