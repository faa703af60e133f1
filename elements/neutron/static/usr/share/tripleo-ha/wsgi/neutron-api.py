"""The network API."""

from neutron import policy
from neutron.cmd.server import main_api_uwsgi

application = main_api_uwsgi()
# Made by the first request otherwise, and a second one beside that would find half of the policies.
policy.init()
