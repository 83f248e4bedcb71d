"""Labels as people write them, and what is understood of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sams_core.data.labels import Labels, guide_targets, looks_like_control, read_labels
from sams_core.data.options import ReaderOptions
from sams_core.errors import ScreenError


def read(labels: Sequence[object], **options: Any) -> Labels:
    column = pd.Series(list(labels), name="perturbation", dtype=object)
    column.index = pd.Index([f"cell{i}" for i in range(len(labels))])
    return read_labels(column, ReaderOptions(perturbation_key="perturbation", **options))


def sets(labels: Sequence[object], **options: Any) -> list[tuple[str, ...]]:
    found = read(labels, **options)
    return [found.perturbations(code) for code in found.codes]


@pytest.mark.parametrize(
    ("labels", "options", "expected"),
    [
        pytest.param(["ctrl", "A", "A+B"], {}, [(), ("A",), ("A", "B")], id="plain"),
        pytest.param(["ctrl", "B+A", "A+B"], {}, [(), ("A", "B"), ("A", "B")], id="order"),
        pytest.param(["ctrl", "A+ctrl", "ctrl+B"], {}, [(), ("A",), ("B",)], id="gears"),
        pytest.param(["ctrl+ctrl", "A+ctrl"], {}, [(), ("A",)], id="doubly-control"),
        pytest.param(["ctrl", "A+A"], {}, [(), ("A",)], id="repeated"),
        pytest.param(["ctrl", "A+B+C"], {}, [(), ("A", "B", "C")], id="triple"),
        pytest.param(
            ["control", "A", "B", "A_B"], {}, [(), ("A",), ("B",), ("A", "B")], id="scperturb"
        ),
        pytest.param(
            ["ctrl", "A_ctrl", "A_B", "B"], {}, [(), ("A",), ("A", "B"), ("B",)], id="pad"
        ),
        pytest.param(
            ["ctrl", "A_1", "A", "B+C"], {}, [(), ("A_1",), ("A",), ("B", "C")], id="plus"
        ),
        pytest.param(["ctrl", "X_Y", "A"], {}, [(), ("X_Y",), ("A",)], id="unknown-parts"),
        pytest.param(["ctrl", "X_Y"], {"separator": "_"}, [(), ("X", "Y")], id="separator"),
        pytest.param(["ctrl", "X; Y"], {"separator": ";"}, [(), ("X", "Y")], id="spaces"),
        pytest.param(["non-targeting", "A"], {"separator": "-"}, [(), ("A",)], id="whole-control"),
        pytest.param(["WT", "A"], {"control": "WT"}, [(), ("A",)], id="named-control"),
        pytest.param(["c1", "c2", "A"], {"control": ("c1", "c2")}, [(), (), ("A",)], id="controls"),
        pytest.param([" ctrl", "A "], {}, [(), ("A",)], id="blanks"),
        pytest.param(["ctrl", 12, 7], {}, [(), ("12",), ("7",)], id="numbers"),
        pytest.param(["NT", "untreated", "A"], {}, [(), ("untreated",), ("A",)], id="untreated"),
        pytest.param(["untreated", "A"], {}, [(), ("A",)], id="only-untreated"),
    ],
)
def test_sets_of_perturbations(
    labels: list[object], options: dict[str, Any], expected: list[tuple[str, ...]]
) -> None:
    assert sets(labels, **options) == expected


@pytest.mark.parametrize(
    "label",
    [
        *["non-targeting", "Non_Targeting", "nontargeting", "non targeting control", "NT", "ntc"],
        *["ctrl", "CTRL", "control", "Controls", "negctrl", "neg_ctrl", "negative control"],
        *["safe-targeting", "safe_harbor", "scrambled", "NTg1", "NT_3", "non-targeting_00012"],
        *["DMSO", "unperturbed"],
    ],
)
def test_usual_control_names(label: str) -> None:
    assert looks_like_control(label)


@pytest.mark.parametrize(
    "label",
    ["NT5E", "STAT1", "WT1", "CTRL2A", "NTRK1", "CD4", "SAFB", "NEGR1", "G1", "g12", "sg3"],
)
def test_genes_are_not_controls(label: str) -> None:
    assert not looks_like_control(label)


@pytest.mark.parametrize(
    ("guides", "targets"),
    [
        (["STAT1g1", "STAT1g2", "JAK2g1", "NTg1"], {"STAT1", "JAK2", "NT"}),
        (["STAT1_g1", "STAT1_g2", "JAK2_g1"], {"STAT1", "JAK2"}),
        (["sgSTAT1_1", "sgSTAT1_2", "sgJAK2_1", "ctrl"], {"STAT1", "JAK2"}),
        (["STAT1-sgRNA1", "STAT1-sgRNA2", "HLA-A-sgRNA1"], {"STAT1", "HLA-A"}),
        (["NKX2-1_g1", "NKX2-1_g2", "NKX2-5_g1"], {"NKX2-1", "NKX2-5"}),
    ],
)
def test_guides_name_their_targets(guides: list[str], targets: set[str]) -> None:
    assert set(guide_targets(guides).values()) == targets


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(["STAT1", "JAK2", "NKX2-1"], id="genes"),
        pytest.param(["NKX2-1", "NKX2-5", "NKX3-1"], id="genes-with-dashes"),
        pytest.param(["STAT1g1", "STAT1g2", "JAK2"], id="one-is-no-guide"),
        pytest.param(["STAT1g1", "JAK2g1"], id="nothing-to-collapse"),
        pytest.param(["pert_1", "pert_2", "pert_3", "ctrl"], id="one-target"),
        pytest.param(["P001", "P002"], id="numbered"),
    ],
)
def test_other_labels_are_not_guides(labels: list[str]) -> None:
    assert guide_targets(labels) == {}


def test_collapsing_is_told_and_can_be_refused() -> None:
    guides = ["STAT1g1", "STAT1g2", "JAK2g1", "NTg1", "NTg2"]
    found = read(guides)
    assert list(found.names) == ["JAK2", "STAT1"]
    assert found.control == "NT"
    assert any("3 guides collapsed onto 2 targets" in note for note in found.notes)
    kept = read(guides, collapse_guides=False)
    assert list(kept.names) == ["JAK2g1", "STAT1g1", "STAT1g2"]
    assert kept.control == "NT"
    assert not kept.collapsed


def test_a_control_guide_named_by_the_user_is_kept() -> None:
    found = read(["STAT1g1", "STAT1g2", "JAK2g1", "NTg1", "NTg2"], control="NTg1")
    assert found.control == "NTg1"
    assert list(found.names) == ["JAK2", "NT", "STAT1"]
    assert any("'NT' read as a perturbation" in warning for warning in found.warnings)


def test_conventions_are_told() -> None:
    gears = read(["ctrl", "A+ctrl", "A+B"])
    assert any("'A+ctrl'" in note and "without the control" in note for note in gears.notes)
    assert any("Combinations: 1 label, such as 'A+B'" in note for note in gears.notes)
    scperturb = read(["control", "A", "B", "A_B", "A_C"])
    assert any("'A_B'" in note and "'_'" in note for note in scperturb.notes)
    assert any("'A_C'" in warning and "separator='_'" in warning for warning in scperturb.warnings)
    repeated = read(["ctrl", "A+A"])
    assert any("'A+A'" in note and "once" in note for note in repeated.notes)


def test_controls_are_told_and_the_most_frequent_names_them() -> None:
    found = read(["NT", "control", "control", "A"])
    assert found.control == "control"
    assert "Control cells: 3 cells labelled 'NT' and 'control'" in found.notes[-1]
    assert read(["b", "a", "a", "A"], control=("b", "a")).control == "b"


def test_an_absent_control_among_several_is_a_warning() -> None:
    found = read(["NT", "A"], control=("NT", "ctrl"))
    assert found.warnings == ["No cell is labelled with the control 'ctrl'."]


def test_control_lookalikes_are_named_nearest_first() -> None:
    with pytest.raises(ScreenError, match=r"most like a control are 'non-targ' and 'ctl'|'ctl'"):
        read(["ctl", "non-targ", "STAT1", "JAK2"])


names = st.lists(
    st.sampled_from(["STAT1", "JAK2", "HLA-A", "NKX2-1", "x", "SP1"]), min_size=1, unique=True
)


@given(names, st.randoms(use_true_random=False), st.sampled_from(["+", "|", "_", " & "]))
def test_order_of_the_parts_does_not_matter(parts: list[str], random: Any, separator: str) -> None:
    shuffled = random.sample(parts, len(parts))
    labels = ["control", separator.join(parts), separator.join(shuffled)]
    first, second = sets(labels, separator=separator)[1:]
    assert first == second == tuple(sorted(parts))


@settings(max_examples=60)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=6))
def test_any_text_is_understood_or_refused(labels: list[str]) -> None:
    try:
        found = read(["control", *labels])
    except ScreenError:
        return
    assert found.codes.shape == (len(labels) + 1,)
    assert all(name and "+" not in name for name in found.names)
    assert found.names.is_monotonic_increasing
    assert found.perturbations(int(found.codes[0])) == ()


def test_cells_get_their_own_labels() -> None:
    rng = np.random.default_rng(0)
    column = rng.choice(["ctrl", "A", "B+A", "C"], size=200)
    expected = {"ctrl": (), "A": ("A",), "B+A": ("A", "B"), "C": ("C",)}
    assert sets(column.tolist()) == [expected[label] for label in column]
