"""What Dendrite does not have, and what is told of it: mails, SMS, terms, tokens, and half of the endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from support.accounts import Account, Person
from support.dendrite import Dendrite

from interactive_auth import Homeserver, MatrixError, NoAuthFlowFoundError, Stage

Call = Callable[[Homeserver], Any]
SECRET = "a-secret-of-the-clients-own-making"
UNRECOGNIZED = "404 M_UNRECOGNIZED: Unrecognized request"
#: It has the endpoint, which wants an identity server of those that it trusts.
UNTRUSTED = "400 M_SERVER_NOT_TRUSTED: Untrusted server ''"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        pytest.param(
            lambda it: it.request_email_token("register", "a@b.org", SECRET), UNTRUSTED, id="mail-to-register"
        ),
        pytest.param(lambda it: it.request_email_token("account/3pid", "a@b.org", SECRET), UNTRUSTED, id="mail-to-add"),
        pytest.param(
            lambda it: it.request_email_token("account/password", "a@b.org", SECRET), UNRECOGNIZED, id="mail-to-reset"
        ),
        pytest.param(
            lambda it: it.request_msisdn_token("register", "GB", "07700900000", SECRET), UNRECOGNIZED, id="sms"
        ),
        pytest.param(lambda it: it.add_threepid(SECRET, "a-sid").authenticate({}), UNRECOGNIZED, id="add-threepid"),
        pytest.param(lambda it: it.get_login_token().authenticate({}), UNRECOGNIZED, id="login-token"),
        pytest.param(lambda it: it.registration_token_validity("a-token"), UNRECOGNIZED, id="token-validity"),
    ],
)
def test_endpoints(account: Account, call: Call, says: str) -> None:
    """What is not there is an error of the server's at once, in its words, and nobody is asked anything."""
    with pytest.raises(MatrixError) as refused:
        call(account.homeserver)

    assert says in str(refused.value)


@pytest.mark.parametrize("stage", ["m.login.email.identity", "m.login.msisdn", "m.login.terms", "m.login.sso"])
def test_stages(dendrite: Dendrite, anonymous: Homeserver, new: Person, stage: str) -> None:
    """A stage that it does not have is answered 501, and the session goes on all the same."""
    request = anonymous.register(new.name, new.password)
    with pytest.raises(MatrixError) as asked:
        request()
    session = {"session": asked.value.data["session"]}
    creds = {"threepid_creds": {"sid": "a-sid", "client_secret": SECRET}}

    with pytest.raises(MatrixError, match=r"501 M_UNKNOWN: unknown/unimplemented auth type") as refused:
        request({"type": stage, **creds, **session})

    assert refused.value.http_status == 501
    assert request({"type": "m.login.dummy", **session})["user_id"] == new.user_id


def test_an_address_is_given(anonymous: Homeserver, new: Person) -> None:
    """Whoever gives an email address is told that no flow here takes it, and no account is made without it."""
    request = anonymous.register(new.name, new.password)

    with pytest.raises(NoAuthFlowFoundError, match=r"m\.login\.dummy: it lacks m\.login\.email\.identity") as failed:
        request.authenticate({}, inputs={"email_address": new.address})

    assert failed.value.required_stages == ["m.login.email.identity"]
    assert failed.value.flows == [{"stages": ["m.login.dummy"]}]
    assert anonymous.username_available(new.name)


def test_a_forgotten_password(anonymous: Homeserver) -> None:
    """A password cannot be reset: without an access token it is the server's refusal, and nobody is asked."""

    def nobody(stage: Stage) -> Any:
        pytest.fail(f"{stage.type} was asked for")

    with pytest.raises(MatrixError, match="M_MISSING_TOKEN") as refused:
        anonymous.change_password("an entirely new one").authenticate(nobody)

    assert refused.value.http_status == 401


@pytest.mark.parametrize(
    ("stage", "status"), [("m.login.terms", 501), ("m.login.sso", 501), ("m.login.recaptcha", 400)]
)
def test_fallback_pages(anonymous: Homeserver, stage: str, status: int) -> None:
    """It has no page but that for captchas, and that one only where it wants them."""
    assert requests.get(anonymous.fallback_url(stage, "a-session"), timeout=30).status_code == status
