"""A seeded phantom of CT cases with lymph nodes, for tests and demonstrations without patient data.

>>> from LNSegFMLib.phantom import make_case
>>> case = make_case("hospital", seed=3)
>>> case.ct.GetSize()
(96, 96, 40)
"""

from LNSegFMLib.phantom.case import PhantomCase, make_case
from LNSegFMLib.phantom.domains import DOMAINS

__all__ = ["DOMAINS", "PhantomCase", "make_case"]
