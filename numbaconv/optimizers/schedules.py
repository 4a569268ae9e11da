"""`numbaconv.schedules`, where Keras has it."""

import sys

from .. import schedules
from ..schedules import *  # noqa: F403 - for type checkers, which do not see the next line

sys.modules[__name__] = schedules
