"""Register an account on a Matrix homeserver, and show each stage of the authentication as it happens.

python register.py                                          on a Synapse started for this, which is gone afterwards
python register.py --homeserver https://matrix.example.org  on any other homeserver; you answer for yourself
"""

from __future__ import annotations

import argparse
import getpass
import secrets
import signal
import sys
from collections.abc import Mapping
from typing import Any

import requests
from throwaway_synapse import TERMS, TOKEN, SynapseError, throwaway_synapse

from interactive_auth import Homeserver, InteractiveAuth, InteractiveAuthError, Stage, raise_for_matrix_error
from interactive_auth.handlers import Policy, Secret, registration_token, terms
from interactive_auth.homeserver import RegisterResponse

#: Ctrl-C, kill, and a terminal that is closed (which Windows does not tell).
STOPS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


def say(text: str) -> None:
    """Print at once, and without anything that a terminal would obey: some of the text is a server's."""
    print("".join(c if c.isprintable() else "?" for c in text), flush=True)


def ask(question: str, *, secret: bool = False, default: str = "") -> str:
    """Ask the person in the terminal until there is an answer."""
    if sys.stdin is None:
        raise EOFError
    read = getpass.getpass if secret and sys.stdin.isatty() else input
    while not (answer := read(question) or default):
        pass
    return answer


def sign_up(base_url: str, username: str, password: str, token: Secret, email: str | None, *, trusting: bool) -> str:
    """Register an account, make sure that it works, and return its user id."""
    with Homeserver(base_url) as homeserver:
        request = homeserver.register(username, password, initial_device_display_name="register.py")

        def do_request(auth: dict[str, Any] | None) -> RegisterResponse:
            if auth and auth.get("type") == "m.login.dummy":  # the one stage that no callback is asked for
                say("Stage m.login.dummy")
            return request(auth)

        def accept(policies: list[Policy]) -> bool:
            for policy in policies:
                say(f"  {policy.name}: {policy.url}")
            return trusting or ask("Do you accept this? [y/N] ", default="n").lower() in ("y", "yes")

        answers = {"m.login.registration_token": registration_token(token), "m.login.terms": terms(accept)}

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

        account = InteractiveAuth(
            do_request,
            start_auth_stage,
            inputs={"email_address": email or ""},
            request_email_token=request.request_email_token,
        ).attempt_auth()

    headers = {"Authorization": f"Bearer {account.get('access_token')}"}
    response = requests.get(f"{base_url}/_matrix/client/v3/account/whoami", headers=headers, timeout=30)
    say(f"The new access token is that of {raise_for_matrix_error(response).get('user_id')}")
    return account["user_id"]


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Register on a Synapse that wants a registration token, which is made here, and the terms to be accepted."""
    say("Starting Synapse")
    with throwaway_synapse(TOKEN, TERMS, port=options.port) as synapse:
        token = secrets.token_hex(8)
        synapse.add_registration_token(token, uses_allowed=1)
        say(f"Synapse listens at {synapse.base_url}, and lets those in who have the token {token}")
        username, password = options.username or "alice", secrets.token_urlsafe()
        return sign_up(synapse.base_url, username, password, options.token or token, options.email, trusting=True)


def on_homeserver(options: argparse.Namespace) -> str:
    """Register on a homeserver of the person's choice, who is asked for whatever it wants."""
    username = options.username or ask("User name: ")
    password = ask("Password: ", secret=True)
    token = options.token or (lambda: ask("Registration token: ", secret=True))
    return sign_up(options.homeserver.rstrip("/"), username, password, token, options.email, trusting=False)


def interrupt(*_: object) -> None:
    """End the program in good order, and undisturbed: Synapse has to be stopped, and its folder removed."""
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> str | None:
    """Return the reason why nothing came of it, None if all is well."""
    parser = argparse.ArgumentParser(description="Register an account on a Matrix homeserver.")
    parser.add_argument("--homeserver", metavar="URL", help="where to register; a Synapse is started if not given")
    parser.add_argument("--port", type=int, help="the port that this Synapse listens on; a free one if not given")
    parser.add_argument("--token", help="the registration token to submit")
    parser.add_argument("--username", metavar="NAME", help="the part of the user id before the colon")
    parser.add_argument("--email", metavar="ADDRESS", help="an address to register with; it gets a mail")
    options = parser.parse_args()
    for stop in STOPS:
        if signal.getsignal(stop) != signal.SIG_IGN:  # as nohup has it
            signal.signal(stop, interrupt)
    try:
        say(on_homeserver(options) if options.homeserver else on_throwaway_synapse(options))
    except KeyboardInterrupt:
        print("register.py: interrupted", file=sys.stderr)
        sys.exit(130)
    except EOFError:
        return "register.py: there is a question, and nobody at the standard input to answer it"
    except (InteractiveAuthError, SynapseError, OSError, ValueError) as error:
        return f"register.py: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main())
