"""Result folders: ``auditor-results/<run>/`` with report and result; ``latest`` points at the newest."""

from __future__ import annotations

from pathlib import Path

from auditor.atomic import beside, new_folder, output_errors, write_file
from auditor.errors import ResultError, UsageError
from auditor.model import Result
from auditor.registry import load_report
from auditor.results import dump_result, load_result

LATEST = "latest"
RESULT_FILE = "result.json"
REPORT_FILE = "report.html"


def write_result_folder(result: Result, root: Path) -> Path:
    """Write ``<root>/<run id>/`` with report and result, whole or not at all, and point ``<root>/latest`` at it.

    Args:
        result: the result.
        root: the folder of all results, made where it is missing.

    Returns:
        The run's folder.

    Raises:
        OutputError: it cannot be written.
    """
    folder = root / result.run.id
    report = load_report("html").render(result)
    with new_folder(folder) as aside:
        write_file(aside / REPORT_FILE, report)
        write_file(aside / RESULT_FILE, dump_result(result))
    latest = root / LATEST
    with output_errors(latest):
        link = beside(latest)
        link.symlink_to(folder.name, target_is_directory=True)
        try:
            link.replace(latest)
        except OSError:
            link.unlink()
            raise
    return folder


def read_result(path: Path) -> Result:
    """The result at a path: a result.json, or a run's folder.

    Raises:
        UsageError: there is nothing at the path.
        ResultError: it cannot be read or is no result.
    """
    file = path / RESULT_FILE if path.is_dir() else path
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no result at {str(path)!r}.",
            next_step="Name a result.json or the folder of a run; make one with: auditor demo",
        ) from error
    except OSError as error:
        raise ResultError(f"{file} cannot be read: {error.strerror}.") from error
    return load_result(data, name=str(file))
