//! The tools: how each is found, told what to do, and accounted for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::CONNECTIONS;
use super::arguments::Arguments;
use super::lateness::{self, Lateness};
use super::server::Server;

/// What is asked of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Load {
    /// As fast as answers come.
    Closed,
    /// So many requests per second.
    Open(u32),
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "Closed loop, {CONNECTIONS} connections, one thread"),
            Self::Open(rate) => write!(f, "Open loop, {rate}/s"),
        }
    }
}

/// Which tool; lab in each of its modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Lab,
    LabExact,
    LabTimer,
    LabPoisson,
    LabBatch,
    Wrk,
    Wrk2,
    Oha,
    H2load,
    Hey,
    Ab,
    Vegeta,
    K6,
    Autocannon,
}

const ALL: [Tool; 14] = {
    use Tool::*;
    [
        Lab, LabExact, LabTimer, LabPoisson, LabBatch, Wrk, Wrk2, Oha, H2load, Hey, Ab, Vegeta, K6,
        Autocannon,
    ]
};

/// What a run showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) requests: usize,
    pub(crate) cpu_seconds: f64,
    pub(crate) per_cpu_second: f64,
    pub(crate) per_second: f64,
    pub(crate) lateness: Option<Lateness>,
}

/// The tools that are asked for and installed, and a line for each that is not.
pub(crate) fn there(arguments: &Arguments) -> (Vec<Tool>, Vec<String>) {
    let asked = |tool: &&Tool| {
        arguments.tools.is_empty() || arguments.tools.iter().any(|name| name == tool.family())
    };
    let (there, missing): (Vec<Tool>, Vec<Tool>) =
        ALL.iter().filter(asked).partition(|tool| tool.is_there(arguments));
    let line = |tool: &Tool| format!("{:14} is not installed: {}", tool.name(), tool.source());
    (there, missing.iter().map(line).collect())
}

impl Tool {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::LabExact => "lab exact",
            Self::LabTimer => "lab timer",
            Self::LabPoisson => "lab poisson",
            Self::LabBatch => "lab batch",
            _ => self.family(),
        }
    }

    /// Its program.
    const fn family(self) -> &'static str {
        match self {
            Self::Lab | Self::LabExact | Self::LabTimer | Self::LabPoisson | Self::LabBatch => {
                "lab"
            }
            Self::Wrk => "wrk",
            Self::Wrk2 => "wrk2",
            Self::Oha => "oha",
            Self::H2load => "h2load",
            Self::Hey => "hey",
            Self::Ab => "ab",
            Self::Vegeta => "vegeta",
            Self::K6 => "k6",
            Self::Autocannon => "autocannon",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::Lab | Self::LabExact | Self::LabTimer | Self::LabPoisson | Self::LabBatch => {
                "give --lab PATH"
            }
            Self::Wrk => "Debian: apt-get install wrk",
            Self::Wrk2 => "build it from github.com/giltene/wrk2 and call it wrk2",
            Self::Oha => "cargo install oha",
            Self::H2load => "Debian: apt-get install nghttp2-client",
            Self::Hey => "Debian: apt-get install hey",
            Self::Ab => "Debian: apt-get install apache2-utils",
            Self::Vegeta => "github.com/tsenart/vegeta",
            Self::K6 => "github.com/grafana/k6",
            Self::Autocannon => "npm install autocannon",
        }
    }

    fn program(self, arguments: &Arguments) -> PathBuf {
        match self.family() {
            "lab" => arguments.lab.clone(),
            name => name.into(),
        }
    }

    fn is_there(self, arguments: &Arguments) -> bool {
        let mut command = Command::new(self.program(arguments));
        command.arg(self.version_flag()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok()
    }

    const fn version_flag(self) -> &'static str {
        match self {
            Self::Wrk | Self::Wrk2 => "-v",
            Self::Ab => "-V",
            // It tells none.
            Self::Hey => "-h",
            Self::Vegeta | Self::K6 => "version",
            _ => "--version",
        }
    }

    /// The first line of what it says of itself.
    pub(crate) fn version(self, arguments: &Arguments) -> String {
        let output = Command::new(self.program(arguments)).arg(self.version_flag()).output();
        let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let told = if self == Self::Hey { "tells no version" } else { first.trim() };
        told.to_owned()
    }

    /// Whether it can make this load.
    pub(crate) const fn can(self, load: Load) -> bool {
        match load {
            Load::Closed => !matches!(
                self,
                Self::LabExact
                    | Self::LabTimer
                    | Self::LabPoisson
                    | Self::LabBatch
                    | Self::Wrk2
                    | Self::Vegeta
            ),
            Load::Open(_) => !matches!(self, Self::Lab | Self::Wrk | Self::Ab),
        }
    }

    /// Its command line; one thread where it can be told so.
    fn words(self, load: Load, arguments: &Arguments, port: u16, folder: &Path) -> Vec<String> {
        let url = format!("http://127.0.0.1:{port}/");
        let time = format!("{}s", arguments.seconds);
        let seconds = arguments.seconds;
        let rate = match load {
            Load::Closed => 0,
            Load::Open(rate) => rate,
        };
        let own = f64::from(rate) / f64::from(CONNECTIONS);
        let line = match (self, load) {
            (Self::Lab, _) => format!(
                "load {url} --users {CONNECTIONS} --connections {CONNECTIONS} --threads 1 --duration {time} --json"
            ),
            (Self::LabExact, _) => format!(
                "load {url} --rate {rate}/s --arrival uniform --threads 1 --duration {time} --json"
            ),
            (Self::LabTimer, _) => format!(
                "load {url} --rate {rate}/s --arrival uniform --pace timer --threads 1 --duration {time} --json"
            ),
            (Self::LabPoisson, _) => format!(
                "load {url} --rate {rate}/s --arrival poisson --threads 1 --duration {time} --json"
            ),
            (Self::LabBatch, _) => format!(
                "load {url} --rate {rate}/s --arrival uniform --pace batch --threads 1 --duration {time} --json"
            ),
            (Self::Wrk, _) => format!("-t1 -c{CONNECTIONS} -d{time} {url}"),
            (Self::Wrk2, _) => format!("-t1 -c{CONNECTIONS} -d{time} -R{rate} {url}"),
            (Self::Oha, Load::Closed) => format!("--no-tui -c {CONNECTIONS} -z {time} {url}"),
            (Self::Oha, _) => {
                format!("--no-tui -c {CONNECTIONS} -z {time} -q {rate} --latency-correction {url}")
            }
            (Self::H2load, Load::Closed) => {
                format!("--h1 -t1 -c{CONNECTIONS} -D{seconds} --warm-up-time=0 {url}")
            }
            (Self::H2load, _) => {
                format!("--h1 -t1 -c{CONNECTIONS} -D{seconds} --warm-up-time=0 --rps={own} {url}")
            }
            (Self::Hey, Load::Closed) => format!("-c {CONNECTIONS} -z {time} {url}"),
            (Self::Hey, _) => format!("-c {CONNECTIONS} -z {time} -q {own} {url}"),
            (Self::Autocannon, Load::Closed) => {
                format!("--no-progress -c {CONNECTIONS} -d {seconds} {url}")
            }
            (Self::Autocannon, _) => {
                format!("--no-progress -c {CONNECTIONS} -d {seconds} -R {rate} {url}")
            }
            (Self::Ab, _) => format!("-k -q -c {CONNECTIONS} -t {seconds} -n 100000000 {url}"),
            (Self::Vegeta, _) => {
                let targets = folder.join("targets");
                drop(std::fs::write(&targets, format!("GET {url}\n")));
                let targets = targets.display();
                format!(
                    "attack -rate={rate}/s -duration={time} -targets={targets} -output=/dev/null"
                )
            }
            (Self::K6, _) => {
                let script = folder.join("script.js");
                drop(std::fs::write(&script, k6_script(&url, rate, seconds)));
                format!("run --quiet --no-summary {}", script.display())
            }
        };
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        if self.family() == "lab" && arguments.real_time {
            words.push("--real-time".to_owned());
        }
        words
    }
}

fn k6_script(url: &str, rate: u32, seconds: u32) -> String {
    let options = if rate == 0 {
        format!("{{ vus: {CONNECTIONS}, duration: '{seconds}s', discardResponseBodies: true }}")
    } else {
        format!(
            "{{ discardResponseBodies: true, scenarios: {{ all: {{ executor: 'constant-arrival-rate', \
             rate: {rate}, timeUnit: '1s', duration: '{seconds}s', preAllocatedVUs: {CONNECTIONS}, \
             maxVUs: 1000 }} }} }}"
        )
    };
    format!(
        "import http from 'k6/http';\nexport const options = {options};\n\
         export default function () {{ http.get('{url}'); }}\n"
    )
}

/// Runs `tool` once.
pub(crate) fn measure(
    tool: Tool,
    load: Load,
    arguments: &Arguments,
    server: &mut Server,
) -> Result<Figures, String> {
    let folder = std::env::temp_dir().join(format!("lab-bench-load-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let words = tool.words(load, arguments, server.port, &folder);
    server.reset();
    let before = children_cpu();
    let mut command = Command::new("taskset");
    command.args(["-c", &server.other_cores]).arg(tool.program(arguments)).args(&words);
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let cpu_seconds = children_cpu() - before;
    drop(std::fs::remove_dir_all(&folder));
    let arrivals = server.arrivals();
    // lab says with 4 that its measurement is not to be believed; here others judge that.
    if !output.status.success() && output.status.code() != Some(4) {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("{}: {said}", output.status));
    }
    let [first, .., last] = arrivals[..] else { return Err("no request arrived".to_owned()) };
    let seconds = (last - first) as f64 / 1e9;
    let lateness = match load {
        Load::Closed => None,
        Load::Open(rate) if tool == Tool::LabPoisson => {
            lateness::of(&arrivals, lateness::poisson(rate, arguments.seconds).into_iter())
        }
        Load::Open(rate) => lateness::of(&arrivals, lateness::grid(rate)),
    };
    let requests = arrivals.len();
    Ok(Figures {
        requests,
        cpu_seconds,
        per_cpu_second: requests as f64 / cpu_seconds,
        per_second: requests as f64 / seconds,
        lateness,
    })
}

/// CPU time of all children that ended and were waited for, in seconds.
fn children_cpu() -> f64 {
    // SAFETY: all bytes zero is a valid `rusage`, and the pointer is to a live local.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
