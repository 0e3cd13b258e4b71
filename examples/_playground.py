"""Run a homeserver to play with (Synapse, on this machine) until Ctrl-C; then it forgets everything.

It is what throwaway_synapse.py does when it is run.
"""

from __future__ import annotations

import argparse
import secrets

from _common import arguments, run, say
from throwaway_services import MailServer, mail_server
from throwaway_synapse import OPEN, TERMS, TOKEN, Config, throwaway_synapse


class ShownMail(MailServer):
    """A mail server that shows what it is sent."""

    def put(self, address: str, text: str) -> None:
        """Deliver a mail, and show it."""
        super().put(address, text)
        say(f"Mail to {address}:")
        for line in filter(str.strip, text.splitlines()):
            say(f"  {line.strip()}")


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Run it until somebody stops it."""
    say("Starting Synapse; it takes a few seconds.")
    demands: list[Config] = [OPEN if options.no_token else TOKEN]
    if options.terms:
        demands.append(TERMS)
    if options.email:
        demands.append({"registrations_require_3pid": ["email"]})
    with (
        mail_server(ShownMail()) as mails,
        throwaway_synapse(mails.config(), *demands, port=options.port) as synapse,
    ):
        password = secrets.token_urlsafe(9)
        alice = synapse.add_user("alice", password)
        say(f"The homeserver is at   {synapse.base_url}")
        if not options.no_token:
            token = secrets.token_hex(4)
            synapse.add_registration_token(token)
            say(f"Registration token     {token}")
        say(f"An account             {alice['user_id']}")
        say(f"  its password         {password}")
        say(f"  its access token     {alice['access_token']}")
        say("Mails are shown here. Try, in another terminal:")
        for command in ("register", "add-email", "change-password", "delete-devices", "deactivate"):
            say(f"  python -m interactive_auth {command} --homeserver {synapse.base_url}")
        say(f"  python examples/register_with_email.py --homeserver {synapse.base_url}")
        say("Ctrl-C stops it.")
        try:
            synapse.wait()
        except KeyboardInterrupt:
            say("Stopping")
    return "The homeserver and all of its accounts are gone"


def main() -> None:
    """Run a homeserver as a program."""
    parser = arguments(__doc__)
    parser.add_argument("--port", type=int, help="the port that it listens on; a free one by default")
    parser.add_argument("--no-token", action="store_true", help="let people register without a token")
    parser.add_argument("--terms", action="store_true", help="want the terms of service to be accepted")
    parser.add_argument("--email", action="store_true", help="want an email address; the mails are shown")
    run(parser, on_throwaway_synapse)
