"""Has Heat's CloudFormation API sign in where it asks Keystone about a signature.

Since OSSA-2025-002 Keystone answers ``/v3/ec2tokens`` to services and administrators alone, and Heat 24.0.0 asks
without a token. Later releases take the same options of ``[ec2authtoken]`` by themselves; this does nothing to them.
"""

from functools import partial
from types import SimpleNamespace

from heat.api.aws import ec2token
from keystoneauth1 import loading
from keystoneauth1.session import Session
from oslo_config import cfg

GROUP = "ec2authtoken"


def sign_in() -> None:
    """Have what is asked be asked as the user of ``[ec2authtoken]``; once the configuration is read.

    :raises keystoneauth1.exceptions.auth_plugins.MissingRequiredOptions: the options do not suffice.
    """
    loading.register_auth_conf_options(cfg.CONF, GROUP)
    session = Session(auth=loading.load_auth_from_conf_options(cfg.CONF, GROUP))
    # Its answers are told apart by what they hold, refusals too.
    ec2token.requests = SimpleNamespace(post=partial(session.post, raise_exc=False))
