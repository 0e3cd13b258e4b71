"""m.login.sso on its fallback page, through CAS and through OpenID Connect, as a browser would go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.accounts import Account, new_account
from support.sso import Browser, cas_provider, oidc_provider
from throwaway_synapse import Synapse, throwaway_synapse

from interactive_auth import AuthTimeoutError, InteractiveAuth, MatrixError, handlers

PROVIDERS = ("cas", "oidc-mock")


@pytest.fixture(scope="module")
def sso_synapse() -> Iterator[Synapse]:
    """Run a homeserver on which people sign on by CAS and by OpenID Connect."""
    with cas_provider() as cas, oidc_provider() as oidc, throwaway_synapse(cas, oidc) as running:
        yield running


@pytest.fixture(params=PROVIDERS)
def signed_on(request: pytest.FixtureRequest, sso_synapse: Synapse) -> Iterator[Account]:
    """Make an account that signs on by its own name at one of the providers, and a device to be deleted."""
    with new_account(sso_synapse) as account:
        external = [{"auth_provider": request.param, "external_id": account.name}]
        sso_synapse.admin("PUT", f"/_synapse/admin/v2/users/{account.user_id}", {"external_ids": external})
        account.add_device("OLD")
        yield account


def test_the_right_person(signed_on: Account) -> None:
    """Polling finds the single sign-on that a browser went through, and the device is deleted."""
    browser, urls = Browser(), []

    def open_url(url: str) -> None:
        urls.append(url)
        browser.sign_on(url, signed_on.name)

    request = signed_on.homeserver.delete_devices(["OLD"])
    stages = {"m.login.sso": handlers.sso(signed_on.homeserver, open_url)}
    response = request.authenticate(stages, poll_interval=0.1, poll_timeout=20.0)

    assert response == {}
    assert browser.titles == ["Authentication successful"]
    assert len(urls) == 1
    assert urls[0].startswith(f"{signed_on.synapse.base_url}/_matrix/client/v3/auth/m.login.sso/fallback/web?session=")
    assert signed_on.devices() == {signed_on.device_id}


def test_somebody_else_first(signed_on: Account) -> None:
    """A sign-on as somebody else deletes nothing and ends the attempt; the next one goes on as the right person."""
    browser, people = Browser(), iter(["mallory", signed_on.name])
    stages = {"m.login.sso": handlers.sso(signed_on.homeserver, lambda url: browser.sign_on(url, next(people)))}
    auth = InteractiveAuth(signed_on.homeserver.delete_devices(["OLD"]), stages, poll_interval=0.1, poll_timeout=20.0)
    with pytest.raises(MatrixError) as caught:
        auth.attempt_auth()
    session = auth.get_session_id()
    assert "OLD" in signed_on.devices()

    response = auth.attempt_auth()

    assert (caught.value.http_status, caught.value.errcode) == (403, "M_FORBIDDEN")
    assert response == {}
    assert auth.get_session_id() == session
    assert browser.titles == ["Authentication failed", "Authentication successful"]
    assert signed_on.devices() == {signed_on.device_id}


def test_nobody_signs_on(signed_on: Account) -> None:
    """Without a sign-on the time runs out, nothing is deleted, and a later attempt goes on in the same session."""
    browser = Browser()
    urls: list[str] = []
    stages = {"m.login.sso": handlers.sso(signed_on.homeserver, urls.append)}
    auth = InteractiveAuth(signed_on.homeserver.delete_devices(["OLD"]), stages, poll_interval=0.1, poll_timeout=0.3)
    with pytest.raises(AuthTimeoutError) as caught:
        auth.attempt_auth()
    session = auth.get_session_id()
    assert "OLD" in signed_on.devices()

    browser.sign_on(urls[0], signed_on.name)
    response = auth.attempt_auth()

    assert caught.value.stage == "m.login.sso"
    assert response == {}
    assert auth.get_session_id() == session
    assert signed_on.devices() == {signed_on.device_id}
