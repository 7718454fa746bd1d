//! A scenario that plays a log: its trace or the process nearest to it, its classes, and the law
//! of its service times.

use std::fmt::Write as _;

use super::Trace;
use crate::import::fit::{ArrivalFit, Process, QUANTILES, ServiceFit};
use crate::import::toml_text::{commented, quoted};

/// What the scenario says about arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals<'a> {
    /// The trace in this file, whose name is relative to the scenario's.
    Trace(&'a str),
    /// The process that was found nearest.
    Process,
}

impl Trace {
    /// The text of the scenario. What a log does not tell is marked PLACEHOLDER.
    #[must_use]
    pub fn scenario(
        &self,
        log: &str,
        arrivals: Arrivals<'_>,
        arrival: Option<&ArrivalFit>,
        service: Option<&ServiceFit>,
    ) -> String {
        let mut text = format!(
            "# From the access log {}: {} requests in {}.\n#\n# A log tells what came and how long \
             it took, not what served it: the lines with PLACEHOLDER are\n# guesses to be replaced, \
             or take the backends from a configuration with lab new --from.\nschema_version = 1\n\n\
             [scenario]\nseed = 1\n",
            commented(log),
            self.rows.len(),
            self.length(),
        );
        self.traffic(&mut text, arrivals, arrival);
        let busy = self.rate() * service.map_or(0.05, |fit| fit.mean_s);
        backends(&mut text, busy, service);
        text
    }

    /// Requests per second.
    fn rate(&self) -> f64 {
        let gaps = self.rows.len().saturating_sub(1).max(1) as f64;
        gaps / self.length().as_secs_f64().max(1e-3)
    }

    fn traffic(&self, text: &mut String, arrivals: Arrivals<'_>, fit: Option<&ArrivalFit>) {
        match arrivals {
            Arrivals::Trace(file) => {
                let file = quoted(file);
                let _ = write!(
                    text,
                    "\n[traffic]\narrival = {{ process = \"trace\", file = {file} }}\n"
                );
            }
            Arrivals::Process => {
                let length = self.length().as_secs_f64().ceil().clamp(10.0, 3600.0);
                let _ = write!(
                    text,
                    "duration = \"{length}s\"\n\n[traffic]\nrate = \"{}/s\"",
                    digits(self.rate())
                );
                text.push_str(" # the mean of the log\n");
                text.push_str(&process(fit));
            }
        }
        if let Some(fit) = fit {
            let _ = writeln!(text, "# {}", fit.sentence());
        }
        let all: u64 = self.classes.iter().map(|class| class.count).sum();
        // Shares of the classes add up to 100 %, so the last takes what rounding leaves.
        let mut left = 100_000_000_u64;
        for (place, class) in self.classes.iter().enumerate() {
            let exact = u128::from(class.count) * 100_000_000 / u128::from(all.max(1));
            let last = place + 1 == self.classes.len();
            let share = if last { left } else { u64::try_from(exact).unwrap_or(left).min(left) };
            left -= share;
            let share = format!("{}.{:06}%", share / 1_000_000, share % 1_000_000);
            let _ = write!(
                text,
                "\n[[traffic.class]] # {} requests for {}\nname = {}\nmethod = {}\npath = {}\nshare = \"{share}\"\n",
                class.count,
                commented(&class.template),
                quoted(&class.name),
                quoted(&class.method),
                quoted(&class.example),
            );
        }
    }
}

/// The key `arrival`, where a process other than the default is near.
fn process(fit: Option<&ArrivalFit>) -> String {
    match fit.map(|fit| (fit.nearest, fit.pareto)) {
        Some((Process::Uniform, _)) => "arrival = { process = \"uniform\" }\n".to_owned(),
        Some((Process::Pareto, Some([alpha, _]))) => {
            format!("arrival = {{ process = \"pareto\", alpha = {alpha:.4} }}\n")
        }
        Some((Process::Mmpp, _)) => {
            "# The rate of the log changes, which these arrivals do not: use its trace (-o).\n"
                .to_owned()
        }
        _ => String::new(),
    }
}

/// Two backends with a law: the first that fits, or the nearest with a warning.
fn backends(text: &mut String, busy: f64, service: Option<&ServiceFit>) {
    // Busy to six tenths, a usual aim; what there was is not in the log.
    let workers = (busy / 0.6 / 2.0).ceil().clamp(1.0, 10_000.0);
    for name in ["b1", "b2"] {
        let _ = write!(
            text,
            "\n[[backend]] # PLACEHOLDER: how many there are\nname = \"{name}\"\nworkers = {workers} \
             # PLACEHOLDER: the log keeps {} busy on average, in all\n",
            digits(busy)
        );
        match service {
            None => text.push_str(
                "service = { law = \"log_normal\", mean = \"50ms\", sigma = 0.8 } # PLACEHOLDER: the log \
                 has no upstream times\n",
            ),
            Some(fit) => push_law(text, fit),
        }
    }
    if let Some(fit) = service {
        text.push_str("\n# The laws that were held against the log's service times, best first:\n");
        for law in &fit.laws {
            let _ = writeln!(text, "# {}: {}", law.toml, law.sentence());
        }
    }
}

fn push_law(text: &mut String, fit: &ServiceFit) {
    let best = fit.best();
    if !best.fits {
        text.push_str(
            "# No law fits; this is the nearest. Requests with a recorded demand (-o) do not need it.\n",
        );
    }
    let _ = writeln!(text, "service = {} # {}", best.toml, best.sentence());
}

/// Four significant digits, without an exponent.
fn digits(value: f64) -> String {
    let before = libm::log10(value.abs().max(1e-9)).floor() as i32 + 1;
    let decimals = usize::try_from((4 - before).clamp(0, 9)).unwrap_or(0);
    format!("{value:.decimals$}")
}

impl crate::import::fit::LawFit {
    /// How near the law is, in words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let errors: Vec<String> = QUANTILES
            .iter()
            .zip(self.quantile_errors)
            .map(|(u, error)| format!("p{:.0} {:+.1}%", u * 100.0, error * 100.0))
            .collect();
        let verdict = if self.fits { "fits" } else { "does not fit" };
        format!("{verdict}: KS distance {:.3}, {}", self.distance, errors.join(", "))
    }
}

impl ArrivalFit {
    /// What was found, in words.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut text = format!("Arrivals: {}/s", digits(self.rate));
        match self.distance_to_exponential {
            Some(distance) => {
                let _ = write!(
                    text,
                    ", gaps vary by {:.2} (Poisson 1), KS distance to exponential {distance:.3}",
                    self.variation
                );
            }
            None => text.push_str(", gaps within a second are not known"),
        }
        if let (Some(counts), Some([low, high])) = (self.dispersion, self.dispersion_of_poisson) {
            let _ = write!(
                text,
                ", dispersion of counts per second {counts:.2} (Poisson {low:.2} to {high:.2})"
            );
        }
        let nearest = match self.nearest {
            Process::Poisson if self.is_poisson() => "they look like a Poisson process",
            Process::Poisson => {
                "a Poisson process is the nearest, but they are none: use the trace"
            }
            Process::Uniform => "equal gaps (uniform) are the nearest",
            Process::Pareto => "Pareto gaps are the nearest",
            Process::Mmpp => "the rate changes (mmpp is the nearest): use the trace",
        };
        let _ = write!(text, "; {nearest}.");
        text
    }
}
