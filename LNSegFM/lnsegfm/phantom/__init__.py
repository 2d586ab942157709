"""A seeded phantom of CT cases with lymph nodes, for tests and demonstrations without patient data.

>>> from lnsegfm.phantom import make_case
>>> case = make_case("hospital", seed=3)
>>> case.ct.GetSize()
(96, 96, 40)
"""

from lnsegfm.phantom.domains import DOMAINS
from lnsegfm.phantom.phantom_case import PhantomCase, make_case

__all__ = ["DOMAINS", "PhantomCase", "make_case"]
