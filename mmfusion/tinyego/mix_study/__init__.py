"""Study when which mix of CLS tokens wins, in a world whose ceilings are known."""

from .fusion import ROWS, Cell, run_cell
from .results import Results
from .study import QUICK, Study, StudyConfig

__all__ = ["QUICK", "ROWS", "Cell", "Results", "Study", "StudyConfig", "run_cell"]
