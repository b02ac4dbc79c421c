"""The incident stories tell the truth about themselves: every fact is counted again, in the bytes."""

from __future__ import annotations

import io
import itertools
import json
import re
from pathlib import Path

import pytest

from fixtures import stories
from fixtures.stories import Facts

NAN_FRAME = re.compile(rb"\r +4/\d+ +\S+ +nan +nan +nan ")
FRAME = re.compile(rb"\r +(\d+)/(\d+) +([\d.]+)G +(\S+) +(\S+) +(\S+) +\d+ +640: [^|]*\|[^|]*\| (\d+)/(\d+) ")
COD_LINE = re.compile(r"^Epoch (\d+): Loss: (\S+) \| IoU: (\S+) \| LR: (\S+)$", re.MULTILINE)


def yolo(batches: int = 410, size: int | None = None, seed: int = 1) -> tuple[bytes, Facts]:
    """A small yolo story."""
    out = io.BytesIO()
    facts = stories.write_yolo(out, batches=batches, size=size, seed=seed)
    return out.getvalue(), facts


def cod(batches: int = 20, seed: int = 1) -> tuple[bytes, Facts]:
    """A small cod story."""
    out = io.BytesIO()
    facts = stories.write_cod(out, batches=batches, seed=seed)
    return out.getvalue(), facts


@pytest.fixture(scope="module")
def full_yolo() -> tuple[bytes, Facts]:
    """The yolo story at its full size, up to batch 7,550 of epoch 4."""
    return yolo(stories.BATCHES)


def test_same_seed_same_bytes() -> None:
    """A seed decides every byte, and another seed writes another log."""
    assert yolo(seed=7) == yolo(seed=7)
    assert cod(seed=7) == cod(seed=7)
    assert yolo(seed=7)[0] != yolo(seed=8)[0]
    assert cod(seed=7)[0] != cod(seed=8)[0]


def test_yolo_full_size_tells_the_incident(full_yolo: tuple[bytes, Facts]) -> None:
    """The full story has the figures of the incident: 73 NaN batches from batch 32 on, 72 skips, 4.71 G."""
    _, facts = full_yolo
    assert facts["nan_batches"] == 73
    assert facts["nan_onset"] == {"epoch": 4, "batch": 32}
    assert facts["grad_skips"] == 72
    assert (facts["epoch"], facts["epochs"], facts["batch"], facts["batches"]) == (4, 50, 7550, 41163)
    assert facts["vram_by_epoch"] == {"1": 4.2, "2": 4.2, "3": 4.2, "4": 4.71}
    assert facts["losses_by_epoch"]["3"] == {"box_loss": 1.617, "cls_loss": 1.057, "dfl_loss": 1.07}
    assert facts["should_alert"] == ["nan", "grad_skip", "vram_jump"]
    assert facts["outcome"] == "running"


def test_yolo_facts_match_the_bytes(full_yolo: tuple[bytes, Facts]) -> None:
    """Size, frames, NaN batches, skips and the last frame are found again in the bytes."""
    log, facts = full_yolo
    assert facts["bytes"] == len(log)
    assert facts["frames"] == log.count(b"\r")
    assert facts["nan_batches"] == len(NAN_FRAME.findall(log)) / 2
    assert facts["grad_skips"] == log.count(stories.GUARD.encode())
    frames = FRAME.findall(log)
    epoch, epochs, vram, *losses, batch, batches = frames[-1]
    assert [int(n) for n in (epoch, epochs, batch, batches)] == [
        facts[key] for key in ("epoch", "epochs", "batch", "batches")
    ]
    assert float(vram) == facts["vram_gb"]
    assert [float(loss) for loss in losses] == list(facts["losses"].values())
    third = [float(loss) for loss in [frame for frame in frames if frame[0] == b"3"][-1][3:6]]
    assert third == list(facts["losses_by_epoch"]["3"].values())


def test_yolo_nan_batches_are_finite_again_in_the_next(full_yolo: tuple[bytes, Facts]) -> None:
    """No two NaN batches touch: each draws its two frames, the first with the old counter."""
    counters = [int(f[6]) for f in FRAME.findall(full_yolo[0]) if f[3] == b"nan"]
    stale, drawn = counters[::2], counters[1::2]
    assert [n + 1 for n in stale] == drawn
    assert all(after - before > 1 for before, after in itertools.pairwise(drawn))
    assert drawn[0] == 32


def test_yolo_ends_inside_a_bar(full_yolo: tuple[bytes, Facts]) -> None:
    """The log of the run that goes on ends without a newline, in a whole frame."""
    assert full_yolo[0].endswith(b"it/s]")


def test_yolo_of_a_size_fills_it_to_the_last_batch() -> None:
    """A size is reached to within one piece, epochs are announced as needed, and the facts still count."""
    size = 6_000_000
    log, facts = yolo(batches=410, size=size)
    assert size - 30_000 < len(log) <= size
    assert facts["bytes"] == len(log)
    assert facts["epochs"] % 50 == 0
    assert facts["epochs"] >= facts["epoch"] > 4
    assert facts["nan_batches"] == len(NAN_FRAME.findall(log)) / 2 == 73
    assert facts["grad_skips"] == log.count(stories.GUARD.encode()) == 72
    rows = re.findall(rb"\n +all +5000 +36335 +(\S+) +(\S+) +(\S+) +(\S+)\n", log)
    assert [float(row[3]) for row in rows] == facts["metrics_by_epoch"]["mAP50-95"]
    assert facts["metrics_epochs"] == list(range(1, len(rows) + 1))


def test_yolo_cut_before_the_incident_promises_no_alert() -> None:
    """A log too small to reach epoch 4 has no NaN, and its facts do not claim one."""
    log, facts = yolo(size=100_000)
    assert b"nan  " not in log
    assert facts["nan_batches"] == facts["grad_skips"] == 0
    assert facts["nan_onset"] is None
    assert facts["should_alert"] == []


@pytest.mark.parametrize("batches", [20, 50, 100, 410, 3000, 12_583])
def test_yolo_scales_down(batches: int) -> None:
    """A smaller epoch holds a smaller incident, which the facts still count exactly."""
    log, facts = yolo(batches)
    assert facts["nan_batches"] == len(NAN_FRAME.findall(log)) / 2 > 0
    assert facts["grad_skips"] == log.count(stories.GUARD.encode()) == facts["nan_batches"] - 1
    assert facts["batch"] == batches * 3 // 5 or facts["batch"] == stories.INCIDENT_WINDOW
    assert facts["nan_onset"]["batch"] == min(32, facts["batch"] // 2)


def test_yolo_refuses_what_it_cannot_tell() -> None:
    """Too few batches or epochs for the incident are an error, not a log without it."""
    with pytest.raises(ValueError, match="batches"):
        stories.write_yolo(io.BytesIO(), batches=5)
    with pytest.raises(ValueError, match="epoch"):
        stories.write_yolo(io.BytesIO(), batches=100, epochs=3)


def test_cod_tells_decline_collapse_and_hang() -> None:
    """IoU 0.6413 at 88, falling from 89 to 97, 0.0022 at 98 with a loss of 15.3, stuck at 30 % of 101."""
    log, facts = cod(252)
    lines = {int(e): (float(loss), float(iou), lr) for e, loss, iou, lr in COD_LINE.findall(log.decode())}
    iou = {epoch: line[1] for epoch, line in lines.items()}
    assert list(iou) == facts["metrics_epochs"] == list(range(1, 101))
    assert list(iou.values()) == facts["metrics_by_epoch"]["IoU"]
    assert {e: line[0] for e, line in lines.items()} == {
        int(e): losses["Loss"] for e, losses in facts["losses_by_epoch"].items()
    }
    assert max(iou, key=iou.__getitem__) == 88
    assert (iou[88], iou[89], iou[98]) == (0.6413, 0.6371, 0.0022)
    assert all(iou[epoch] < iou[epoch - 1] for epoch in range(89, 98))
    assert lines[89] == (0.2234, 0.6371, "0.000145")
    assert lines[98][0] == 15.3
    assert b"\rEpoch 101/150 [Train]:  30%|" in log[-120:]
    assert log.endswith(f"loss={facts['losses']['loss']:.4f}]".encode())
    assert (facts["epoch"], facts["epochs"], facts["batch"], facts["batches"]) == (101, 150, 76, 252)
    assert facts["outcome"] == "hung"
    assert facts["bytes"] == len(log)
    assert facts["frames"] == log.count(b"\r")


@pytest.mark.parametrize("seed", range(1, 30))
def test_cod_rises_without_a_decline_before_its_best(seed: int) -> None:
    """Before epoch 88 the IoU never falls three times running and never reaches the best."""
    iou = stories.cod_iou(seed)
    falls = 0
    for epoch in range(2, 88):
        falls = falls + 1 if iou[epoch] < iou[epoch - 1] else 0
        assert falls < 3
        assert iou[epoch] < 0.6413


def test_cod_of_a_size_comes_near_it() -> None:
    """A size for the cod story chooses the batches of an epoch, to about a twentieth."""
    out = io.BytesIO()
    stories.write_cod(out, size=2_000_000)
    assert abs(len(out.getvalue()) - 2_000_000) < 100_000


def test_batch_losses_have_the_printed_mean() -> None:
    """The epoch's line prints the mean of the batch losses that its bar showed."""
    log = cod(100)[0].decode()
    for epoch in (5, 98, 100):
        drawn = re.findall(rf"\rEpoch {epoch}/150 \[Train\]:[^\r]*\| (\d+)/100 [^\r]*loss=([\d.]+)\]", log)
        losses = dict(drawn[1::2])
        mean = sum(float(loss) for loss in losses.values()) / len(losses)
        assert mean == pytest.approx(stories.cod_loss(epoch), abs=2e-3)


def test_command_line_writes_log_and_facts(tmp_path: Path) -> None:
    """The command line writes the same bytes as the function, and the facts as JSON without bare NaN."""
    log, truth = tmp_path / "x.log", tmp_path / "x.facts.json"
    argv = ["yolo", "--out", str(log), "--batches", "410", "--facts", str(truth)]
    assert stories.main(argv) == 0
    assert log.read_bytes() == yolo(410)[0]

    def no_constant(name: str) -> float:
        raise AssertionError(name)

    assert json.loads(truth.read_text(), parse_constant=no_constant) == yolo(410)[1]


@pytest.mark.parametrize(("text", "size"), [("400M", 400_000_000), ("1G", 10**9), ("64Ki", 65536), ("7", 7)])
def test_sizes_are_read(text: str, size: int) -> None:
    """Decimal and binary units, and plain bytes."""
    assert stories.parse_size(text) == size
