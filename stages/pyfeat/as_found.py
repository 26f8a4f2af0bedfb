"""As found: what a library sets for the whole process is set back."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator

import torch

_MAIN_NAMES = ("XGBClassifier", "SVMClassifier", "EmoSVMClassifier")
"""py-feat puts these into whatever program imports it."""


@contextlib.contextmanager
def as_found() -> Iterator[None]:
    """On leaving, environment, warning filters, torch's threads, gradient mode and default dtype, and `__main__` are as they were.

    py-feat 2.1.5 sets OMP_NUM_THREADS, adds filters and names, and patches xgboost when it is imported, and turns gradients off
    whenever a RetinaFace is made.
    """
    environment = dict(os.environ)
    main = vars(sys.modules["__main__"])
    names = {name: main[name] for name in _MAIN_NAMES if name in main}
    gradients, threads, dtype = torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype()
    with warnings.catch_warnings():
        # Loaded before: each reads OMP_NUM_THREADS once, when it is loaded, and must see it as it was.
        import scipy.linalg
        import sklearn
        import xgboost.core

        del scipy, sklearn
        booster = xgboost.core.Booster
        setstate = booster.__setstate__
        try:
            yield
        finally:
            booster.__setstate__ = setstate
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update({name: value for name, value in environment.items() if os.environ.get(name) != value})
            for name in _MAIN_NAMES:
                main.pop(name, None)
            main.update(names)
            torch.set_grad_enabled(gradients)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            if torch.get_default_dtype() != dtype:
                torch.set_default_dtype(dtype)
