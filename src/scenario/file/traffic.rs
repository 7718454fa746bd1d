//! `[traffic]`: arrivals, stages, classes, keys, the client, and laws of durations.

use crate::scenario::diagnostic::{Problems, suggestion};
use crate::scenario::reader::{
    Count, Fields, Read, Section, Written, described, read_section, section_schema, tagged_form,
};
use crate::scenario::section::{about, section, tagged};
use crate::scenario::tree::Node;
use crate::units::{Bytes, Rate, Ratio, Span};

section! {
    /// What clients ask for: an open loop (`rate`, or stages, or a trace), or a closed loop
    /// (`users`).
    pub(crate) struct TrafficSection {
        /// Open loop: requests per second through the whole run. Use stages for a rate that changes.
        optional rate: Rate,
        /// Open loop: the process of arrivals. Default: poisson.
        optional arrival: ArrivalForm,
        /// Closed loop: number of users, each with at most one request in flight.
        optional users: Count,
        /// Closed loop: time from a response to the user's next request, and before the first.
        /// Default: none.
        optional think: LawForm,
        /// Open loop: parts of the run, in order, each with a rate of its own.
        optional stage: Vec<Written<StageSection>>,
        /// Kinds of requests. Default: one, `GET /`.
        optional class: Vec<Written<ClassSection>>,
        /// Keys of requests, drawn by a Zipf law. Default: none.
        optional keys: KeysSection,
        /// How the client connects and when it gives up.
        optional client: ClientSection,
    }
}

section! {
    /// A part of the run with its own rate: `rate` for a step, `from` and `to` for a ramp.
    pub(crate) struct StageSection {
        /// Name in reports and checks.
        required name: String,
        /// How long it lasts. The last stage may leave it out if `scenario.duration` is given.
        optional duration: Span,
        /// The rate throughout.
        optional rate: Rate,
        /// The rate at its beginning.
        optional from: Rate,
        /// The rate at its end.
        optional to: Rate,
    }
}

section! {
    /// A kind of request.
    pub(crate) struct ClassSection {
        /// Name in reports and checks.
        required name: String,
        /// Path and query. Default: `/`.
        optional path: String,
        /// HTTP method. Default: GET.
        optional method: String,
        /// Share of the requests; the shares add up to 100%. Default with a single class: 100%.
        optional share: Ratio,
        /// Size of the request's body. Default: 0B.
        optional body: Bytes,
    }
}

section! {
    /// Keys drawn by a Zipf law: the key of rank k has a probability proportional to k^-exponent.
    pub(crate) struct KeysSection {
        /// Number of distinct keys.
        required count: u64,
        /// Skew; 0 is uniform. Default: 1.
        optional exponent: f64,
    }
}

section! {
    /// The client side.
    pub(crate) struct ClientSection {
        /// Most connections to the balancer; 0 opens as many as requests need. Default: 0.
        optional connections: u32,
        /// Requests on a connection before it is closed; 0 is no limit. Default: 0.
        optional requests_per_connection: u32,
        /// The client gives up this long after the request was due. Default: 10s.
        optional timeout: Span,
        /// Requests beyond this many in flight are dropped and count as failed; 0 is no limit.
        /// Default: 0.
        optional in_flight_cap: u32,
    }
}

tagged! {
    /// A process of arrivals.
    pub(crate) enum ArrivalForm by "process" ("arrival process") {
        /// Independent arrivals: exponential gaps.
        "poisson" => Poisson(PlainForm),
        /// Equal gaps.
        "uniform" => Uniform(PlainForm),
        /// A Poisson process that switches between bursts and quiet periods of exponential length;
        /// the mean rate is the given one.
        "mmpp" => Mmpp(MmppForm),
        /// Independent gaps of a Pareto law: long silences between dense groups.
        "pareto" => Pareto(ParetoArrivalForm),
        /// Recorded arrivals.
        "trace" => Trace(TraceForm),
    }
}

/// A form without keys of its own.
#[derive(Clone, Debug)]
pub(crate) struct PlainForm;

impl Section for PlainForm {
    fn take(_: &mut Fields<'_>, _: &mut Problems) -> Self {
        Self
    }
    fn properties() -> Vec<(&'static str, bool, serde_json::Value)> {
        Vec::new()
    }
}

section! {
    /// A Markov-modulated Poisson process of two states.
    pub(crate) struct MmppForm {
        /// Rate in a burst over the rate in a quiet period; at least 1.
        required burst_ratio: f64,
        /// Mean length of a burst.
        required burst: Span,
        /// Mean length of a quiet period.
        required quiet: Span,
    }
}

section! {
    /// Pareto gaps.
    pub(crate) struct ParetoArrivalForm {
        /// Tail index, above 1; the smaller, the burstier.
        required alpha: f64,
    }
}

section! {
    /// A trace.
    pub(crate) struct TraceForm {
        /// A CSV or Parquet file, relative to this one.
        required file: String,
        /// Time runs this many times as fast as recorded. Default: 1.
        optional speed: f64,
    }
}

tagged! {
    /// A law of durations.
    pub(crate) enum LawForm by "law" ("law of durations") {
        /// Always the same.
        "constant" => Constant(ConstantForm),
        /// Uniform between two bounds.
        "uniform" => Uniform(UniformForm),
        /// Exponential.
        "exponential" => Exponential(ExponentialForm),
        /// Log-normal.
        "log_normal" => LogNormal(LogNormalForm),
        /// Pareto.
        "pareto" => Pareto(ParetoForm),
        /// One of two constants.
        "bimodal" => Bimodal(BimodalForm),
        /// The law of given values, interpolated linearly.
        "empirical" => Empirical(EmpiricalForm),
    }
}

section! {
    /// Always the same.
    pub(crate) struct ConstantForm {
        /// The duration.
        required value: Span,
    }
}

section! {
    /// Uniform.
    pub(crate) struct UniformForm {
        /// Lower bound.
        required low: Span,
        /// Upper bound.
        required high: Span,
    }
}

section! {
    /// Exponential.
    pub(crate) struct ExponentialForm {
        /// Mean.
        required mean: Span,
    }
}

section! {
    /// Log-normal.
    pub(crate) struct LogNormalForm {
        /// Mean of the law itself, not of its logarithm.
        required mean: Span,
        /// Standard deviation of the logarithm; above 0.
        required sigma: f64,
    }
}

section! {
    /// Pareto.
    pub(crate) struct ParetoForm {
        /// Mean; the minimum is mean × (alpha − 1) / alpha.
        required mean: Span,
        /// Tail index, above 1; up to 2 the variance is infinite.
        required alpha: f64,
    }
}

section! {
    /// One of two constants.
    pub(crate) struct BimodalForm {
        /// The usual duration.
        required fast: Span,
        /// The rare duration.
        required slow: Span,
        /// Share of the slow ones.
        required slow_share: Ratio,
    }
}

section! {
    /// Given values.
    pub(crate) struct EmpiricalForm {
        /// The values, in any order.
        required values: Vec<Written<Span>>,
    }
}
