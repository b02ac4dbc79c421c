"""What runs are called."""

from __future__ import annotations

import pytest

from nanwatch.notify.names import short_name
from tests.notify.making import run_facts


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ("/data/unet-iou-v3.log", "unet-iou-v3"),
        ("/data/unet-iou-v3.out", "unet-iou-v3"),
        ("/data/unet.v3", "unet.v3"),
        ("/data/unet-iou-v3/train.log", "unet-iou-v3/train"),
        ("/data/unet-iou-v3/logs/output.log", "unet-iou-v3/output"),
        ("/data/unet/slurm-123.out", "unet/slurm-123"),
        ("/data/unet/nohup.out", "unet/nohup"),
        ("/data/unet/log.txt", "unet/log"),
        ("/data/unet/stdout.log", "unet/stdout"),
        ("train.log", "train"),
        ("-", "stdin"),
    ],
)
def test_a_run_is_called_as_people_call_it(log: str, name: str) -> None:
    """The log's name without its suffix; with the folder's where every run's log is called so."""
    assert short_name(run_facts(log)) == name
    assert short_name(run_facts(log, id=f"{log}#2")) == f"{name}#2"
