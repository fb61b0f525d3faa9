#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "land.settings")
    # PostgreSQL shows this name for every connection, so that an operator can
    # tell the background writer from the web workers.
    background = "touch_contracts" in sys.argv[1:2]
    name = "land-contracts-cron" if background else "land-contracts-manage"
    os.environ.setdefault("APPLICATION_NAME", name)

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
