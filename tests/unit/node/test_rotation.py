"""A former password lives on beside the new one for as long as a node uses it."""

from tripleo_ha.node import databases

OLD, NEW, OLDEST = (databases.native_hash(word) for word in ("old", "new", "oldest"))


def service_account(password: str) -> databases.Account:
    return databases.Account("keystone", "%", f"BY PASSWORD '{databases.native_hash(password)}'", schemas=("keystone",))


def test_a_new_password_joins_the_former_ones_until_all_nodes_have_it() -> None:
    shown = service_account("old").grants
    both = databases.beside_former(service_account("new"), shown)
    assert both.proof == f"VIA mysql_native_password USING '{NEW}' OR mysql_native_password USING '{OLD}'"
    assert databases.beside_former(service_account("new"), both.grants) == both
    assert databases.beside_former(service_account("old"), shown) == service_account("old")
    assert databases.beside_former(service_account("new"), ()) == service_account("new")
    back = databases.beside_former(service_account("oldest"), both.grants)
    assert databases.NATIVE_HASH.findall(back.proof) == [OLDEST, NEW, OLD]


def test_an_account_without_a_password_is_left_as_it_is_wanted() -> None:
    assert databases.beside_former(databases.SYSTEM[0], service_account("old").grants) == databases.SYSTEM[0]
