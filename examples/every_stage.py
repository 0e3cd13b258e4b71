"""Register on a homeserver that demands everything at once: token, captcha, terms, phone number and email address.

python every_stage.py

It starts such a homeserver, with a mail server and an SMS gateway to send through, and plays the person, too: it
reads the mail and the SMS.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets

from _common import accept, announced, arguments, run, say, throwaway
from throwaway_services import captcha_verifier, sms_gateway
from throwaway_synapse import TERMS, TOKEN

from interactive_auth import Homeserver, handlers

TOKEN_TEXT = "please-let-me-in"
CAPTCHA_RESPONSE = "i-am-not-a-robot"
ADDRESS = "alice@example.org"


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Register where it takes five stages."""
    with contextlib.ExitStack() as running:
        texts = running.enter_context(sms_gateway())
        captcha = running.enter_context(captcha_verifier(CAPTCHA_RESPONSE))
        both = {"registrations_require_3pid": ["email", "msisdn"]}
        synapse, mails = running.enter_context(throwaway(TOKEN, TERMS, captcha, texts.config(), both))
        synapse.add_registration_token(TOKEN_TEXT)
        homeserver = running.enter_context(Homeserver(synapse.base_url))

        def solve(site_key: str, fallback_url: str) -> str:
            say(f"  the captcha has the site key {site_key}, and a page at {fallback_url}")
            return CAPTCHA_RESPONSE

        def read_sms() -> str:
            code = texts.wait("447700900001")
            say(f"  the SMS says {code}")
            return code

        def read_mail() -> None:
            say(f"  opening the link in the mail: {mails.wait_for_link(ADDRESS).partition('?')[0]}")
            mails.open_link(ADDRESS)

        stages = {
            "m.login.registration_token": handlers.registration_token(TOKEN_TEXT),
            "m.login.recaptcha": handlers.recaptcha(solve, homeserver),
            "m.login.terms": handlers.terms(accept),
            "m.login.msisdn": handlers.msisdn(read_sms, homeserver),
            "m.login.email.identity": handlers.email(read_mail),
        }

        account = homeserver.register("alice", secrets.token_urlsafe()).authenticate(
            announced(stages),
            inputs={"email_address": ADDRESS, "phone_country": "GB", "phone_number": "07700900001"},
            poll_interval=0.2,
        )
        homeserver.access_token = account.get("access_token")
        return f"{homeserver.whoami()['user_id']} is registered"


if __name__ == "__main__":
    run(arguments(__doc__), on_throwaway_synapse)
