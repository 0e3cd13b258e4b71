"""The quirks of the homeservers that the scripted one plays, where no recorded answer shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from interactive_auth import Homeserver, MatrixError, UIARequest, handlers
from interactive_auth.testing import Quirks, Refusal, UIAServer, homeservers

from .recorded import CLIENT_SECRET, Auth
from .recorded import EMAIL as ADDRESS
from .scenes import RIGHT

PASSWORD: Auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": "right"}
WRONG: Auth = {**PASSWORD, "password": "wrong"}
DUMMY: Auth = {"type": "m.login.dummy"}
EVERY = pytest.mark.parametrize("name", homeservers)


@pytest.fixture
def homeserver(uia_server: UIAServer, name: str) -> Iterator[Homeserver]:
    """Make a client of the scripted homeserver, which plays another one and wants a password."""
    uia_server.quirks = name
    uia_server.flows = [["m.login.password"]]
    uia_server.answers = RIGHT
    with Homeserver(uia_server.base_url) as made:
        yield made


def refuse(request: UIARequest[Any], auth: Auth | None = None, **more: Any) -> MatrixError:
    """Send a request with more in its auth dict, and return its refusal."""
    with pytest.raises(MatrixError) as caught:
        request(None if auth is None else {**auth, **more})
    return caught.value


@EVERY
def test_an_auth_that_says_nothing(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """An auth that is null or empty opens a session with some, and is refused by others."""
    request = homeserver.delete_devices(["ONE"])

    null = requests.post(f"{uia_server.base_url}/_matrix/client/v3/delete_devices", json={"auth": None}, timeout=10)
    empty = refuse(request, {})

    as_absent = {"synapse": (401, 401), "dendrite": (400, 400)}
    assert (null.status_code, empty.http_status) == as_absent.get(name, (401, 400))
    assert ("flows" in empty.data) == (name == "synapse")


@EVERY
def test_a_session_after_the_success(homeserver: Homeserver, name: str) -> None:
    """Synapse lets everything through that comes in a completed session; elsewhere that session is gone."""
    request = homeserver.delete_devices(["ONE"])
    session = refuse(request).data["session"]
    request({**PASSWORD, "session": session})

    if name == "synapse":
        assert request({**WRONG, "session": session}) == {}
    else:
        assert refuse(request, WRONG, session=session).http_status in (400, 401, 403, 404)


@EVERY
def test_a_password_with_no_identifier(homeserver: Homeserver, name: str) -> None:
    """The name of a user as it was sent long ago is enough for some, and is not recognized by others."""
    request = homeserver.delete_devices(["ONE"])
    old = {"type": "m.login.password", "user": "alice", "password": "right"}

    if name in ("synapse", "dendrite"):
        assert request(old) == {}
    else:
        assert refuse(request, old).errcode == ("M_UNAUTHORIZED" if name == "palpo" else "M_UNRECOGNIZED")


@EVERY
def test_rate_limits(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """A rate limit is stated in body and header, or nowhere."""
    uia_server.rate_limit_next(1.5)

    answer = requests.post(f"{uia_server.base_url}/_matrix/client/v3/register", json={}, timeout=10)

    states = name in ("synapse", "dendrite", "palpo")
    assert (answer.status_code, answer.json()["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert answer.json().get("retry_after_ms") == (1500 if states else None)
    assert answer.headers.get("Retry-After") == ("2" if states else None)


@EVERY
@pytest.mark.parametrize("stage", ["m.login.recaptcha", "m.login.sso", "m.login.password"])
def test_pages(uia_server: UIAServer, homeserver: Homeserver, name: str, stage: str) -> None:
    """Each homeserver has the fallback pages that it has, none of them for passwords."""
    session = refuse(homeserver.delete_devices(["ONE"])).data["session"]

    answer = requests.get(homeserver.fallback_url(stage, session), timeout=10)

    there = {
        "synapse": {"m.login.recaptcha", "m.login.sso"},
        "dendrite": {"m.login.recaptcha"},
        "tuwunel": {"m.login.sso"},
    }  # Palpo's are for dummies and terms
    assert answer.ok == (stage in there.get(name, set()))


@EVERY
def test_terms(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """The terms are shaped as that homeserver shapes them, and the handler reads them all."""
    uia_server.flows = [["m.login.terms"]]
    shown: list[handlers.Policy] = []

    account = homeserver.register("alice", "a password").authenticate(
        {"m.login.terms": handlers.terms(lambda policies: not shown.extend(policies))}
    )

    assert account["user_id"] == "@alice:example.org"
    assert [(policy.id, policy.version) for policy in shown] == [
        ("privacy_policy", None if name == "continuwuity" else "1.0")
    ]


@EVERY
def test_a_name_in_use(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """A name that is somebody's is refused before any stage; by Dendrite when all are completed."""
    uia_server.flows = [["m.login.dummy"]]
    uia_server.add_account("alice", "a password")
    request = homeserver.register("alice", "another password")

    first = refuse(request)
    refused = refuse(request, DUMMY, session=first.data["session"]) if name == "dendrite" else first

    assert (refused.http_status, refused.errcode) == (400, "M_USER_IN_USE")
    assert uia_server.accounts["alice"].password == "a password"


@EVERY
def test_creds_that_were_used(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """Where validated creds work once, there is an error the second time, beside the stage that stays completed."""
    uia_server.flows = [["m.login.email.identity", "m.login.dummy"]]
    request = homeserver.register("alice", "a password")
    sid = homeserver.request_email_token("register", ADDRESS, CLIENT_SECRET)["sid"]
    uia_server.complete("m.login.email.identity")
    auth = {"type": "m.login.email.identity", "threepid_creds": {"sid": sid, "client_secret": CLIENT_SECRET}}
    session = refuse(request).data["session"]

    first = refuse(request, auth, session=session)
    again = refuse(request, auth, session=session)

    assert first.data["completed"] == ["m.login.email.identity"]
    assert first.errcode is None
    twice = name in ("conduwuit", "tuwunel", "palpo")
    assert again.data["completed"] == ["m.login.email.identity"] * (2 if twice else 1)
    # Continuwuity does not look at what is completed.
    assert again.errcode == ("M_UNAUTHORIZED" if name == "synapse" else None)
    elsewhere = refuse(request, auth, session=refuse(request).data["session"])
    assert (elsewhere.errcode is not None) == (name in ("synapse", "continuwuity"))


@EVERY
def test_the_order_of_completion(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """Synapse has the completed stages in the order of the alphabet, others in that of their completion."""
    uia_server.flows = [["m.login.terms", "m.login.dummy", "m.login.password"]]
    request = homeserver.register("alice", "a password")
    session = refuse(request).data["session"]

    refuse(request, {"type": "m.login.terms"}, session=session)
    completed = refuse(request, DUMMY, session=session).data["completed"]

    assert completed == (sorted(completed) if name == "synapse" else ["m.login.terms", "m.login.dummy"])
    assert set(completed) == {"m.login.terms", "m.login.dummy"}


@EVERY
def test_a_session_for_another_request(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """Only Synapse looks whether a session is used for what it was opened for."""
    session = refuse(homeserver.delete_devices(["ONE"])).data["session"]
    other = homeserver.deactivate_account()

    if name == "synapse":
        assert refuse(other, PASSWORD, session=session).http_status == 403
    else:
        told = {} if name == "dendrite" else {"id_server_unbind_result": "success"}
        assert other({**PASSWORD, "session": session}) == told


@EVERY
def test_single_sign_on_by_its_type(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """An answer to single sign-on tells nothing; Synapse refuses it, and even after it was done on the page."""
    uia_server.flows = [["m.login.sso", "m.login.dummy"]]
    request = homeserver.register("alice", "a password")
    session = refuse(request).data["session"]

    open_still = refuse(request, {"type": "m.login.sso"}, session=session)
    uia_server.complete("m.login.sso")
    done = refuse(request, {"type": "m.login.sso"}, session=session)

    refused = 400 if name == "synapse" else 401
    assert (open_still.http_status, done.http_status) == (refused, refused)
    assert (open_still.data.get("completed") or []) == []
    if name != "synapse":
        assert done.data["completed"] == ["m.login.sso"]


@pytest.mark.parametrize("name", ["dendrite"])
def test_dendrites_one_shot_is_refused(homeserver: Homeserver) -> None:
    """Dendrite names no session in the refusal of an answer that named none, and null for what is completed."""
    refused = refuse(homeserver.delete_devices(["ONE"]), WRONG)

    assert (refused.errcode, refused.data["session"], refused.data["completed"]) == ("M_FORBIDDEN", "", None)


@pytest.mark.parametrize("name", ["dendrite"])
@pytest.mark.parametrize("session", [{}, {"session": "of-last-week"}], ids=["none", "unknown"])
def test_dendrite_wants_sessions_of_longer_flows(
    uia_server: UIAServer, homeserver: Homeserver, session: dict[str, str]
) -> None:
    """For a flow of more than one stage Dendrite would want a session that it knows."""
    uia_server.flows = [["m.login.password", "m.login.dummy"]]

    refused = refuse(homeserver.delete_devices(["ONE"]), PASSWORD, **session)

    assert (refused.http_status, refused.error) == (400, "The auth.session is missing or unknown.")


@EVERY
def test_a_stage_that_no_flow_has(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """Some complete it all the same, if there is nothing to it; others refuse it, and there is a session still."""
    request = homeserver.delete_devices(["ONE"])
    session = refuse(request).data["session"]

    completed = {}
    for stage in ("m.login.dummy", "m.login.terms"):
        refuse(request, {"type": stage}, session=session)
        completed[stage] = stage in uia_server.completed(session)

    assert completed == {
        "m.login.dummy": name in ("synapse", "conduwuit", "tuwunel", "palpo"),
        "m.login.terms": name == "tuwunel",
    }
    assert request({**PASSWORD, "session": session}) == {}


@EVERY
def test_a_stage_that_is_answered_twice(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """conduwuit, Tuwunel and Palpo count it twice."""
    uia_server.flows = [["m.login.dummy", "m.login.password"]]
    request = homeserver.register("alice", "a password")
    session = refuse(request).data["session"]

    refuse(request, DUMMY, session=session)
    completed = refuse(request, DUMMY, session=session).data["completed"]

    assert completed == ["m.login.dummy"] * (2 if name in ("conduwuit", "tuwunel", "palpo") else 1)


@EVERY
def test_a_completed_stage_that_is_answered_wrongly(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """It stays completed; there is an error all the same, but not on Continuwuity, which does not look."""
    uia_server.flows = [["m.login.password", "com.example.magic"]]
    request = homeserver.delete_devices(["ONE"])
    session = refuse(request).data["session"]
    refuse(request, PASSWORD, session=session)

    refused = refuse(request, WRONG, session=session)

    assert uia_server.completed(session) == ["m.login.password"]
    # Palpo's refusal of a password has no flows, and so nothing that is completed.
    assert refused.data.get("completed") == (None if name == "palpo" else ["m.login.password"])
    assert refused.errcode == {"continuwuity": None, "palpo": "M_UNAUTHORIZED"}.get(name, "M_FORBIDDEN")


@EVERY
def test_a_session_alone(uia_server: UIAServer, homeserver: Homeserver, name: str) -> None:
    """A session alone succeeds if all is done, but never on Dendrite and Continuwuity, which repeats an old error."""
    uia_server.flows = [["m.login.password"]]
    request = homeserver.delete_devices(["ONE"])
    session = refuse(request).data["session"]
    refuse(request, WRONG, session=session)

    still_open = refuse(request, {"session": session})
    uia_server.complete("m.login.password")

    assert still_open.errcode == {"dendrite": "M_BAD_JSON", "continuwuity": "M_FORBIDDEN"}.get(name)
    if name in ("dendrite", "continuwuity"):
        refused = refuse(request, {"session": session})
        assert refused.http_status == (400 if name == "dendrite" else 401)
        assert refused.data.get("completed") == (None if name == "dendrite" else ["m.login.password"])
    else:
        assert request({"session": session}) == {}


@EVERY
def test_an_unknown_session_with_an_answer(homeserver: Homeserver, name: str) -> None:
    """Dendrite does not care for the session of a flow of one stage, the others do."""
    request = homeserver.delete_devices(["ONE"])
    auth = {**PASSWORD, "session": "of-last-week"}

    if name == "dendrite":
        assert request(auth) == {}
    else:
        assert ("ession" in (refuse(request, auth).error or "")) == (name != "palpo")


@pytest.mark.parametrize("name", ["dendrite"])
def test_dendrites_other_endpoints_take_any_session(homeserver: Homeserver) -> None:
    """What is not known is taken for a new session, at the endpoints for passwords and keys."""
    keys = homeserver.upload_cross_signing_keys(master_key={"keys": {"ed25519:key": "key"}})

    for request in (homeserver.change_password("a new one"), keys):
        asked = refuse(request, {"session": "of-last-week"})
        assert (asked.data["session"], asked.data["completed"]) == ("of-last-week", [])
        assert refuse(request, {"type": "com.example.x"}).http_status == 401
        assert request({**PASSWORD, "session": "of-yesterday"}) == {}
        # It stays completed there, and the session alone is of no use all the same.
        assert refuse(request, {"session": "of-yesterday"}).data["completed"] == ["m.login.password"]


@EVERY
def test_the_session_of_a_refused_one_shot(homeserver: Homeserver, name: str) -> None:
    """The refusal of an answer without a session names one; conduwuit and Tuwunel have forgotten it already."""
    request = homeserver.delete_devices(["ONE"])
    refused = refuse(request, WRONG)

    if name == "palpo":  # whose refusal names none
        assert "session" not in refused.data
        return
    session = refused.data["session"]
    if name in ("conduwuit", "tuwunel"):
        assert refuse(request, PASSWORD, session=session).http_status == 403
    else:
        assert request({**PASSWORD, "session": session}) == {}


TOKEN, CAPTCHA = "m.login.registration_token", "m.login.recaptcha"
NOBODY = {"sid": "nobodys", "client_secret": "a-secret"}


@pytest.mark.parametrize(
    ("name", "auth", "status", "errcode", "words"),
    [
        ("synapse", WRONG, 401, "M_FORBIDDEN", "Invalid username or password"),
        ("synapse", {"type": TOKEN, "token": "x"}, 401, "M_UNAUTHORIZED", "Invalid registration token"),
        ("synapse", {"type": TOKEN}, 401, "M_MISSING_PARAM", "Missing registration token"),
        ("synapse", {"type": CAPTCHA, "response": "x"}, 401, "M_UNAUTHORIZED", "Captcha authentication failed"),
        ("synapse", {"type": CAPTCHA}, 401, "M_CAPTCHA_NEEDED", "Captcha response is required"),
        (
            "synapse",
            {"type": "m.login.msisdn", "threepid_creds": NOBODY},
            401,
            "M_UNAUTHORIZED",
            "Unable to get validated threepid",
        ),
        ("synapse", {"type": "m.login.password"}, 400, "M_INVALID_PARAM", "Invalid login submission"),
        ("synapse", {"type": "m.login.sso"}, 400, "M_INVALID_PARAM", "Invalid login submission"),
        ("synapse", {"type": "x.y.z"}, 400, "M_INVALID_PARAM", "Invalid login submission"),
        ("conduwuit", {"type": TOKEN, "token": "x"}, 401, "M_FORBIDDEN", "Invalid registration token."),
        ("continuwuity", {"type": TOKEN, "token": "x"}, 401, "M_FORBIDDEN", "Invalid registration token"),
        ("continuwuity", {"type": CAPTCHA, "response": "x"}, 401, "M_FORBIDDEN", "ReCaptcha verification failed"),
        ("tuwunel", {"type": TOKEN, "token": "x"}, 401, "M_FORBIDDEN", "Invalid registration token."),
    ],
)
def test_words(
    uia_server: UIAServer, homeserver: Homeserver, name: str, auth: Auth, status: int, errcode: str, words: str
) -> None:
    """Each homeserver has its own words for each stage; what may be tried again has the flows beside them."""
    uia_server.flows = [["m.login.password", TOKEN, CAPTCHA, "m.login.msisdn", "m.login.sso"]]
    request = homeserver.uia_request("POST", "/_matrix/client/v3/anything")
    session = refuse(request).data["session"]

    refused = refuse(request, auth, session=session)

    assert (refused.http_status, refused.errcode, refused.error) == (status, errcode, words)
    assert ("flows" in refused.data) == (status == 401)


@EVERY
@pytest.mark.parametrize(
    "auth",
    [
        {"type": "m.login.password", "identifier": {"type": "m.id.thirdparty"}, "password": "right"},
        {"type": "m.login.password", "identifier": {"type": "m.id.phone"}, "password": "right"},
    ],
    ids=["thirdparty", "phone"],
)
def test_identifiers(homeserver: Homeserver, name: str, auth: Auth) -> None:
    """Not everybody knows people by their addresses and phone numbers."""
    request = homeserver.delete_devices(["ONE"])
    by_phone = auth["identifier"]["type"] == "m.id.phone"
    unknown = {"dendrite": True, "conduwuit": True, "tuwunel": True, "palpo": True, "continuwuity": by_phone}
    errcodes = {"dendrite": "M_BAD_JSON", "palpo": "M_UNAUTHORIZED"}

    if unknown.get(name, False):
        assert refuse(request, auth).errcode == errcodes.get(name, "M_UNRECOGNIZED")
    else:
        assert request(auth) == {}


def test_quirks_of_ones_own(uia_server: UIAServer) -> None:
    """A homeserver that nobody has named can be played by its quirks."""
    uia_server.quirks = Quirks(unknown_session=Refusal(410, "M_GONE", "No {session} here"))
    with Homeserver(uia_server.base_url) as homeserver:
        refused = refuse(homeserver.register("alice"), {"session": "of-last-week"})

    assert (refused.http_status, refused.error) == (410, "No of-last-week here")


def test_unknown_quirks(uia_server: UIAServer) -> None:
    """A homeserver that is not known is refused with the names of those that are."""
    with pytest.raises(ValueError, match="one of synapse, dendrite, conduwuit, continuwuity, tuwunel, palpo"):
        uia_server.quirks = "conduit"
