"""Binds the ports of routers to the one host identity of an L3 agent that runs on one controller at a time.

ML2 binds a port to a host where an Open vSwitch agent says it is. The L3 agent's host moves from controller to
controller, and the Open vSwitch agent of each is known by that controller's own name: it wires whatever port it finds
on its integration bridge, but does not speak for another host. So ports of this host are bound here, once, and stay
bound and active wherever they are: when the agent moves, nothing has to be asked or changed before it serves.
"""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

HOST = "neutron-l3"
"""What the L3 agent's unit calls its host."""
TYPES = (constants.TYPE_FLAT, constants.TYPE_VLAN, constants.TYPE_VXLAN, constants.TYPE_GRE)
"""What every controller is connected to."""


class SingletonMechanismDriver(api.MechanismDriver):
    """Binds ports of :data:`HOST`, and no others."""

    def initialize(self):
        """Nothing is to be prepared."""

    @property
    def connectivity(self):
        """What a bound port is connected to: its network as a whole."""
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        """Bind a port to the first segment of its network that a controller can be connected to."""
        if context.host != HOST:
            return
        for segment in context.segments_to_bind:
            if segment[api.NETWORK_TYPE] in TYPES:
                details = {
                    portbindings.CAP_PORT_FILTER: False,
                    portbindings.VIF_DETAILS_CONNECTIVITY: self.connectivity,
                }
                context.set_binding(segment[api.ID], portbindings.VIF_TYPE_OVS, details, constants.PORT_STATUS_ACTIVE)
                return
