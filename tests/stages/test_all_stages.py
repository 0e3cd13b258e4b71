"""Registration token, captcha, terms, phone number and email address, all demanded in one flow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.accounts import Connect, Person, Watched, account_of, addresses_of, new_token, owner
from throwaway_services import MailServer, SmsGateway
from throwaway_synapse import SERVER_NAME, TERMS, TOKEN, Config, Synapse, throwaway_synapse

from interactive_auth import InteractiveAuth, NoAuthFlowFoundError, Stage, StartAuthStage, handlers

EXAMPLES = Path(__file__).parents[2] / "examples"
FLOW = (
    "m.login.registration_token",
    "m.login.recaptcha",
    "m.login.terms",
    "m.login.msisdn",
    "m.login.email.identity",
)


@pytest.fixture(scope="module")
def strict_server(captcha_config: Config, mails: MailServer, texts: SmsGateway) -> Iterator[Synapse]:
    """Run a homeserver that demands everything."""
    both = {"registrations_require_3pid": ["email", "msisdn"]}
    with throwaway_synapse(TOKEN, TERMS, captcha_config, mails.config(), texts.config(), both) as running:
        yield running


@pytest.fixture
def inputs(new: Person) -> Any:
    return {"email_address": new.address, "phone_country": "GB", "phone_number": new.number}


@pytest.fixture
def right_answers(
    strict_server: Synapse,
    connect: Connect,
    captcha_response: str,
    open_link: Callable[..., None],
    texts: SmsGateway,
    new: Person,
) -> dict[str, StartAuthStage]:
    """What a person who makes no mistakes answers."""
    return {
        "m.login.registration_token": handlers.registration_token(new_token(strict_server)),
        "m.login.recaptcha": handlers.recaptcha(lambda site_key: captcha_response),
        "m.login.terms": handlers.terms(lambda policies: True),
        "m.login.msisdn": handlers.msisdn(lambda: texts.wait(new.international), connect(strict_server.base_url)),
        "m.login.email.identity": handlers.email(open_link),
    }


def test_all_stages_in_one_flow_each_asked_once_and_in_order(
    strict_server: Synapse,
    connect: Connect,
    right_answers: dict[str, StartAuthStage],
    watched: Watched,
    inputs: Any,
    new: Person,
) -> None:
    """Each stage is asked for once, in the server's order, and the account has all that was given."""
    request = connect(strict_server.base_url).register(new.name, new.password)

    account = request.authenticate(watched(right_answers), inputs=inputs, poll_interval=0.1, poll_timeout=20.0)

    assert owner(strict_server, account) == new.user_id
    assert addresses_of(strict_server, new.user_id) == {("email", new.address), ("msisdn", new.international)}
    assert account_of(strict_server, new.user_id)["consent_version"] == "1.0"
    assert tuple(stage.type for stage in watched.seen) == FLOW
    assert [stage.flow for stage in watched.seen] == [FLOW] * 5
    assert [set(stage.completed) for stage in watched.seen] == [set(FLOW[:count]) for count in range(5)]
    assert len({stage.session for stage in watched.seen}) == 1


def test_wrong_answer_to_each_stage_leads_back_to_that_stage_alone(
    strict_server: Synapse,
    connect: Connect,
    right_answers: dict[str, StartAuthStage],
    watched: Watched,
    inputs: Any,
    new: Person,
) -> None:
    """Every stage but the terms, which cannot be answered wrongly, is asked again after an error, and only that."""
    wrong: dict[str, Mapping[str, Any]] = {
        "m.login.registration_token": {"token": "no-such-token"},
        "m.login.recaptcha": {"response": "i-am-a-robot"},
        "m.login.msisdn": {"threepid_creds": {"sid": "no-such-sid", "client_secret": "no-secret"}},
        "m.login.email.identity": {"threepid_creds": {"sid": "no-such-sid", "client_secret": "no-secret"}},
    }

    def err_first(stage: Stage) -> Mapping[str, Any] | None:
        mistake = wrong.pop(stage.type, None)
        return right_answers[stage.type](stage) if mistake is None else {"type": stage.type, **mistake}

    request = connect(strict_server.base_url).register(new.name, new.password)

    account = request.authenticate(
        watched(dict.fromkeys(FLOW, err_first)), inputs=inputs, poll_interval=0.1, poll_timeout=20.0
    )

    assert owner(strict_server, account) == new.user_id
    told = [(stage.type, stage.attempt, stage.error and stage.error.errcode) for stage in watched.seen]
    assert told == [
        ("m.login.registration_token", 1, None),
        ("m.login.registration_token", 2, "M_UNAUTHORIZED"),
        ("m.login.recaptcha", 1, None),
        ("m.login.recaptcha", 2, "M_UNAUTHORIZED"),
        ("m.login.terms", 1, None),
        ("m.login.msisdn", 1, None),
        ("m.login.msisdn", 2, "M_UNAUTHORIZED"),
        ("m.login.email.identity", 1, None),
        ("m.login.email.identity", 2, "M_UNAUTHORIZED"),
    ]


def test_stage_without_a_callback_is_noticed_before_anybody_is_asked(
    strict_server: Synapse,
    connect: Connect,
    right_answers: dict[str, StartAuthStage],
    watched: Watched,
    mails: MailServer,
    texts: SmsGateway,
    inputs: Any,
    new: Person,
) -> None:
    """A mapping that lacks one of the stages is refused with the stage's name: nobody is asked, nothing is sent."""
    del right_answers["m.login.terms"]
    request = connect(strict_server.base_url).register(new.name, new.password)
    auth = InteractiveAuth(
        request,
        watched(right_answers),
        inputs=inputs,
    )

    with pytest.raises(NoAuthFlowFoundError, match=r"m\.login\.terms"):
        auth.attempt_auth()

    assert watched.seen == []
    assert (mails.count(new.address), texts.count(new.international)) == (0, 0)


def test_example_registers_through_all_stages() -> None:
    """examples/every_stage.py walks the five stages in order, and its last line says who is registered."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "every_stage.py")], capture_output=True, text=True, timeout=120, check=False
    )

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in lines if line.startswith("Stage ")] == [
        f"Stage {number} of 5: {stage}" for number, stage in enumerate(FLOW, 1)
    ]
    assert lines[-1] == f"@alice:{SERVER_NAME} is registered"
