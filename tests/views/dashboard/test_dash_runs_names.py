"""What runs are called: without what all share, and cut so that they can still be told from each other."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nanwatch.views.dashboard.runs.names import cut_names, names_of

ULTRALYTICS = [
    f"v8n_{version}_{how}" for version in ("8.0.200", "8.2.100", "8.3.100", "8.4.190")
    for how in ("redirect", "redirect_killed", "redirect_oom", "pty", "nohup_gradguard_buffered")
]  # fmt: skip


def cut(names: list[str], cells: int, more: str = "…") -> list[str]:
    """Return *names* as they are cut together."""
    return [*cut_names({Path(f"/{place}"): name for place, name in enumerate(names)}, cells, more).values()]


# -- short


def test_names_lose_what_all_of_them_share() -> None:
    """Folders and endings that all logs share are left out; one log alone keeps its folder."""
    assert [*names_of([Path("/exp/a.log"), Path("/exp/b/c.log")]).values()] == ["a", "b/c"]
    assert [*names_of([Path("/home/exp/train.log")]).values()] == ["exp/train.log"]
    assert [*names_of([Path("-"), Path("/exp/a.log"), Path("/exp/b.log")]).values()] == ["stdin", "a", "b"]


def test_a_long_root_does_not_take_half_the_name() -> None:
    """Of logs below several roots each keeps the last folder that its root is, and none of the way to it."""
    found = names_of([Path(f"/data/a/long/way/to/exp/run{n}/train.log") for n in range(2)] + [Path("/home/ana/x.txt")])
    assert [*found.values()] == ["exp/run0/train.log", "exp/run1/train.log", "ana/x.txt"]


def test_roots_stay_where_names_would_be_the_same() -> None:
    """Two logs that are called the same below their roots are told with the whole way."""
    found = names_of([Path("/data/one/exp/x.log"), Path("/home/ana/exp/x.log")])
    assert [*found.values()] == ["data/one/exp/x", "home/ana/exp/x"]


def test_names_are_told_apart() -> None:
    """Two logs whose names look the same on a screen have different names in the list."""
    assert len(set(names_of([Path("/exp/a\x1b[1m.log"), Path("/exp/a.log")]).values())) == 2


# -- cut


def test_what_differs_stays() -> None:
    """What neighbours have in common is cut, and what tells them apart is kept."""
    assert cut([f"sweep-17/lr1e-4-bs64-wd0.01-seed{n}-final" for n in (3, 4)], 16) == [
        "sweep…1e-4…64…3…", "sweep…1e-4…64…4…",
    ]  # fmt: skip
    assert cut(["ultralytics_8.2_redirect", "ultralytics_8.3_redirect"], 14) == ["…_8.2_redirect", "…_8.3_redirect"]


def test_a_name_that_fits_is_not_cut() -> None:
    """Names that have room stay as they are."""
    assert cut(["a", "exp/b"], 16) == ["a", "exp/b"]


def test_the_names_of_one_list_stay_distinct() -> None:
    """Runs of one trainer in many versions and ways can be told apart in 16 cells, also in ASCII."""
    names = [f"ultralytics/{name}" for name in ULTRALYTICS]
    for more in ("…", "..."):
        found = cut(names, 16, more)
        assert len({name.replace(more, "") for name in found}) == len(names)


def test_sweeps_stay_distinct() -> None:
    """Of a sweep over three parameters what is varied is seen of every run."""
    sweep = [f"exp/lr{lr}-bs{bs}-wd0.01-seed{n}-final" for lr in ("1e-4", "3e-4") for bs in (16, 32) for n in range(9)]
    found = cut(sweep, 16)
    assert len({name.replace("…", "") for name in found}) == len(sweep)


@given(st.lists(st.text(max_size=40), max_size=12), st.integers(1, 40))
def test_cut_names_fit(names: list[str], cells: int) -> None:
    """Whatever the names are, none is wider than its cells."""
    assert all(cell_len(name) <= cells for name in cut(names, cells))
