"""What is made of tempest's results: what went wrong of a service's tests, and how long they took."""

from tempests import Named, Outcome, spent, wrong

IMAGE = Named(60, {"api.image.Images": ("test_upload", "test_delete"), "api.image.Tags": ("test_tag",)})
VOLUME = Named(60, {"api.volume.Volumes": ("test_create",)})
SERVICES = {"image": IMAGE, "volume": VOLUME}


def outcome(began: float, ended: float, status: str = "success", said: str = "") -> Outcome:
    return Outcome(status, began, ended, said)


def all_passed() -> dict[str, Outcome]:
    return {name: outcome(place, place + 1) for place, name in enumerate(IMAGE.names)}


def test_nothing_is_wrong_where_all_passed_of_a_service() -> None:
    assert wrong(IMAGE, all_passed()) == {}


def test_a_failure_a_skip_and_a_test_that_was_not_run_are_wrong() -> None:
    outcomes = all_passed()
    outcomes["api.image.Images.test_upload"] = outcome(0, 1, "fail", "Traceback\nConflict: 409\n")
    outcomes["api.image.Images.test_delete"] = outcome(1, 2, "skip", "not enabled")
    del outcomes["api.image.Tags.test_tag"]
    found = wrong(IMAGE, outcomes)
    assert found.keys() == set(IMAGE.names)
    assert found["api.image.Images.test_upload"].split() == ["fail", "Traceback", "Conflict:", "409"]
    assert found["api.image.Images.test_delete"].split() == ["skip", "not", "enabled"]


def test_what_a_class_could_not_set_up_or_clean_up_is_wrong_though_its_tests_passed() -> None:
    outcomes = all_passed()
    outcomes["tearDownClass (api.image.Images)"] = outcome(3, 4, "fail", "an image is left")
    assert wrong(IMAGE, outcomes).keys() == {"tearDownClass (api.image.Images)"}


def test_what_is_told_of_another_service_is_not_this_one_s_fault() -> None:
    outcomes = all_passed()
    outcomes["api.volume.Volumes.test_create"] = outcome(3, 4, "fail")
    outcomes["setUpClass (api.image.ImagesOfMembers)"] = outcome(4, 5, "fail")
    outcomes["api.image.ImagesOfMembers.test_upload"] = outcome(5, 6, "fail")
    assert wrong(IMAGE, outcomes) == {}


def test_the_time_between_two_tests_is_the_later_one_s() -> None:
    outcomes = {
        "api.volume.Volumes.test_create": outcome(25, 30),
        "api.image.Images.test_upload": outcome(10, 12),
        "api.image.Images.test_delete": outcome(15, 19),
    }
    assert spent(SERVICES, outcomes) == {"image": 9, "volume": 11}


def test_a_class_s_clean_up_is_time_of_its_service() -> None:
    outcomes = {
        "api.image.Images.test_upload": outcome(10, 12),
        "tearDownClass (api.image.Images)": outcome(20, 21),
        "api.volume.Volumes.test_create": outcome(22, 24),
    }
    assert spent(SERVICES, outcomes) == {"image": 11, "volume": 3}


def test_nothing_run_is_no_time() -> None:
    assert spent(SERVICES, {}) == {}
