from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from stages.pyfeat.as_found import as_found

_PROGRAM = """
import json, os, sys, warnings
import torch
from threadpoolctl import threadpool_info

def state():
    return [dict(os.environ), [str(f) for f in warnings.filters], torch.get_num_threads(), torch.is_grad_enabled(),
            str(torch.get_default_dtype()),
            sorted(n for n in vars(sys.modules["__main__"]) if "Classifier" in n)]

before = state()
import stages.pyfeat.adapter
after = state()
import xgboost.core
print(json.dumps([before == after, "feat" in sys.modules, xgboost.core.Booster.__setstate__.__module__,
                  sorted({pool["num_threads"] for pool in threadpool_info()})]))
"""


@pytest.mark.slow
def test_importing_pyfeat_leaves_the_process_as_it_was() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True)
    same, imported, patched, threads = json.loads(done.stdout.splitlines()[-1])
    assert imported and same
    assert patched.startswith("xgboost")
    assert threads == [len(os.sched_getaffinity(0))], "every library must have read the number of threads before py-feat sets it to 1"


def test_what_was_changed_inside_is_undone_even_by_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    main = vars(sys.modules["__main__"])
    monkeypatch.delitem(main, "XGBClassifier", raising=False)  # of a test that imports py-feat as it is
    threads = torch.get_num_threads()

    def change_everything() -> None:
        with as_found():
            os.environ["OMP_NUM_THREADS"], os.environ["FAUSCAN_NEW"] = "1", "1"
            torch.set_grad_enabled(False)
            torch.set_num_threads(threads + 1)
            torch.set_default_dtype(torch.float64)
            main["XGBClassifier"] = object
            raise KeyError

    with pytest.raises(KeyError):
        change_everything()
    assert os.environ["OMP_NUM_THREADS"] == "3" and "FAUSCAN_NEW" not in os.environ
    assert torch.is_grad_enabled() and torch.get_num_threads() == threads and torch.get_default_dtype() == torch.float32
    assert "XGBClassifier" not in main


def test_the_quick_path_does_not_import_pyfeat() -> None:
    program = "import sys, pipelines.runner, stages.faces, stages.fau; print('feat' in sys.modules, 'xgboost' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
