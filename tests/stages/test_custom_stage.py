"""A stage type of one homeserver's own, which a module of Synapse's adds beside the password."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from support.accounts import Connect, Person, Watched, devices_of
from throwaway_synapse import OPEN, Synapse, throwaway_synapse

from interactive_auth import InteractiveAuth, NoAuthFlowFoundError, Stage, handlers

MAGIC = "com.example.magic"
MODULE = f"""
class Magic:
    def __init__(self, config, api):
        self.api = api
        api.register_password_auth_provider_callbacks(auth_checkers={{("{MAGIC}", ("code",)): self.check}})

    async def check(self, username, login_type, login_dict):
        return (self.api.get_qualified_user_id(username), None) if login_dict["code"] == "42" else None

    @staticmethod
    def parse_config(config):
        return config
"""


@pytest.fixture(scope="module")
def magic_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synapse]:
    """Run a homeserver with the module."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "magic_stage.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        with throwaway_synapse(OPEN, {"modules": [{"module": "magic_stage.Magic"}]}) as running:
            yield running


@pytest.fixture
def account(magic_server: Synapse, new: Person) -> dict[str, Any]:
    return magic_server.add_user(new.name, new.password)


def test_callback_of_a_mapping_does_a_stage_that_the_library_does_not_know(
    magic_server: Synapse, connect: Connect, account: Mapping[str, Any], watched: Watched, new: Person
) -> None:
    """The flow is chosen for the mapping's key; a wrong code brings the stage back, and the right one acts."""
    codes = iter(["41", "42"])

    def do_magic(stage: Stage) -> dict[str, Any]:
        return {"type": stage.type, "identifier": {"type": "m.id.user", "user": new.name}, "code": next(codes)}

    request = connect(magic_server.base_url, access_token=account["access_token"]).delete_devices(
        [account["device_id"]]
    )

    request.authenticate(watched({MAGIC: do_magic}))

    assert devices_of(magic_server, account["user_id"]) == []
    assert [(stage.type, stage.attempt, stage.flow) for stage in watched.seen] == [
        (MAGIC, 1, (MAGIC,)),
        (MAGIC, 2, (MAGIC,)),
    ]
    assert watched.seen[0].error is None
    assert watched.seen[1].error is not None
    assert watched.seen[1].error.errcode == "M_FORBIDDEN"


def test_unknown_stage_reaches_the_callback_for_all_others_with_its_pages_address(
    magic_server: Synapse, connect: Connect, account: Mapping[str, Any], web: requests.Session, new: Person
) -> None:
    """handlers.fallback under "*" is given the stage's page; that this server has none is the server's answer."""
    homeserver = connect(magic_server.base_url, access_token=account["access_token"])
    urls: list[str] = []
    pages: list[requests.Response] = []

    def visit(url: str) -> None:
        urls.append(url)
        pages.append(web.get(url, timeout=30))
        identifier = {"type": "m.id.user", "user": new.name}
        auth.submit_auth_dict({"type": MAGIC, "identifier": identifier, "code": "42"})

    auth = InteractiveAuth(
        homeserver.delete_devices([account["device_id"]]),
        {"*": handlers.fallback(homeserver, visit)},
        supported_stages=[MAGIC],
    )

    auth.attempt_auth()

    assert devices_of(magic_server, account["user_id"]) == []
    session = auth.get_session_id()
    assert urls == [f"{magic_server.base_url}/_matrix/client/v3/auth/{MAGIC}/fallback/web?session={session}"]
    assert pages[0].json() == {"errcode": "M_UNKNOWN", "error": "Unknown auth stage type"}


def test_stage_that_no_callback_does_is_named(
    magic_server: Synapse, connect: Connect, account: Mapping[str, Any]
) -> None:
    """A mapping with none of the server's stages fails with the names of those offered, and nothing happens."""
    request = connect(magic_server.base_url, access_token=account["access_token"]).delete_devices(
        [account["device_id"]]
    )

    with pytest.raises(NoAuthFlowFoundError, match=r"com\.example\.magic"):
        request.authenticate({"m.login.sso": lambda stage: None})

    assert devices_of(magic_server, account["user_id"]) == [account["device_id"]]
