"""Reset a forgotten password by a link that is mailed to an address of the account.

python reset_password.py                           on a Synapse started for this, as its user alice
python reset_password.py --homeserver example.org  on any other homeserver, as yourself
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping

from _common import arguments, ask, check_offered, run, say, throwaway

from interactive_auth import Homeserver, StartAuthStage, console, handlers

ADDRESS = "alice@example.org"


def reset_password(
    homeserver: Homeserver, address: str, new_password: str, stages: Mapping[str, StartAuthStage]
) -> None:
    """Reset the password of the account that has the address; the homeserver object is logged in to none."""
    homeserver.change_password(new_password).authenticate(stages, inputs={"email_address": address})


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Reset the password of an account made for this."""
    with throwaway() as (synapse, mails), Homeserver(synapse.base_url) as homeserver:
        forgotten, new = secrets.token_urlsafe(), secrets.token_urlsafe()
        user_id = synapse.add_user("alice", forgotten)["user_id"]
        threepid = {"medium": "email", "address": ADDRESS}
        synapse.admin("PUT", f"/_synapse/admin/v2/users/{user_id}", {"threepids": [threepid]})

        def open_link() -> None:
            mails.open_link(ADDRESS)
            say("The link in the mail was opened, and the button on its page pressed")

        reset_password(homeserver, ADDRESS, new, {"m.login.email.identity": handlers.email(open_link)})
        for name, password in (("forgotten", forgotten), ("new", new)):
            say(f"The {name} password {'works' if synapse.can_log_in('alice', password) else 'does not work'}")
    return "The password was reset"


def on_homeserver(options: argparse.Namespace) -> str:
    """Reset the person's password."""
    with Homeserver(options.homeserver) as homeserver:
        check_offered(homeserver, "account/password")
        address, new = ask("Email address of the account: "), ask("New password: ", secret=True)
        reset_password(homeserver, address, new, console.handlers(homeserver))
    return "The password was reset, and all devices were logged out"


if __name__ == "__main__":
    run(arguments(__doc__), on_throwaway_synapse, on_homeserver)
