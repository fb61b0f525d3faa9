"""Documents, when they have left the monolith: its app as it was, with a database of its
own. What it shares with the monolith is the `land` package, as a library."""
