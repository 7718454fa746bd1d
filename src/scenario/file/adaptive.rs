//! `[balancer.least_request]`, `[balancer.peak_ewma]` and `[balancer.prequal]`: parameters of
//! algorithms that follow the load of the backends.

use crate::policy::balance::peak_ewma::PeakEwmaVariant;
use crate::scenario::diagnostic::{Problems, suggestion};
use crate::scenario::reader::{
    Count, Fields, Read, Section, Written, described, read_section, section_schema,
};
use crate::scenario::section::{about, choice, section};
use crate::scenario::tree::Node;
use crate::units::Span;

section! {
    /// Parameters of the algorithm `least_request`, Envoy's: with equal weights some backends are
    /// drawn with replacement and the one with the fewest requests in flight is taken; unequal
    /// weights switch to weighted round robin by weight / (in flight + 1)^bias.
    pub(crate) struct LeastRequestSection {
        /// Backends drawn for each request while all weights are equal. Default: 2.
        optional choices: Count,
        /// Look at all of them instead of drawing some. Default: false.
        optional full_scan: bool,
        /// How much requests in flight count under unequal weights; 0 is not at all. Default: 1.
        optional active_request_bias: f64,
    }
}

section! {
    /// Parameters of the algorithm `peak_ewma`: of two random backends the one with the lower
    /// latency × (in flight + 1), where the latency is a moving average that jumps to each peak.
    pub(crate) struct PeakEwmaSection {
        /// How a new backend starts: `tower` (linkerd2-proxy) assumes `default_rtt`, `finagle`
        /// gives it one request and no other until that has ended. Default: tower.
        optional variant: PeakEwmaVariant,
        /// Time constant with which a latency is forgotten. Default: 10s.
        optional decay: Span,
        /// Latency assumed of a new backend, for `tower`. Default: 30ms.
        optional default_rtt: Span,
    }
}

section! {
    /// Parameters of the algorithm `prequal`: backends are asked for their requests in flight and
    /// their latency ahead of the requests (GET /probe); of the answers at hand the one with the
    /// lowest latency is taken that has few in flight. Defaults are those of the paper.
    pub(crate) struct PrequalSection {
        /// Probes sent for each request, to random backends; may be a fraction. Default: 3.
        optional probes: f64,
        /// Most answers kept. Never more than a quarter of the backends, nor fewer than 2, whatever
        /// is written: otherwise a small fleet's answers are used when they are long out of date.
        /// Default: 16.
        optional pool: Count,
        /// Answers removed for each request, in turn the oldest and the worst. Default: 1.
        optional remove: f64,
        /// An answer older than this is not used. Default: 1s.
        optional age: Span,
        /// A backend with more in flight than this quantile of recent answers is hot, and taken
        /// only if all are; 0 looks at requests in flight alone, 1 at latency alone. Default: 0.841.
        optional q_rif: f64,
        /// Surplus of answers that the number of uses leaves; above 0. Default: 1.
        optional delta: f64,
        /// Uses of an answer, at least 1; may be a fraction. Default: the paper's formula, (1 +
        /// delta) / ((1 − pool / backends) × probes − remove), or no limit where that is not
        /// positive.
        optional reuse: f64,
        /// An answer that takes longer is lost. Default: 3ms.
        optional timeout: Span,
        /// Without requests for this long some backends are probed. Default: 500ms.
        optional idle: Span,
    }
}

choice! { PeakEwmaVariant: "variant of peak EWMA",
    "tower" => Self::Tower,
    "finagle" => Self::Finagle,
}
