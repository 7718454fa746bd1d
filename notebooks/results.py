"""Reads what `lab run` wrote, for the notebooks beside this file.

`notebooks/make-results` makes the runs; `LAB_RESULTS` names another folder of them.
"""

import json
import os
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl

FOLDER = Path(os.environ.get("LAB_RESULTS", Path(__file__).parent / "results"))
# The colours of lab's own charts come near these: the model in blue, the live world in orange.
WORLDS = {"sim": "#2a6fbb", "live": "#d9772b"}

plt.rcParams.update({
    "figure.figsize": (8, 3.6),
    "figure.constrained_layout.use": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.dpi": 110,
})
pl.Config.set_tbl_hide_dataframe_shape(True).set_tbl_hide_column_data_types(True)
pl.Config.set_tbl_rows(40).set_fmt_str_lengths(80).set_float_precision(2)


def run(*names: str) -> Path:
    """The folder of the last run of the scenario in results/NAME/…."""
    folder = FOLDER.joinpath(*names)
    latest = sorted(folder.glob("*/latest"))
    if not latest:
        raise FileNotFoundError(f"no run in {folder}: call notebooks/make-results first")
    return latest[-1].resolve()


def sweep(*names: str) -> Path:
    """The folder of the last sweep in results/NAME/…."""
    folder = FOLDER.joinpath(*names)
    found = sorted(folder.glob("*/sweep-*/summary.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(f"no whole sweep in {folder}: call notebooks/make-results first")
    return found[-1].parent


def points(*names: str) -> pl.DataFrame:
    """The points of a sweep, a row each: what was swept is a column, read from the folders' names
    where they have it (Hive partitions)."""
    folder = sweep(*names) / "points"
    return pl.scan_parquet(folder, hive_partitioning=True).sort("point").collect()


def summary(*names: str) -> dict:
    """The statistics of a run: summary.json."""
    return json.loads((run(*names) / "summary.json").read_text())


def requests(*names: str) -> pl.DataFrame:
    """The requests of a run, by when they were due, with latencies in milliseconds.

    A null in the file says that nothing sets the value apart from another (README, "What a run
    tells you"); here each column has its value.
    """
    rows = pl.read_parquet(run(*names) / "requests.parquet")
    sent = pl.coalesce("sent_ns", "scheduled_ns")
    return rows.with_columns(
        sent_ns=sent,
        first_byte_ns=pl.coalesce("first_byte_ns", "finished_ns"),
        queued_ns=pl.col("queued_ns").fill_null(0),
        service_ns=pl.coalesce("service_ns", "demand_ns"),
    ).with_columns(
        due_s=pl.col("scheduled_ns") / 1e9,
        latency_ms=(pl.col("finished_ns") - pl.col("scheduled_ns")) / 1e6,
        failed=pl.col("error") != "none",
    ).sort("world", "replication", "scheduled_ns")


def timeline(*names: str) -> pl.DataFrame:
    """What each server, and all of them (upstream is null), did in each second."""
    return pl.read_parquet(run(*names) / "timeline.parquet").sort("world", "second")


def events(*names: str) -> pl.DataFrame:
    """Faults, ejections and scaling, as they happened."""
    rows = pl.read_parquet(run(*names) / "events.parquet")
    return rows.with_columns(at_s=pl.col("at_ns") / 1e9).sort("at_ns")


def quantiles(frame: pl.DataFrame, by: str) -> pl.DataFrame:
    """Requests and latency quantiles in milliseconds, for each value of a column."""
    latency = pl.col("latency_ms")
    return frame.group_by(by, maintain_order=True).agg(
        requests=pl.len(),
        failed=pl.col("failed").sum(),
        p50=latency.quantile(0.5),
        p90=latency.quantile(0.9),
        p99=latency.quantile(0.99),
        max=latency.max(),
    )
