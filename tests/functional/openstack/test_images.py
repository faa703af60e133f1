"""Images, as a user reads them back."""

import hashlib

import pytest
from clouds import RESUME_S, of_own_server, token_of, until
from openstack.connection import Connection

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target


def test_an_image_is_downloaded_unchanged_with_one_controller_off(
    image: str, one_off: str, cloud: Connection, content: bytes
) -> None:
    read = until(
        "the image to be downloaded",
        lambda: cloud.image.download_image(image).content,
        lambda data: len(data) > 0,
        timeout=RESUME_S,
    )
    assert hashlib.sha256(read).hexdigest() == hashlib.sha256(content).hexdigest()


@pytest.mark.quick
def test_an_uploaded_image_is_the_same_on_every_controller(
    target: Target, bed: Bed, cloud: Connection, image: str, content: bytes
) -> None:
    path = f"9292/v2/images/{image}/file"
    token = token_of(cloud)
    read = {node.name: of_own_server(bed, node.name, "GET", f"http://{node.ip}:{path}", token) for node in bed.nodes}
    assert read == dict.fromkeys(read, hashlib.sha256(content).hexdigest())
