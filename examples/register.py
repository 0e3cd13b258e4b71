"""Register an account on a Matrix homeserver, and show each stage of the authentication as it happens.

python register.py                                          on a Synapse started for this, which is gone afterwards
python register.py --homeserver https://matrix.example.org  on any other homeserver; you answer for yourself
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping
from typing import Any

from _common import agrees, arguments, ask, call, run, say
from throwaway_synapse import TERMS, TOKEN, throwaway_synapse

from interactive_auth import Homeserver, Inputs, InteractiveAuth, Stage, handlers
from interactive_auth.homeserver import RegisterResponse


def sign_up(base_url: str, username: str, password: str, token: handlers.Secret, email: str | None, ok: bool) -> str:
    """Register an account, make sure that it works, and return its user id; if ``ok``, any terms are accepted."""
    with Homeserver(base_url) as homeserver:
        request = homeserver.register(username, password, initial_device_display_name="register.py")

        def do_request(auth: dict[str, Any] | None) -> RegisterResponse:
            if auth and auth.get("type") == "m.login.dummy":  # the one stage that no callback is asked for
                say("Stage m.login.dummy")
            return request(auth)

        def accept(policies: list[handlers.Policy]) -> bool:
            for policy in policies:
                say(f"  {policy.name}: {policy.url}")
            return ok or agrees("Do you accept this?")

        answers = {
            "m.login.registration_token": handlers.registration_token(token),
            "m.login.terms": handlers.terms(accept),
        }

        def start_auth_stage(stage: Stage) -> Mapping[str, Any] | None:
            say(f"Stage {stage.type}")
            if stage.error is not None:
                say(f"  The homeserver refused the last answer: {stage.error}")
            if stage.type in answers:
                return answers[stage.type](stage)
            if stage.type == "m.login.email.identity":
                say(f"  Open the link in the mail to {email}.")
            elif stage.session is not None:
                say("  Open this page in a browser, and do what it says:")
                say(homeserver.fallback_url(stage.type, stage.session))
            return None  # it is done elsewhere: wait, and ask the homeserver every two seconds

        inputs: Inputs = {"email_address": email or ""}
        mail = request.request_email_token
        account = InteractiveAuth(do_request, start_auth_stage, inputs=inputs, request_email_token=mail).attempt_auth()
        homeserver.access_token = account.get("access_token")
        say(f"The new access token is that of {call(homeserver, 'GET', 'account/whoami').get('user_id')}")
        return account["user_id"]


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Register on a Synapse that wants a registration token, which is made here, and the terms to be accepted."""
    say("Starting Synapse")
    with throwaway_synapse(TOKEN, TERMS, port=options.port) as synapse:
        token = secrets.token_hex(8)
        synapse.add_registration_token(token, uses_allowed=1)
        say(f"Synapse listens at {synapse.base_url}, and lets those in who have the token {token}")
        username, password = options.username or "alice", secrets.token_urlsafe()
        return sign_up(synapse.base_url, username, password, options.token or token, options.email, ok=True)


def on_homeserver(options: argparse.Namespace) -> str:
    """Register on a homeserver of the person's choice, who is asked for whatever it wants."""
    username = options.username or ask("User name: ")
    password = ask("Password: ", secret=True)
    token = options.token or (lambda: ask("Registration token: ", secret=True))
    return sign_up(options.homeserver, username, password, token, options.email, ok=False)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--port", type=int, help="the port that a Synapse of its own listens on; a free one by default")
    parser.add_argument("--token", help="the registration token to submit")
    parser.add_argument("--username", metavar="NAME", help="the part of the user id before the colon")
    parser.add_argument("--email", metavar="ADDRESS", help="an address to register with; it gets a mail")
    run(parser, on_throwaway_synapse, on_homeserver)
