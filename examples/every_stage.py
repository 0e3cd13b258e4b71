"""Register on a homeserver that demands everything at once: token, captcha, terms, phone number and email address.

It starts such a homeserver, with a mail server and an SMS gateway to send through, and plays the person, too: it
reads the mail and the SMS, and prints each step. Needs ``pip install '.[examples]'``.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Mapping
from typing import Any

import requests
from throwaway_services import MailServer, captcha_verifier, mail_server, sms_gateway
from throwaway_synapse import TERMS, TOKEN, SynapseError, throwaway_synapse

from interactive_auth import Homeserver, InteractiveAuth, InteractiveAuthError, Stage, handlers

TOKEN_TEXT = "please-let-me-in"
CAPTCHA_RESPONSE = "i-am-no-robot"
ADDRESS = "alice@example.org"


def main() -> str:
    """Register, and return the new user id."""
    with contextlib.ExitStack() as running:
        mails, texts = running.enter_context(mail_server(MailServer())), running.enter_context(sms_gateway())
        captcha = running.enter_context(captcha_verifier(CAPTCHA_RESPONSE))
        both = {"registrations_require_3pid": ["email", "msisdn"]}
        parts = (TOKEN, TERMS, captcha, mails.config(), texts.config(), both)
        synapse = running.enter_context(throwaway_synapse(*parts))
        synapse.add_registration_token(TOKEN_TEXT)
        homeserver = running.enter_context(Homeserver(synapse.base_url))
        print(f"A homeserver that demands everything is up at {synapse.base_url}")

        def solve(site_key: str, fallback_url: str) -> str:
            print(f"  the captcha has the site key {site_key}, and a page at {fallback_url}")
            return CAPTCHA_RESPONSE

        def accept(policies: list[handlers.Policy]) -> bool:
            for policy in policies:
                print(f"  accepting {policy.name}, {policy.url}")
            return True

        def read_sms() -> str:
            code = texts.wait("447700900001")
            print(f"  the SMS says {code}")
            return code

        def read_mail() -> None:
            link = mails.wait_for_link(ADDRESS)
            print(f"  opening the link in the mail: {link.partition('?')[0]}")
            requests.get(link, timeout=30).raise_for_status()

        stages = {
            "m.login.registration_token": handlers.registration_token(TOKEN_TEXT),
            "m.login.recaptcha": handlers.recaptcha(solve, homeserver),
            "m.login.terms": handlers.terms(accept),
            "m.login.msisdn": handlers.msisdn(read_sms, homeserver),
            "m.login.email.identity": handlers.email(read_mail),
        }

        def announce(stage: Stage) -> Mapping[str, Any] | None:
            print(f"Step {stage.flow.index(stage.type) + 1} of {len(stage.flow)}: {stage.type}")
            return stages[stage.type](stage)

        request = homeserver.register("alice", secrets.token_urlsafe())
        auth = InteractiveAuth(
            request,
            dict.fromkeys(stages, announce),
            inputs={"email_address": ADDRESS, "phone_country": "GB", "phone_number": "07700900001"},
            poll_interval=0.2,
        )
        account = auth.attempt_auth()

        whoami = {"Authorization": f"Bearer {account.get('access_token')}"}
        answer = requests.get(f"{synapse.base_url}/_matrix/client/v3/account/whoami", headers=whoami, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["user_id"])


if __name__ == "__main__":
    try:
        print(main())
    except (SynapseError, InteractiveAuthError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
