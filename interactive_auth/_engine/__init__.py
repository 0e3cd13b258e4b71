"""The loop. What must not be here: HTTP, printing, prompting."""
