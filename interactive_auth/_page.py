"""The page that ``browser`` serves: its HTML, what it says in each state, and the headers it is sent with.

What must not be here: servers, threads, and anything that knows an attempt. The page draws itself from its news, a JSON
object, of which it gets another one whenever something has changed. It changes in place and never reloads: the program
may have gone meanwhile, and another page may be about to say that it is done.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from html import escape
from string import Template
from typing import TypedDict

from typing_extensions import NotRequired


class News(TypedDict):
    """What the page shows.

    Attributes:
        state: "step" while a step is to be done, "next" when another one may follow, "done" or "stopped" at the end.
        title: the heading, and the title of the tab.
        text: what there is to be known.
        name: the step that is to be done, empty if none is.
        error: why the step is to be done again, empty if it is not.
        url: the homeserver's page that does the step.
    """

    state: str
    title: str
    text: str
    name: NotRequired[str]
    error: NotRequired[str]
    url: NotRequired[str]


#: When a step is over and others are left, which may or may not be for the browser.
NEXT = News(state="next", title="One moment", text="This step is over. The program goes on.")
#: When no step is left. Only the program knows what has come of the request.
DONE = News(
    state="done",
    title="Done",
    text="Nothing is left to do here. The program says how it went. You can close this page.",
)
#: When the program does not answer any more before a step is over.
STOPPED = News(
    state="stopped",
    title="Stopped",
    text="The program has ended, or waits for this step no longer. See there what to do next. You can close this page.",
)


def step(name: str, host: str, url: str, error: str) -> News:
    """Return the news that a step is to be done.

    Args:
        name: what the stage is called before a person.
        host: which homeserver asks for it.
        url: the homeserver's page.
        error: why the server has refused it before, empty if it has not.
    """
    return News(
        state="step",
        title=f"To do: {name}",
        text=f"{host} asks for this step. It is done on a page of its own.",
        name=name,
        error=error and f"The server said: {error}",
        url=url,
    )


def render(news: News, number: int) -> tuple[bytes, dict[str, str]]:
    """Return the page and its headers.

    Args:
        news: what it shows at first.
        number: the number of these news.
    """
    nonce = secrets.token_urlsafe(16)
    page = _PAGE.substitute(
        nonce=nonce,
        title=escape(news["title"]),
        url=escape(news.get("url", "")),
        news=_in_script(news),
        number=number,
        done=_in_script(DONE),
        stopped=_in_script(STOPPED),
    )
    return page.encode(), _headers(nonce)


def taken() -> tuple[bytes, dict[str, str]]:
    """Return what those are shown who come second, and its headers."""
    return _TAKEN, _headers(secrets.token_urlsafe(16))


def _headers(nonce: str) -> dict[str, str]:
    return {name: value.format(nonce=nonce) for name, value in _HEADERS.items()}


def _in_script(value: Mapping[str, object]) -> str:
    """Return JSON as a script's literal, which cannot end the script."""
    return json.dumps(value).replace("<", "\\u003c")


_HEADERS: Mapping[str, str] = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    # The homeserver's page is not told where it was opened from.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style nonce="$nonce">
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1e21; --accent: #0b57d0; --on-accent: #fff; --bad: #b3261e;
  font: 1.0625rem/1.55 system-ui, sans-serif; background: var(--paper); color: var(--ink); }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #e6e8ea; --accent: #a8c7fa; --on-accent: #062e6f; --bad: #f2b8b5; } }
body { max-width: 34rem; margin: 12vh auto 2rem; padding: 0 1.25rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 1rem; }
h1, p { overflow-wrap: anywhere; }
a { color: var(--accent); }
button { font: inherit; font-weight: 600; padding: .65rem 1.5rem; border: 0; border-radius: .5rem; cursor: pointer;
  background: var(--accent); color: var(--on-accent); }
:focus-visible { outline: .2rem solid var(--accent); outline-offset: .2rem; border-radius: .5rem; }
#error { color: var(--bad); }
p:empty { display: none; }
</style>
<main aria-live="polite">
<h1 id="title"></h1>
<p id="error"></p>
<p id="what"></p>
<div id="act" hidden>
<p><button id="open" autofocus>Open the page</button></p>
<p id="state"></p>
<p>If nothing opens, follow this link: <a id="link" target="_blank" rel="opener"></a></p>
</div>
</main>
<noscript><p>Follow this link: <a href="$url" target="_blank">$url</a></p></noscript>
<script nonce="$nonce">
"use strict";
const part = id => document.getElementById(id);
const pause = seconds => new Promise(resolve => setTimeout(resolve, 1000 * seconds));
let news = $news, number = $number;

function draw(title, text, act) {
  document.title = part("title").textContent = title;
  part("what").textContent = text;
  part("error").textContent = act && news.error || "";
  part("act").hidden = !act;
}
function tell(fresh) {
  news = fresh;
  part("state").textContent = "";
  part("link").textContent = part("link").href = news.url || "about:blank";
  draw(news.title, news.text, Boolean(news.url));
  if (news.url) part("open").focus();
}
async function ask(path) {
  const answer = await fetch(location.pathname + path, { method: "POST" }).catch(() => null);
  return answer && answer.ok ? answer : null;
}
async function follow() {
  for (let failed = 0; failed < 2 ;) {
    const answer = await ask("/" + number);
    const fresh = answer && await answer.json().catch(() => null);
    if (!fresh) {
      failed += 1;
      await pause(.3);
      continue;
    }
    failed = 0;
    if (fresh.number !== number) {
      number = fresh.number;
      tell(fresh.news);
    }
  }
  if (news.state === "step") tell($stopped);
  if (news.state === "next") tell($done);
}
part("open").onclick = () => {
  const popup = window.open(news.url, "stage", "popup,width=640,height=760");
  if (popup) document.title = part("title").textContent = "Under way: " + news.name;
  part("state").textContent = popup
    ? "Go on in the other window. This page notices when you are done there."
    : "The browser let no window open: follow the link below.";
};
window.addEventListener("message", async event => {
  if (news.state !== "step" || event.origin !== new URL(news.url).origin || event.data !== "authDone") return;
  const before = number;
  draw("Checking: " + news.name, "The program asks the server whether this step is done.", false);
  await ask("");
  if (event.source) event.source.close();
  await pause(4);
  if (number !== before || news.state !== "step") return;
  draw(news.title, news.text, true);
  part("state").textContent = "The server does not say that this step is done. You can open the page again.";
});
tell(news);
follow();
</script>
</html>
""")

_TAKEN = b"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Opened before</title>
<p>This page was opened before. If that was not you, somebody else on this machine has seen it: end the program, and
begin again. If it was, go on there, or at the address that the program shows.</p>
</html>
"""
