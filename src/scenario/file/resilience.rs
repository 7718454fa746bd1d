//! The sections of `[balancer]` that go beyond NGINX: outlier detection, retry budget and pause,
//! hedging, affinity.

use crate::policy::affinity::SameSite;
use crate::scenario::diagnostic::{Problems, suggestion};
use crate::scenario::reader::{
    Count, Fields, Read, Section, Written, described, read_section, section_schema,
};
use crate::scenario::section::{about, choice, section};
use crate::scenario::tree::Node;
use crate::units::{Ratio, Span};

section! {
    /// Outlier detection by the rules of Envoy: a backend whose answers are bad is left out for a
    /// while. Names and defaults are Envoy's.
    pub(crate) struct OutlierSection {
        /// Time between ticks: rates are judged, and ejections ended, at ticks only. Default: 10s.
        optional interval: Span,
        /// How long a first ejection lasts at least; the n-th in short order n times as long.
        /// Default: 30s.
        optional base_ejection_time: Span,
        /// Longest ejection, before jitter. Default: 300s, or the base if that is longer.
        optional max_ejection_time: Span,
        /// Ejections last up to this much longer, by a draw. Default: 0s.
        optional max_ejection_time_jitter: Span,
        /// Most backends out at once, as a share of all. With the default of 10% and fewer than
        /// ten backends nobody is ever ejected. Default: 10%.
        optional max_ejection_percent: Ratio,
        /// One may be ejected whatever the share says. Default: false.
        optional always_eject_one: bool,
        /// Count errors and time-outs before a response apart from 5xx. Default: false, they count
        /// as 503 and 504.
        optional split_local_origin_errors: bool,
        /// 5xx in a row that eject. Default: 5.
        optional consecutive_5xx: Count,
        /// How often they do. Default: 100%.
        optional enforcing_consecutive_5xx: Ratio,
        /// 502, 503 or 504 in a row that eject. Default: 5.
        optional consecutive_gateway_failure: Count,
        /// How often they do. Default: 0%.
        optional enforcing_consecutive_gateway_failure: Ratio,
        /// Local errors in a row that eject, if they are split. Default: 5.
        optional consecutive_local_origin_failure: Count,
        /// How often they do. Default: 100%.
        optional enforcing_consecutive_local_origin_failure: Ratio,
        /// Fewest backends, and with enough requests, to compare success rates. Default: 5.
        optional success_rate_minimum_hosts: Count,
        /// Fewest requests of a backend in an interval to judge its success rate. Default: 100.
        optional success_rate_request_volume: Count,
        /// Standard deviations below the mean at which a success rate ejects. Default: 1.9.
        optional success_rate_stdev_factor: f64,
        /// How often it does. Default: 100%.
        optional enforcing_success_rate: Ratio,
        /// The same by local errors, if they are split. Default: 100%.
        optional enforcing_local_origin_success_rate: Ratio,
        /// Share of failed requests in an interval that ejects. Default: 85%.
        optional failure_percentage_threshold: Ratio,
        /// Fewest backends, and with enough requests, to judge it. Default: 5.
        optional failure_percentage_minimum_hosts: Count,
        /// Fewest requests of a backend in an interval to judge it. Default: 50.
        optional failure_percentage_request_volume: Count,
        /// How often it ejects. Default: 0%.
        optional enforcing_failure_percentage: Ratio,
        /// The same by local errors, if they are split. Default: 0%.
        optional enforcing_failure_percentage_local_origin: Ratio,
    }
}

section! {
    /// How many retries there may be. Beyond it the response or error is passed on.
    pub(crate) struct BudgetSection {
        /// Most retries at once, as a share of the requests at the backends, retries included, and
        /// of those that wait (Envoy). Default: 20%, or no limit of this kind if `ratio` is given.
        optional percent: Ratio,
        /// This many at once are always allowed. Default: 3.
        optional min_concurrency: u32,
        /// Most retries over time, as a share of the requests (Finagle). Default: no limit of this
        /// kind.
        optional ratio: Ratio,
        /// How long a request counts for `ratio`. Default: 10s.
        optional ttl: Span,
        /// This many retries a second are allowed on top of `ratio`. Default: 10.
        optional min_per_second: f64,
    }
}

section! {
    /// The pause before a retry: drawn between zero and a bound that doubles (full jitter, Envoy).
    pub(crate) struct BackoffSection {
        /// The bound before the first retry. Default: 25ms.
        optional base: Span,
        /// The largest bound. Default: ten times the base.
        optional max: Span,
    }
}

section! {
    /// Hedged requests: when the answer to a first attempt is late, another backend is asked too,
    /// and the first good answer counts. Only requests that may be sent twice.
    pub(crate) struct HedgeSection {
        /// The answer is late after this. Default: by `quantile`.
        optional delay: Span,
        /// The answer is late after this running quantile of the times to a response. Default: 95%.
        optional quantile: Ratio,
        /// But never before this. Default: 1ms.
        optional at_least: Span,
        /// Most hedges over ten seconds, as a share of the requests; one a second is always allowed.
        /// Default: 10%.
        optional budget: Ratio,
        /// Most hedges at once; 0 is no limit. Default: 0.
        optional max_in_flight: u32,
    }
}

section! {
    /// Session affinity: a cookie names the backend that served a session before, by a hash that
    /// does not give its name away. The sessions of lab's own traffic are its keys.
    pub(crate) struct AffinitySection {
        /// Name of the cookie. Default: lab_peer.
        optional cookie: String,
        /// How long a session lasts once the cookie is set. Default: as long as the browser runs.
        optional ttl: Span,
        /// Key of the hash; who knows it can find out which backend a cookie names. Default: none.
        optional secret: String,
        /// `Path` of the cookie. Default: /.
        optional path: String,
        /// Scripts do not see the cookie. Default: true.
        optional http_only: bool,
        /// The cookie is sent over TLS only. Default: false.
        optional secure: bool,
        /// Whether the requests of other sites carry the cookie: strict, lax or none. Default: lax.
        optional same_site: SameSite,
    }
}

choice! { SameSite: "word for `SameSite`",
    "strict" => Self::Strict,
    "lax" => Self::Lax,
    "none" => Self::None,
}
