import pytest
import torch

from mmfusion.analysis.flops import count_flops, scan_flops
from mmfusion.analysis.fusers import fusers, table_3, table_4
from mmfusion.models import SharedSSMFusion
from mmfusion.structures import TokenFeatures


@pytest.fixture(scope="module")
def rows():
    return {row.name: row for row in fusers(768, 1568, 40, 2)}


def test_parameters_of_table_3(rows):
    millions = {name: row.parameters / 1e6 for name, row in rows.items()}
    assert round(millions["MLP"], 2) == 3.54
    assert round(millions["Transformer 6x4"], 1) == 50.2
    assert round(millions["Transformer 12x12"], 1) == 92.7
    mamba = rows["MambaVL"]
    assert round((mamba.parameters + mamba.text_mlp) / 1e6, 2) == 9.29


def test_wholes_of_table_4(rows):
    """The paper's own sums: parameters to the million, operations within 0.5 %."""
    grid = table_4(list(rows.values()))
    compared = 0
    for _, ours, paper, millions, paper_millions in grid.rows[1:]:
        if paper != "—":
            assert float(ours) == pytest.approx(float(paper), rel=0.005)
            assert millions == paper_millions
            compared += 1
    assert compared == 2


def test_flops_by_hand(rows):
    d, e, n, r, questions = 768, 1536, 16, 48, 2
    mlp = 2 * (2 * d * 2 * d + 2 * d * d + 3 * d * d) * questions
    assert rows["MLP"].flops == mlp
    mixer = 2 * (d * 2 * e + e * (r + 2 * n) + r * e + e * d + 4 * e)
    scan = e * (7 * n + 3)
    text = questions * 40 * (mixer + scan + 2 * 3 * d * d)
    padded = 2 * 4 * e * 3 * (1 + questions)  # the convolution's own padding
    expected = 1569 * (mixer + scan) + text
    assert rows["MambaVL"].flops == pytest.approx(expected, abs=padded)


def test_flops_of_coupled_mamba(rows):
    """Two layers over the video for each question; the scan counts itself."""
    d, e, n, r, questions = 768, 1536, 16, 48, 2
    mixer = 2 * (d * 2 * e + e * (r + 2 * n) + r * e + e * d + 4 * e)
    tokens = questions * (1569 + 40)
    expected = 2 * tokens * (mixer + e * (13 * n + 3)) + questions * 40 * 6 * d * d
    given = rows["Coupled Mamba, 2 layers"].flops
    assert given == pytest.approx(expected, rel=1e-3)


def test_a_scan_and_a_forward_without_content():
    assert scan_flops((1, 2, 5, 8), (1, 2, 5, 8), (1, 8, 4)) == 80 * 31
    with torch.device("meta"):
        neck = SharedSSMFusion(16)

    def call(length):
        feats = {
            n: TokenFeatures(torch.empty(1, length, 16)) for n in ("video", "text")
        }
        return (feats,)

    one, two = (count_flops(neck, lambda k=k: call(k))[""] for k in (50, 100))
    assert 1.9 < two / one < 2.1  # linear in the length


def test_accuracies_are_the_papers(rows):
    grid = table_3(list(rows.values()), 768)
    shown = {row[0]: row[-3:] for row in grid.rows}
    assert shown["MambaVL"] == ["69.1", "63.9", "48.6"]
    assert shown["Transformer 6x4, all tokens"] == ["—"] * 3
    assert table_3(list(rows.values()), 1024).rows[0][-1] == "—"
