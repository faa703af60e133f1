"""What uWSGI serves for every API: the application of the package's script, once the service's policy is loaded.

By itself a service makes its oslo.policy enforcer, or loads its rules, in the first request that is judged by it. uWSGI
has threads: a request beside that one finds half of the rules, and is refused what is allowed. The same would happen
whenever the file of the policy is written, as it is by each run of os-apply-config. So it is read once; one that says
something else restarts the service.

What is loaded stays. So the garbage collector, which would go through all of it again and again meanwhile (a fifth of
the time that Keystone loads), is told to leave it alone.

What comes with the first request of all, connections and drivers, is made by one of our own where there is one: the
balancer sends clients as soon as the service answers its check, and they would wait for that.

``TRIPLEO_HA_APPLICATION`` is the script; ``TRIPLEO_HA_PREPARE`` is what else is done before the first request, as
making the enforcers that otherwise come with it: each a ``module:attribute``, called if it can be.
``TRIPLEO_HA_FIRST`` is that request, as JSON: ``path`` and ``body``.
"""

import gc
import io
import json
import os
import pkgutil
import runpy
import sys
import threading
from wsgiref.util import setup_testing_defaults

FIRST_S = 5.0
"""Without a database the answer is awaited for ever, and clients may as well."""


def ask(first):
    """Post a request to the application; what it answers is nobody's."""
    body = json.dumps(first["body"]).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": first["path"],
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": io.BytesIO(body),
    }
    setup_testing_defaults(environ)
    for _ in application(environ, lambda status, headers, exc_info=None: None):
        pass


gc.disable()
application = runpy.run_path(os.environ["TRIPLEO_HA_APPLICATION"])["application"]

for name in os.environ["TRIPLEO_HA_PREPARE"].split():
    found = pkgutil.resolve_name(name)
    if callable(found):
        found()

if oslo_policy := sys.modules.get("oslo_policy.policy"):
    # Several services keep theirs where nothing else gets at them. isinstance() would ask proxies what they stand for.
    for each in gc.get_objects():
        if issubclass(type(each), oslo_policy.Enforcer):
            each.load_rules()
            each.use_conf = False

if "TRIPLEO_HA_FIRST" in os.environ:
    asking = threading.Thread(target=ask, args=(json.loads(os.environ["TRIPLEO_HA_FIRST"]),), daemon=True)
    asking.start()
    asking.join(FIRST_S)

gc.freeze()
gc.enable()
