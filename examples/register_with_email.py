"""Register an account with an email address, which is validated by a mailed link.

python register_with_email.py                           on a Synapse started for this, and played
python register_with_email.py --homeserver example.org  on any other homeserver; it asks you
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping

from _common import arguments, ask, check_offered, run, say, throwaway

from interactive_auth import Homeserver, StartAuthStage, console, handlers

ADDRESS = "alice@example.org"


def register(
    homeserver: Homeserver, username: str, password: str, address: str, stages: Mapping[str, StartAuthStage]
) -> str:
    """Register, and return the user id; nobody is logged in yet."""
    request = homeserver.register(username, password, inhibit_login=True)
    # The address makes a flow with the email stage the one to go, and the mail is sent before anybody is asked.
    account = request.authenticate(stages, inputs={"email_address": address})
    return account["user_id"]


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Register where it takes an email address."""
    demands = {"enable_registration": True, "registrations_require_3pid": ["email"]}
    with throwaway(demands) as (synapse, mails), Homeserver(synapse.base_url) as homeserver:

        def open_link() -> None:
            mails.open_link(ADDRESS)
            say("The link in the mail was opened; the homeserver is asked every two seconds whether it was")

        stages = {"m.login.email.identity": handlers.email(open_link)}
        user_id = register(homeserver, "alice", secrets.token_urlsafe(), ADDRESS, stages)
        found = synapse.admin("GET", f"/_synapse/admin/v1/threepid/email/users/{ADDRESS}")
        say(f"{ADDRESS} is on the account {found['user_id']}")
        return f"{user_id} is registered"


def on_homeserver(options: argparse.Namespace) -> str:
    """Register where the person likes, who opens the link and is asked for whatever else it takes."""
    with Homeserver(options.homeserver) as homeserver:
        check_offered(homeserver, "register")
        username, password = ask("User name: "), ask("Password: ", secret=True)
        address = ask("Email address: ")
        return f"{register(homeserver, username, password, address, console.handlers(homeserver))} is registered"


if __name__ == "__main__":
    run(arguments(__doc__), on_throwaway_synapse, on_homeserver)
