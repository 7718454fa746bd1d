//! The points as other tools read them.

use std::process::Command;

use crate::support::Folder;
use crate::{SMALL, files, folder_of, python, sweep};

/// Polars finds the partitions as columns, and their types; `lab`'s own numbers are in the rows.
#[test]
fn polars_reads_the_points_as_one_hive_partitioned_table() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    sweep(&folder, &["small.toml", "--replications", "5", "--quiet"]);
    let results = folder_of(&folder.path().join("results"), "small");
    let program = r#"
import json, sys, polars as pl
folder = sys.argv[1]
table = pl.scan_parquet(folder + "/points", hive_partitioning=True).collect().sort("point")
assert table.height == 12, table
assert table["balancer.algorithm"].dtype == pl.String
assert table["backend.b.speed"].dtype == pl.Float64, table.schema
assert table["backend.b.speed"].to_list() == [1.0, 1.5] * 6
assert table["traffic.rate_per_s"].to_list() == [60.0, 60.0, 240.0, 240.0] * 3
assert set(table["traffic.rate"]) == {"60/s", "240/s"}, set(table["traffic.rate"])
points = json.load(open(folder + "/summary.json"))["points"]
for row, point in zip(table.iter_rows(named=True), points):
    p99 = point["measures"]["p99"]
    assert row["p99_ns"] == p99["value"], (row, p99)
    assert row["p99_low_ns"] == p99["low"] and row["p99_high_ns"] == p99["high"]
    assert row["p50_low_ns"] <= row["p50_ns"] <= row["p50_high_ns"]
    assert row["requests"] == point["requests"] and row["sweep"] == point["sweep"]
only = pl.scan_parquet(folder + "/points", hive_partitioning=True).filter(
    pl.col("balancer.algorithm") == "least_conn").collect()
assert only.height == 4
"#;
    let mut command = Command::new(python("polars"));
    let output = command.args(["-c", program]).arg(&results).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_sampled_range_is_a_column_and_a_file_that_is_none_is_told_of() {
    let folder = Folder::new();
    folder.file("plain.toml", SMALL.split("[sweep]").next().unwrap());
    let arguments = ["plain.toml", "--replications", "1", "--samples", "4"];
    let axes = ["--set", "load=0.2..0.8", "--set", "backend.b.service.mean=5ms..20ms"];
    sweep(&folder, &[&arguments[..], &axes[..]].concat());
    let results = folder_of(&folder.path().join("results"), "small");
    let program = r#"
import sys, polars as pl
table = pl.read_parquet(sys.argv[1] + "/points/*.parquet")
assert table.height == 4
load, mean = table["load"], table["backend.b.service.mean_ms"]
assert load.dtype == pl.Float64 and mean.dtype == pl.Float64
# One in each quarter of each range.
assert sorted(int((x - 0.2) / 0.15) for x in load) == [0, 1, 2, 3], load
assert sorted(int((x - 5) / 3.75) for x in mean) == [0, 1, 2, 3], mean
"#;
    let mut command = Command::new(python("polars"));
    let output = command.args(["-c", program]).arg(&results).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let point = files(&results).into_keys().find(|name| name.starts_with("points/")).unwrap();
    std::fs::write(results.join(&point), "cut off").unwrap();
    let output = folder.run(&["sweep", results.to_str().unwrap()]);
    assert_eq!(crate::support::code(&output), 1);
    let said = crate::support::stderr(&output);
    assert!(said.contains("part-00000.parquet` cannot be read as a point of a sweep"), "{said}");
}
