"""The pages that do a stage of the scripted homeserver (``testing``; client-server API, "Fallback").

What must not be here: what pressing the button does.
"""

PAGE = b"""<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>One step</title>
<form method="post"><button id="do">Do it</button></form></html>"""
DONE_PAGE = b"""<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Done</title><p>Done.</p><script>
if (window.onAuthDone) window.onAuthDone();
else if (window.opener && window.opener.postMessage) window.opener.postMessage("authDone", "*");
</script></html>"""
