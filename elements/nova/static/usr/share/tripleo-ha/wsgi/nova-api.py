"""The compute API, in threads of the system.

Green ones block each other under uWSGI: the check of a worker would wait behind a request, and heartbeats to the broker
for the next one.
"""

import os

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"

from nova import policy
from nova.api.openstack.compute.wsgi import init_application

application = init_application()
# Made by the first request otherwise, and a second one beside that would find half of the policies.
policy.init()
