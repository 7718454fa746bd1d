//! A run that shows itself, with a Prometheus of its own beside it.

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::programs::free;
use super::prometheus::{Api, PATIENCE, ask};
use super::support::{Folder, code, stderr, wait_until};

/// `lab run` with its metrics at `lab` and its Prometheus at `api`.
pub(crate) struct Run {
    child: Child,
    pub(crate) lab: SocketAddr,
    pub(crate) api: Api,
}

impl Run {
    /// Of the scenario `text`, which is called `name`, with `more` arguments.
    pub(crate) fn start(folder: &Folder, name: &str, text: &str, more: &[&str]) -> Self {
        let file = folder.file(&format!("{name}.toml"), text).display().to_string();
        let (lab, prometheus) = (free(), free());
        let (metrics, beside) = (format!("--metrics={lab}"), format!("--prometheus={prometheus}"));
        let scraped = "--scrape-interval=500ms";
        let mut command = folder.lab(&["run", &file, &metrics, &beside, scraped, "--json"]);
        command.args(more).stdout(Stdio::null()).stderr(Stdio::piped());
        Self { child: command.spawn().expect("started"), lab, api: Api(prometheus) }
    }

    /// A gauge of the run's own page now; not a number before it is there.
    pub(crate) fn gauge(&self, name: &str) -> f64 {
        let page = ask(self.lab, "GET", "/metrics", "", "").map(|(_, page)| page);
        let page = page.unwrap_or_default();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(f64::NAN)
    }

    /// Waits until so many seconds of it are shown.
    #[track_caller]
    pub(crate) fn reaches(&self, second: f64) {
        let shown = || self.gauge("lab_run_shown_seconds ") >= second;
        let there = wait_until(Duration::from_secs(60), shown);
        assert!(there, "the run does not come to second {second}");
    }

    /// Waits until its Prometheus answers and requests are sent.
    #[track_caller]
    pub(crate) fn is_under_way(&self) {
        let ready = || {
            let answer = ask(self.api.0, "GET", "/-/ready", "", "");
            answer.is_ok_and(|(status, _)| status == 200)
        };
        assert!(wait_until(PATIENCE, ready), "Prometheus is not ready");
        let running = || self.gauge("lab_run_phase{phase=\"running\"} ") == 1.0;
        assert!(wait_until(PATIENCE, running), "the run does not begin");
    }

    /// Waits for its end, which is in order; what it said. A busy machine may make the measurement
    /// invalid.
    #[track_caller]
    pub(crate) fn ends(self) -> String {
        let output = self.child.wait_with_output().expect("it ends");
        assert!([0, 4].contains(&code(&output)), "{}", stderr(&output));
        stderr(&output)
    }
}
