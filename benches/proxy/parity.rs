//! The box that says how the proxies were set, so that nobody need believe the comparison is fair.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use super::arguments::Arguments;
use super::peers::Kind;
use super::process::{Cores, version};

pub(crate) fn print(kinds: &[Kind], arguments: &Arguments, cores: &Cores) {
    println!("Parity");
    for kind in kinds {
        let program = kind.program(arguments).display().to_string();
        let version = version(&program).unwrap_or_default();
        println!("  {:10} {version}", kind.name());
        println!("  {:10} {}", "", checks(*kind));
    }
    println!(
        "  all        1 worker on core {}; load and 4 backends (nginx) on {}; least connections;\n\
         \x20            64 idle connections kept to backends, no end to requests on a connection;\n\
         \x20            time-outs 60 s, idle clients 75 s; retry on error, time-out, 502;\n\
         \x20            X-Real-IP, X-Forwarded-For, X-Forwarded-Proto; no access log, no TLS",
        cores.proxy, cores.others
    );
    println!(
        "  runs       {} rounds of {} s each, in rotation; medians (least to greatest)",
        arguments.rounds, arguments.seconds
    );
}

const fn checks(kind: Kind) -> &'static str {
    match kind {
        Kind::Lab | Kind::OtherLab => {
            "health: checks each 2 s and failures of requests; counters and histograms on"
        }
        Kind::Nginx => "health: failures of requests (it has no checks); no counters in this build",
        Kind::Haproxy => "health: checks each 2 s; counters on",
        Kind::Envoy => "health: checks each 2 s; counters and histograms on; least_request of two",
    }
}
