"""EgoGestAR's first fold; the others by tools/analysis/table.py.

python tools/data/egogestar/prepare.py --root data/EgoGestAR --out data/egogestar
"""

_files = dict(
    ann_file="fold0.json",
    data_root="data/egogestar",
    made_by="python tools/data/egogestar/prepare.py --root data/EgoGestAR"
    " --out {data_root}",
)
