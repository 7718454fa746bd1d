use super::*;

/// Writes `text` to a file of this test and reads it as a trace.
fn read_text(test: &str, ending: &str, text: &[u8]) -> Result<Vec<TraceEntry>, String> {
    let folder = std::env::temp_dir().join(format!("lab-trace-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("trace.{ending}"));
    std::fs::write(&path, text).unwrap();
    let classes = ["api".to_owned(), "page".to_owned()];
    let result = read(&path, &classes).map_err(|error| error.to_string());
    std::fs::remove_dir_all(&folder).unwrap();
    result
}

#[test]
fn a_trace_becomes_entries_from_its_first_arrival_on() {
    let text = "# a comment\nat_s, demand_ms, class, host\n100.5, 20, page, x\n100.75,, ,y\n101,1.5,api,z\n";
    let entries = read_text("good", "csv", text.as_bytes()).unwrap();
    let entry = |at, demand, class| TraceEntry { at: Nanos(at), demand, class };
    assert_eq!(
        entries,
        [
            entry(0, Some(Span::from_millis(20)), Some(1)),
            entry(250_000_000, None, None),
            entry(500_000_000, Some(Span::from_micros(1500)), Some(0)),
        ]
    );
}

#[test]
fn each_fault_of_a_trace_is_told_with_its_place() {
    for (name, text, message) in [
        ("text", "at\n0\nsoon\n", "line 3, column 1 (`at`): `soon` is not a number of seconds"),
        ("nan", "at_ms\n0\nNaN\n", "line 3, column 1 (`at_ms`): `NaN` is not a number"),
        ("negative", "x,at_s\n1,-1\n", "line 2, column 2 (`at_s`): `-1` is not a number"),
        ("missing", "at_s,demand_ms\n,5\n", "line 2, column 1 (`at_s`): `` is not a number"),
        ("demand", "at,demand_us\n1,x\n", "line 2, column 2 (`demand_us`): `x` is not a number"),
        ("unsorted", "at\n2\n3\n2.5\n", "line 4, column 1 (`at`): arrives before the line above"),
        ("early", "at\n2\n1\n", "line 3, column 1 (`at`): arrives before the line above"),
        ("class", "at,class\n1,job\n", "`job` is not a class of the scenario (api, page)"),
        ("columns", "time,demand\n1,2\n", "has no column `at`, `at_s`"),
        ("twice", "at,at_ms\n1,2\n", "both `at` and `at_ms` give the arrival"),
        ("slip", "at,demnad_ms\n1,2\n", "column `demnad_ms` is not known; did you mean `demand"),
        ("short", "at,demand\n1,2\n3\n", "line 3 has 1 columns where the header has 2"),
        ("empty", "at\n", "holds no arrivals"),
        ("nothing", "", "has no column `at`"),
    ] {
        let error = read_text(name, "csv", text.as_bytes()).unwrap_err();
        assert!(error.contains(message), "{name}: {error}");
        assert!(error.starts_with("trace ") && error.contains("trace.csv"), "{name}: {error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read(Path::new("/nowhere/trace.csv"), &[]).unwrap_err().to_string();
    assert!(error.starts_with("trace /nowhere/trace.csv: cannot be read: "), "{error}");
}

#[test]
fn bytes_that_are_no_text_or_no_parquet_are_refused() {
    let error = read_text("bytes", "csv", b"at\n\xff\xfe\n").unwrap_err();
    assert!(error.contains("line 2 is not UTF-8"), "{error}");
    let error = read_text("parquet", "parquet", b"PAR1 but cut off").unwrap_err();
    assert!(error.contains("Parquet"), "{error}");
}

#[cfg(feature = "files")]
#[test]
fn parquet_gives_the_same_entries_as_csv() {
    use polars::prelude::{DataFrame, NamedFrom, ParquetWriter, Series};
    let write = |columns: Vec<Series>| {
        let height = columns[0].len();
        let columns = columns.into_iter().map(Into::into).collect();
        let mut table = DataFrame::new(height, columns).unwrap();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut table).unwrap();
        bytes
    };
    let bytes = write(vec![
        Series::new("at_ns".into(), [1_700_000_000_000_000_000_i64, 1_700_000_000_000_000_007]),
        Series::new("demand_ms".into(), [Some(2.5_f64), None]),
        Series::new("class".into(), ["api", "page"]),
    ]);
    let csv = "at_ns,demand_ms,class\n0,2.5,api\n7,,page\n";
    let expected = read_text("same-csv", "csv", csv.as_bytes()).unwrap();
    assert_eq!(read_text("same-parquet", "parquet", &bytes).unwrap(), expected);

    let bytes = write(vec![Series::new("at".into(), ["0", "soon"])]);
    let error = read_text("text-parquet", "parquet", &bytes).unwrap_err();
    assert!(error.contains("line 2, column 1 (`at`): `soon` is not"), "{error}");
}
