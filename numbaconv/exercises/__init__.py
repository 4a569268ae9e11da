"""A course: convolution in small functions that a learner writes, with a check that says where the first error is.

``python -m numbaconv.exercises start FOLDER`` copies it, ``python -m numbaconv.exercises check FOLDER`` checks it.
"""

from ..objects.public import publish
from .checking import check
from .copying import copy_course, solution
from .course import EXERCISES

__all__ = ["EXERCISES", "check", "copy_course", "solution"]
publish(__name__)
