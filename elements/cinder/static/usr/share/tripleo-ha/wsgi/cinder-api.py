"""The block storage API."""

from cinder import policy
from cinder.wsgi.wsgi import initialize_application

application = initialize_application()
# Made by the first request otherwise, and a second one beside that would find half of the policies.
policy.init()
