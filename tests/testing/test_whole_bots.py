"""Whole bots on the scripted homeserver, which log in by matrix-nio and by mautrix and find their devices deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import nio  # type: ignore[import-untyped]  # it has no types
import pytest
from mautrix.api import Method
from mautrix.api import Path as Endpoint
from mautrix.client import Client
from mautrix.errors import MatrixStandardRequestError, MForbidden
from mautrix.types import UserID

from interactive_auth import InteractiveAuth, bots, handlers
from interactive_auth.testing import Account, UIAServer, homeservers

from .conftest import PATIENCE

Send = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
STALE = {"devices": ["OLD", "OLDER"]}


@pytest.fixture
def account(uia_server: UIAServer) -> Account:
    """Make the bot's account, which has devices that it does not need any more."""
    uia_server.flows = [["m.login.password"]]
    return uia_server.add_account("bot", "right", devices=["OLD", "OLDER", "KEPT"])


async def clean_up(send: Send) -> dict[str, Any]:
    """Delete the stale devices, as the bot whose request it is; the password is mistyped at first."""
    typed = iter(["wrong", "right"])
    stages = {"m.login.password": handlers.password("bot", lambda: next(typed))}

    async def do_request(auth: dict[str, Any] | None) -> dict[str, Any]:
        return await send(STALE if auth is None else {**STALE, "auth": auth})

    return await bots.attempt_auth(InteractiveAuth(bots.from_coroutine(do_request), stages))


async def run_nio_bot(base_url: str) -> list[str]:
    """Log in, clean up, keep in touch, log out; return the devices that the bot has had between."""
    client = nio.AsyncClient(base_url, "@bot:example.org")

    async def send(body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {client.access_token}", "Content-Type": "application/json"}
        path = "/_matrix/client/v3/delete_devices"
        response = await client.send("POST", path, json.dumps(body), headers)
        return bots.check_answer(response.status, response.headers, await response.read())

    try:
        wrong = await client.login("wrong", device_name="a bot")
        assert isinstance(wrong, nio.LoginError)
        assert wrong.status_code == "M_FORBIDDEN"
        assert isinstance(await client.login("right", device_name="a bot"), nio.LoginResponse)
        assert (await client.whoami()).device_id == client.device_id
        assert isinstance(await client.sync(timeout=0), nio.SyncResponse)
        assert isinstance(await client.sync(timeout=10, since=client.next_batch), nio.SyncResponse)
        assert await clean_up(send) == {}
        devices = await client.devices()
        renamed = await client.update_device(client.device_id, {"display_name": "renamed"})
        assert isinstance(renamed, nio.UpdateDeviceResponse)
        assert isinstance(await client.logout(), nio.LogoutResponse)
        return [device.id for device in devices.devices]
    finally:
        await client.close()


async def run_mautrix_bot(base_url: str) -> list[str]:
    """Do the same by another library."""
    client = Client(UserID("@bot:example.org"), base_url=base_url)

    async def send(body: dict[str, Any]) -> dict[str, Any]:
        url = client.api.base_url / "_matrix/client/v3/delete_devices"
        headers = {"Authorization": f"Bearer {client.api.token}"}
        async with client.api.session.post(url, json=body, headers=headers) as response:
            return bots.check_answer(response.status, response.headers, await response.read())

    try:
        assert "v1.1" in {str(version) for version in (await client.versions()).versions}
        with pytest.raises(MForbidden):
            await client.login(password="wrong", device_name="a bot")
        await client.login(password="right", device_name="a bot")
        assert (await client.whoami()).device_id == client.device_id
        syncing = client.start(None)
        assert await clean_up(send) == {}
        devices = await client.api.request(Method.GET, Endpoint.v3.devices)
        client.stop()
        await asyncio.wait([syncing])
        await client.logout()
        return [device["device_id"] for device in devices["devices"]]
    finally:
        await client.api.session.close()


BOTS = pytest.mark.parametrize("run_bot", [run_nio_bot, run_mautrix_bot])


@BOTS
@pytest.mark.parametrize("name", homeservers)
def test_a_bot_that_cleans_up(
    uia_server: UIAServer, account: Account, name: str, run_bot: Callable[[str], Awaitable[list[str]]]
) -> None:
    """It logs in, deletes what is stale, whatever homeserver it is, and logs out its own device."""
    uia_server.quirks = name

    devices = asyncio.run(asyncio.wait_for(run_bot(uia_server.base_url), PATIENCE))

    assert len(devices) == 2
    assert devices[0] == "KEPT"
    assert list(account.devices) == ["KEPT"]
    passwords = [auth and auth["password"] for auth in uia_server.auths]
    assert passwords == [None, "wrong", "right"]


async def log_in_by_nio(base_url: str) -> str:
    """Return the errcode of a login that fails."""
    client = nio.AsyncClient(base_url, "@bot:example.org")
    try:
        return str((await client.login("right")).status_code)
    finally:
        await client.close()


async def log_in_by_mautrix(base_url: str) -> str:
    """Return the errcode of a login that fails."""
    client = Client(UserID("@bot:example.org"), base_url=base_url)
    try:
        with pytest.raises(MatrixStandardRequestError) as caught:
            await client.login(password="right")
        return caught.value.errcode
    finally:
        await client.api.session.close()


@pytest.mark.parametrize("log_in", [log_in_by_nio, log_in_by_mautrix])
def test_a_bot_whose_account_is_gone(
    uia_server: UIAServer, account: Account, log_in: Callable[[str], Awaitable[str]]
) -> None:
    """A deactivated account cannot log in, and a bot can be tested for what it does then."""
    account.deactivated = True

    assert asyncio.run(asyncio.wait_for(log_in(uia_server.base_url), PATIENCE)) == "M_USER_DEACTIVATED"


@pytest.mark.parametrize("log_in", [log_in_by_nio, log_in_by_mautrix])
def test_a_bot_on_a_homeserver_that_is_down(
    uia_server: UIAServer, account: Account, log_in: Callable[[str], Awaitable[str]]
) -> None:
    """Trouble can be planned for a login as for everything else."""
    uia_server.fail_next(path="/login")

    assert asyncio.run(asyncio.wait_for(log_in(uia_server.base_url), PATIENCE)) == "M_UNKNOWN"
