//! Access logs as traces.

use lab::import::log::{Format, Log, Trace};
use lab::traffic::arrival::trace::parse_csv;
use lab::units::{Nanos, Span};
use proptest::prelude::*;

const HAPROXY: &str = include_str!("logs/haproxy.log");
const ENVOY: &str = include_str!("logs/envoy.log");
const COMBINED: &str = include_str!("logs/combined.log");

fn read(format: &Format, text: &str) -> Log {
    let mut log = Log::default();
    (1..).zip(text.lines()).for_each(|(number, line)| log.line(format, number, line));
    log
}

fn auto(text: &str) -> (&'static str, Log) {
    let format = Format::of(text.lines()).unwrap();
    (format.name, read(&format, text))
}

/// Arrival in milliseconds since the first, demand in milliseconds, class.
fn rows(trace: &Trace) -> Vec<(u64, Option<u64>, &str)> {
    let ms = |nanos: u64| nanos / 1_000_000;
    let row = |row: &lab::import::log::TraceRow| {
        let class = trace.classes[usize::from(row.class)].name.as_str();
        (ms(row.at.0), row.demand.map(|demand| ms(demand.0)), class)
    };
    trace.rows.iter().map(row).collect()
}

/// Reads the written trace as a scenario would.
fn read_back(trace: &Trace) -> Vec<(Nanos, Option<Span>, u16)> {
    let names: Vec<String> = trace.classes.iter().map(|class| class.name.clone()).collect();
    let entries = parse_csv(trace.csv().as_bytes(), &names).unwrap();
    entries.iter().map(|entry| (entry.at, entry.demand, entry.class.unwrap())).collect()
}

#[test]
fn haproxy_begins_where_its_date_says() {
    let (name, log) = auto(HAPROXY);
    assert_eq!((name, log.lines, log.bad, log.without_request), ("haproxy", 4, 0, 1));
    let trace = log.trace(8, 1);
    assert_eq!(
        rows(&trace),
        [(0, Some(120), "post-orders"), (50, Some(24), "orders-id"), (250, None, "orders-id")]
    );
    let written: Vec<_> = trace.rows.iter().map(|row| (row.at, row.demand, row.class)).collect();
    assert_eq!(read_back(&trace), written);
}

#[test]
fn envoy_begins_at_its_start_time() {
    let (name, log) = auto(ENVOY);
    assert_eq!((name, log.bad), ("envoy", 0));
    let expected = [(0, None, "api-v1-users-id"), (105, Some(100), "post-api-v1-locations")];
    assert_eq!(rows(&log.trace(8, 1)), expected);
}

#[test]
fn whole_seconds_are_spread_within_them_and_the_same_each_time() {
    let (name, log) = auto(COMBINED);
    assert_eq!((name, log.bad, log.without_request, log.with_arrival()), ("combined", 0, 1, 0));
    assert!(log.whole_seconds());
    let trace = log.trace(8, 1);
    let [one, two, three] = trace.rows[..] else { panic!("{trace:?}") };
    assert!(one.at == Nanos::ZERO && two.at > one.at && two.at.0 < 1_000_000_000);
    assert!((1_000_000_000..3_000_000_000).contains(&three.at.0));
    assert_eq!(trace, log.trace(8, 1));
    assert_ne!(trace.rows, log.trace(8, 2).rows);
}

#[test]
fn nginx_patterns_give_arrival_and_service() {
    let pattern = "log_format timed '$remote_addr [$time_local] \"$request\" $status $msec '\n \
                   '$request_time $upstream_response_time \"$http_user_agent\"';";
    let format = Format::named(pattern).unwrap();
    let log = read(
        &format,
        "::1 [24/Nov/2026:22:37:05 +0000] \"GET /x HTTP/1.1\" 200 1795559825.500 0.500 0.490 \"a\"\n\
         ::1 [24/Nov/2026:22:37:05 +0000] \"GET /x HTTP/1.1\" 200 1795559825.400 0.600 0.010, 0.020 : 0.300 \"b \\\" c\"\n\
         ::1 [24/Nov/2026:22:37:05 +0000] \"GET /x HTTP/1.1\" 200 1795559825.410 0.000 - \"\"\n\
         ::1 [24/Nov/2026:22:37:05 +0000] \"GET /x HTTP/1.1\" 200 1795559825.410 0.000 -, 0.002 \"\"\n\
         broken\n",
    );
    assert_eq!((log.lines, log.bad, log.first_bad[0].line), (5, 1, 5));
    let expected =
        [(0, Some(300), "x"), (200, Some(490), "x"), (610, None, "x"), (610, Some(2), "x")];
    assert_eq!(rows(&log.trace(8, 1)), expected);
}

#[test]
fn envoy_patterns_with_a_format_of_time() {
    let pattern = "%START_TIME(%s.%3f)% %REQ(:METHOD)% %REQ(:PATH)% %DURATION% %RESPONSE_HEADER(x-envoy-upstream-service-time)%";
    let format = Format::named(pattern).unwrap();
    let log = read(&format, "1795559820.500 GET /a 12 11\n1795559820.250 GET /a 7 -\n");
    assert_eq!(rows(&log.trace(8, 1)), [(0, None, "a"), (250, Some(11), "a")]);
}

#[test]
fn durations_appended_by_name_are_read() {
    let line = "1.2.3.4 - - [24/Nov/2026:22:37:05 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"c\" \"-\" \
                rt=1.250 uct=\"0.000\" urt=\"1.200\"";
    let (name, log) = auto(line);
    assert_eq!((name, log.with_arrival()), ("combined", 1));
    assert_eq!(rows(&log.trace(8, 1)), [(0, Some(1_200), "root")]);
}

#[test]
fn json_of_several_servers() {
    for (line, demand) in [
        (
            r#"{"msec":"1795559820.250","request":"GET /a/1 HTTP/1.1","request_time":"0.2","upstream_response_time":"0.1"}"#,
            Some(100),
        ),
        (
            r#"{"start_time":"2026-11-24T22:37:00.310Z","method":"GET","path":"/a/1","duration":200,"upstream_service_time":"100"}"#,
            Some(100),
        ),
        (
            r#"{"ts":1795559820.25,"request":{"method":"GET","uri":"/a/1"},"duration":0.2,"status":200}"#,
            None,
        ),
        (
            r#"{"StartUTC":"2026-11-24T22:37:00.31Z","RequestMethod":"GET","RequestPath":"/a/1","Duration":200000000,"OriginDuration":100000000}"#,
            Some(100),
        ),
        (
            r#"{"time":"2026-11-24T22:37:00.31Z","method":"GET","path":"/a/1","duration_ms":200,"upstream_time_ms":100.0}"#,
            Some(100),
        ),
    ] {
        let (name, log) = auto(line);
        assert_eq!((name, log.with_arrival(), log.bad), ("json", 1, 0), "{line}");
        assert_eq!(rows(&log.trace(8, 1)), [(0, demand, "a-id")], "{line}");
    }
}

#[test]
fn the_most_frequent_kinds_are_kept_apart() {
    let line =
        |path: &str| format!("h - - [24/Nov/2026:22:37:05 +0000] \"GET {path} HTTP/1.1\" 200 5\n");
    let paths = ["/rare", "/a/1", "/a/2", "/b", "/b?x", "/a/3", "/other"];
    let (name, log) = auto(&paths.map(line).concat());
    assert_eq!(name, "common");
    let counted = |most| {
        let classes = log.trace(most, 1).classes;
        classes.into_iter().map(|class| (class.name, class.count)).collect::<Vec<_>>()
    };
    let named = |pairs: &[(&str, u64)]| {
        pairs.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect::<Vec<_>>()
    };
    assert_eq!(counted(2), named(&[("a-id", 3), ("b", 2), ("other", 2)]));
    assert_eq!(counted(4), named(&[("a-id", 3), ("b", 2), ("other-2", 1), ("rare", 1)]));
}

#[test]
fn what_is_no_format_is_refused_with_what_would_be_right() {
    for (format, expected) in [
        ("$remote_addr \"$request\"", "it has no time: one of $msec"),
        ("$msec", "it has no path: $request"),
        ("$time_local$request", "side by side"),
        ("apache", "known formats are auto, combined"),
        ("%START_TIME%", "it has no path"),
    ] {
        let error = Format::named(format).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = Format::of(["one", "two"].into_iter()).unwrap_err().to_string();
    assert!(error.contains("have no format that lab knows"), "{error}");
}

proptest! {
    /// Whatever is written by a pattern comes back: arrivals to the millisecond, sorted.
    #[test]
    fn what_nginx_wrote_comes_back(
        requests in prop::collection::vec((0_u64..100_000, 0_u64..5_000, 0_u64..3), 1..60),
    ) {
        let format = Format::named("$msec $request_time $upstream_response_time \"$request\"").unwrap();
        let base = 1_795_559_820_000_u64;
        let text: String = requests.iter().map(|(start, took, retries)| {
            let end = base + start + took;
            let lists = "0.001, ".repeat(usize::try_from(*retries).unwrap());
            format!("{}.{:03} {}.{:03} {lists}{}.{:03} \"GET /p HTTP/1.1\"\n",
                end / 1000, end % 1000, took / 1000, took % 1000, took / 1000, took % 1000)
        }).collect();
        let log = read(&format, &text);
        prop_assert_eq!(log.bad, 0);
        let mut expected: Vec<(u64, u64)> = requests.iter().map(|(start, took, _)| (*start, *took)).collect();
        expected.sort_by_key(|(start, _)| *start);
        let first = expected[0].0;
        let expected: Vec<u64> = expected.iter().map(|(start, _)| (start - first) * 1_000_000).collect();
        let trace = log.trace(8, 1);
        prop_assert_eq!(trace.rows.iter().map(|row| row.at.0).collect::<Vec<_>>(), expected);
        prop_assert_eq!(read_back(&trace).len(), requests.len());
    }

    /// No line makes a reader panic, and what it gives is a trace that a scenario reads.
    #[test]
    fn any_line_is_read_or_counted(lines in prop::collection::vec(prop_oneof![
        any::<String>(),
        prop::collection::vec(prop::sample::select(vec![
            "[", "]", "\"", "\\", " ", "-", "+1", "24/Nov/2026:22:37:05", " +0000", "0/0/0/0/0", "GET /ä HTTP",
            "{", "}", "\"ts\":1e300", "200", ": ", ", ", "1.2.3.4", "=", "rt=",
        ]), 0..20).prop_map(|words| words.concat()),
    ], 0..10)) {
        for name in ["combined", "common", "haproxy", "envoy", "json", "$msec $upstream_addr \"$request\""] {
            let format = Format::named(name).unwrap();
            let mut log = Log::default();
            (1..).zip(&lines).for_each(|(number, line)| log.line(&format, number, line));
            if log.requests() > 0 {
                prop_assert_eq!(read_back(&log.trace(3, 1)).len(), log.requests());
            }
        }
    }
}
