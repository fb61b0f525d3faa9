"""Changes random contracts at a steady rate, without going through HTTP."""

import collections
import json
import signal
import time
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from contracts.background import Outcome, touch_random_contract
from contracts.representation import time_as_json

# After an error that may last, such as a database that is starting.
FAILED_PAUSE_SECONDS = 0.2

ENDING = {signal.SIGTERM, signal.SIGINT}


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("--rate", type=float, default=20, help="writes per second")
        parser.add_argument("--seconds", type=float, default=0, help="0 means until SIGTERM")
        parser.add_argument("--record", required=True, metavar="FILE", help="one JSON line a write")
        parser.add_argument("--prefix", default="cron", help="of the writes' references")
        parser.add_argument(
            "--refused-pause", type=float, default=0.2, metavar="SECONDS",
            help="wait after a write that was refused",
        )  # fmt: skip

    def handle(self, *, rate, seconds, record, prefix, refused_pause, **options):
        if rate <= 0:
            raise CommandError("--rate must be more than 0.")
        # Asked for between two writes, so that none is cut short. (A handler
        # that sets an Event may wait for ever for the lock of its own wait.)
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        pauses = {Outcome.REFUSED: refused_pause, Outcome.FAILED: FAILED_PAUSE_SECONDS}
        pauses[Outcome.UNKNOWN] = FAILED_PAUSE_SECONDS

        path, outcomes = Path(record), collections.Counter()
        # A second run with the same file goes on counting, so that references
        # stay unique.
        number = len(path.read_bytes().splitlines()) if path.exists() else 0
        ends_at = time.monotonic() + seconds if seconds else float("inf")
        next_at = time.monotonic()
        with path.open("a", encoding="utf-8") as lines:
            ended = False
            while not ended and time.monotonic() < ends_at:
                number += 1
                outcome = write_and_record(f"{prefix}-{number}", lines)
                outcomes[outcome] += 1
                # A slow write is not caught up with: the rate is a maximum.
                next_at = max(next_at + 1 / rate, time.monotonic() + pauses.get(outcome, 0))
                pause = max(0, min(next_at, ends_at) - time.monotonic())
                ended = signal.sigtimedwait(ENDING, pause) is not None

        counts = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in Outcome)
        self.stdout.write(f"touch_contracts: {counts}")


def write_and_record(reference, lines):
    started = time.monotonic()
    contract_id, outcome, error = touch_random_contract(reference)
    line = {
        "reference": reference,
        "contract": contract_id,
        "outcome": outcome,
        "at": time_as_json(timezone.now()),
        "ms": round((time.monotonic() - started) * 1000, 2),
    }
    if error:
        line["error"] = error
    lines.write(json.dumps(line) + "\n")
    lines.flush()
    return outcome
