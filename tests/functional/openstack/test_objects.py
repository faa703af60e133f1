"""Objects, as users keep them with a controller off."""

import hashlib
import random
from contextlib import ExitStack
from functools import partial

from clouds import RESUME_S, endpoint, invent, needs, of_own_server, removed, token_of, until
from openstack.connection import Connection

from tripleo_ha.devtest.bed import Bed


def test_objects_are_written_and_read_through_different_controllers_with_one_off(
    one_off: str, bed: Bed, cloud: Connection
) -> None:
    needs(bed, "swift")
    store, name = cloud.object_store, invent()
    on = [node for node in bed.nodes if node.name != one_off]
    account = endpoint(cloud, "object-store").rpartition("/")[2]
    token = until("a token", lambda: token_of(cloud), timeout=RESUME_S)
    with ExitStack() as undo:
        until("a container", lambda: store.create_container(name), timeout=RESUME_S)
        undo.callback(removed, "the container", lambda: store.delete_container(name))
        for writer in on:
            body = random.randbytes(500_000).hex()
            path = f"8080/v1/{account}/{name}/{writer.name}"
            undo.callback(removed, "the object", partial(store.delete_object, writer.name, container=name))
            put = partial(of_own_server, bed, writer.name, "PUT", f"http://{writer.ip}:{path}", token, body)
            until(f"{writer.name} to take an object", put, timeout=RESUME_S)
            for reader in on:
                read = of_own_server(bed, reader.name, "GET", f"http://{reader.ip}:{path}", token)
                assert read == hashlib.sha256(body.encode()).hexdigest(), (writer.name, reader.name)
