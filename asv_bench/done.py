"""A plugin of asv's: `asv run` ends with a line that says it is done, and whether every benchmark worked."""

import time
from typing import Any

from asv.commands.run import Run
from asv.console import log


def setup() -> None:
    asvs_own = Run.run_from_conf_args

    def run(*given: Any, **named: Any) -> Any:
        start = time.perf_counter()
        failed = asvs_own(*given, **named)
        outcome = "some benchmarks failed, see above" if failed else "every benchmark worked"
        # asv's last line waits for its end.
        log.flush()
        print(f"done in {time.perf_counter() - start:.0f} s: {outcome}")
        return failed

    Run.run_from_conf_args = run
