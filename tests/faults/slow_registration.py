"""A module of Synapse's that makes every registration take a while, as one on a busy server does; Synapse loads it."""

from __future__ import annotations

from typing import Any

from synapse.module_api import ModuleApi
from synapse.spam_checker_api import RegistrationBehaviour


class SlowRegistration:
    """Thinks about each registration for ``seconds`` before it is allowed."""

    def __init__(self, config: dict[str, float], api: ModuleApi) -> None:
        self._seconds = config["seconds"]
        self._api = api
        api.register_spam_checker_callbacks(check_registration_for_spam=self.think)

    async def think(self, *_: Any) -> RegistrationBehaviour:
        """Allow it, after a while."""
        await self._api.sleep(self._seconds)
        return RegistrationBehaviour.ALLOW
