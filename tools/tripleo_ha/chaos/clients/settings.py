"""What a client of a campaign is told on stdin: where the cluster is, its account, and how to work."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tripleo_ha.errors import UsageError
from tripleo_ha.verify.client import Account, Trust

if TYPE_CHECKING:
    from tripleo_ha.verify.runner import Target

REPEATABLE_READ = "REPEATABLE READ"
READ_COMMITTED = "READ COMMITTED"
ISOLATIONS = (REPEATABLE_READ, READ_COMMITTED)


@dataclass(frozen=True)
class Settings:
    """Everything that a client needs to know.

    ``control`` and ``public`` are the virtual IPs; ``trust`` has those of the two by which Keystone is encrypted.
    ``appenders`` and ``tellers`` are how many processes append to lists and transfer money; ``pace`` is how many times
    as often as usual they do so. ``isolation`` is one of :data:`ISOLATIONS`.
    """

    account: Account
    control: str
    public: str
    keystone_password: str = field(repr=False)
    mysql_port: int = 3306
    amqp_port: int = 5672
    keystone_port: int = 5000
    seed: int = 0
    appenders: int = 2
    tellers: int = 2
    pace: float = 1.0
    isolation: str = REPEATABLE_READ
    trust: Mapping[str, Trust] = field(default_factory=dict)

    @property
    def queue(self) -> str:
        """The quorum queue that messages are published to and consumed from."""
        return f"{self.account.name}.messages"

    @classmethod
    def of(cls, target: "Target", account: Account, **rest: Any) -> "Settings":
        """Return the settings for a cluster; ``rest`` overrides what has a default."""
        ports = {listener.name: listener.port for row in target.rows for listener in row.balanced}
        return cls(
            account=account,
            control=target.vip("control"),
            public=target.vip("public"),
            keystone_password=target.metadata["keystone"]["admin_password"],
            trust={target.vip(vip): trust for vip in ("control", "public") if (trust := target.keystone_trust(vip))},
            **({f"{name}_port": ports[name] for name in ("mysql", "amqp", "keystone")} | rest),
        )

    def dump(self) -> str:
        """Return it as the JSON document that :meth:`load` reads; passwords included."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "Settings":
        """Read a document.

        :raises UsageError: it is none; without its content, which holds passwords.
        """
        try:
            document = json.loads(text)
            account, trust = document["account"], document["trust"]
            parts = {"account": Account(**account), "trust": {ip: Trust(**each) for ip, each in trust.items()}}
            settings = cls(**{**document, **parts})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError("stdin has no settings of a client", "`tripleo-ha chaos` starts clients") from error
        if settings.isolation not in ISOLATIONS:
            raise UsageError("no such isolation level", f"one of: {', '.join(ISOLATIONS)}")
        return settings
