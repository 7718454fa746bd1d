//! Outlier detection: a peer whose answers are worse than they should be is ejected for a while.
//!
//! Envoy's rules to the letter (`source/common/upstream/outlier_detection_impl.cc`). Errors in a
//! row eject at once; success rate and failure percentage are judged at the ticks of an interval
//! over the last full one; an ejection ends at a tick only, and lasts longer each time. When
//! picks learn of a change is another matter: at once, or under Envoy's rules as `merge_window` says.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::success_rate::{Rate, Window, threshold};
use crate::policy::outcome::Outcome;
use crate::policy::peer::PeerId;
use crate::units::{Nanos, Purpose, Ratio, Seed, Span};

/// Outlier detection as configured; names and defaults are Envoy's.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlierConfig {
    /// Time between ticks; positive.
    pub interval: Span,
    /// How long the first ejection lasts at least.
    pub base_ejection_time: Span,
    /// What a longer ejection is cut to, before jitter.
    pub max_ejection_time: Span,
    /// Up to this much is added to an ejection, drawn uniformly.
    pub max_ejection_time_jitter: Span,
    /// Most ejected peers at once, as a share of the group.
    pub max_ejection_percent: Ratio,
    /// One may be ejected whatever the share says.
    pub always_eject_one: bool,
    /// Errors and time-outs before a response are counted apart from 5xx.
    pub split_local_origin_errors: bool,
    /// 5xx in a row.
    pub consecutive_5xx: Consecutive,
    /// 502, 503 or 504 in a row.
    pub consecutive_gateway_failure: Consecutive,
    /// Local errors in a row, if they are split.
    pub consecutive_local_origin_failure: Consecutive,
    /// A success rate far below that of the others.
    pub success_rate: SuccessRate,
    /// A failure percentage above a fixed bound.
    pub failure_percentage: FailurePercentage,
}

/// Errors in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consecutive {
    /// How many; at least 1.
    pub threshold: u32,
    /// Probability that a detection leads to an ejection.
    pub enforcing: Ratio,
}

/// Success rate against the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuccessRate {
    /// Fewest peers in the group, and with enough requests.
    pub minimum_hosts: u32,
    /// Fewest requests in an interval.
    pub request_volume: u32,
    /// How many standard deviations below the mean.
    pub stdev_factor: f64,
    /// Probability that a detection leads to an ejection.
    pub enforcing: Ratio,
    /// The same for local errors, if they are split.
    pub enforcing_local_origin: Ratio,
}

/// Failure percentage against a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailurePercentage {
    /// The bound.
    pub threshold: Ratio,
    /// Fewest peers in the group.
    pub minimum_hosts: u32,
    /// Fewest requests in an interval.
    pub request_volume: u32,
    /// Probability that a detection leads to an ejection.
    pub enforcing: Ratio,
    /// The same for local errors, if they are split.
    pub enforcing_local_origin: Ratio,
}

impl Default for OutlierConfig {
    fn default() -> Self {
        let always = |threshold| Consecutive { threshold, enforcing: Ratio(1.0) };
        Self {
            interval: Span::from_secs(10),
            base_ejection_time: Span::from_secs(30),
            max_ejection_time: Span::from_secs(300),
            max_ejection_time_jitter: Span::ZERO,
            max_ejection_percent: Ratio(0.1),
            always_eject_one: false,
            split_local_origin_errors: false,
            consecutive_5xx: always(5),
            consecutive_gateway_failure: Consecutive { threshold: 5, enforcing: Ratio(0.0) },
            consecutive_local_origin_failure: always(5),
            success_rate: SuccessRate {
                minimum_hosts: 5,
                request_volume: 100,
                stdev_factor: 1.9,
                enforcing: Ratio(1.0),
                enforcing_local_origin: Ratio(1.0),
            },
            failure_percentage: FailurePercentage {
                threshold: Ratio(0.85),
                minimum_hosts: 5,
                request_volume: 50,
                enforcing: Ratio(0.0),
                enforcing_local_origin: Ratio(0.0),
            },
        }
    }
}

/// Why a peer was found to be an outlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutlierKind {
    /// 5xx in a row.
    Consecutive5xx,
    /// 502, 503 or 504 in a row.
    ConsecutiveGatewayFailure,
    /// Local errors in a row.
    ConsecutiveLocalOriginFailure,
    /// Success rate far below the others'.
    SuccessRate,
    /// Success rate by local errors.
    LocalOriginSuccessRate,
    /// Too many failures.
    FailurePercentage,
    /// Too many local failures.
    LocalOriginFailurePercentage,
}

impl OutlierKind {
    /// As metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consecutive5xx => "consecutive_5xx",
            Self::ConsecutiveGatewayFailure => "consecutive_gateway_failure",
            Self::ConsecutiveLocalOriginFailure => "consecutive_local_origin_failure",
            Self::SuccessRate => "success_rate",
            Self::LocalOriginSuccessRate => "success_rate_local_origin",
            Self::FailurePercentage => "failure_percentage",
            Self::LocalOriginFailurePercentage => "failure_percentage_local_origin",
        }
    }

    /// As events name it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Consecutive5xx => "outlier: consecutive 5xx",
            Self::ConsecutiveGatewayFailure => "outlier: consecutive gateway failures",
            Self::ConsecutiveLocalOriginFailure => "outlier: consecutive local errors",
            Self::SuccessRate => "outlier: success rate",
            Self::LocalOriginSuccessRate => "outlier: success rate of connections",
            Self::FailurePercentage => "outlier: failure percentage",
            Self::LocalOriginFailurePercentage => "outlier: failure percentage of connections",
        }
    }
}

/// What detection has come to so far, as Envoy counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutlierCounts {
    /// Detections by kind, whether or not they led to an ejection.
    pub detected: BTreeMap<OutlierKind, u64>,
    /// Ejections.
    pub enforced: u64,
    /// Detections without effect, since enough peers were ejected.
    pub overflow: u64,
}

impl AddAssign<&Self> for OutlierCounts {
    fn add_assign(&mut self, other: &Self) {
        for (kind, count) in &other.detected {
            *self.detected.entry(*kind).or_default() += count;
        }
        self.enforced += other.enforced;
        self.overflow += other.overflow;
    }
}

/// Something that happened to an attempt, as detection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Observation {
    /// A response head.
    Status(u16),
    /// None came; the status that stands for it.
    Local(u16),
}

impl Observation {
    /// A connection that broke counts as 503 and a time-out as 504; a client that left says
    /// nothing (`putResultNoLocalExternalSplit`).
    pub(in crate::policy) const fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::ConnectFailed | Outcome::Closed { .. } | Outcome::InvalidHead => {
                Some(Self::Local(503))
            }
            Outcome::ConnectTimedOut | Outcome::ReadTimedOut => Some(Self::Local(504)),
            _ => None,
        }
    }
}

/// What is known of one peer.
#[derive(Clone, Debug, Default)]
struct Record {
    member: bool,
    fives: u32,
    gateway: u32,
    local: u32,
    external_rate: Window,
    local_rate: Window,
    ejected: Option<Nanos>,
    jitter: Span,
    /// How many times the base an ejection lasts.
    backoff: u32,
    ejections: u16,
    returned: Option<Nanos>,
}

/// The detector of one group.
#[derive(Debug)]
pub(in crate::policy) struct Detector {
    config: OutlierConfig,
    seed: Seed,
    /// Peer `i` at `i`.
    records: Vec<Record>,
    next_tick: Option<Nanos>,
    counts: OutlierCounts,
}

impl Detector {
    pub(in crate::policy) fn new(config: OutlierConfig, seed: Seed) -> Self {
        Self {
            config,
            seed,
            records: Vec::new(),
            next_tick: None,
            counts: OutlierCounts::default(),
        }
    }

    pub(in crate::policy) const fn counts(&self) -> &OutlierCounts {
        &self.counts
    }

    /// `peer` is in the group.
    pub(in crate::policy) fn join(&mut self, peer: PeerId) {
        if self.records.len() <= peer.index() {
            self.records.resize_with(peer.index() + 1, Record::default);
        }
        self.records[peer.index()].member = true;
    }

    /// `peer` left the group, and with it the count of those ejected.
    pub(in crate::policy) fn leave(&mut self, peer: PeerId) {
        if let Some(record) = self.records.get_mut(peer.index()) {
            *record = Record::default();
        }
    }

    /// When [`Self::tick`] is due; at once while the ticks have not started.
    pub(in crate::policy) fn next_tick(&self) -> Nanos {
        self.next_tick.unwrap_or(Nanos::ZERO)
    }

    /// An attempt at `peer` showed something; why the peer is to be ejected, if it is.
    pub(in crate::policy) fn observe(
        &mut self,
        now: Nanos,
        peer: PeerId,
        seen: Observation,
    ) -> Option<OutlierKind> {
        let split = self.config.split_local_origin_errors;
        let record = self.records.get_mut(peer.index())?;
        match seen {
            Observation::Local(_) if split => {
                record.local_rate.add(false);
                record.local += 1;
                self.judge_local(now, peer)
            }
            Observation::Status(status) => {
                if split {
                    record.local_rate.add(true);
                    record.local = 0;
                }
                self.judge_status(now, peer, status)
            }
            Observation::Local(status) => self.judge_status(now, peer, status),
        }
    }

    /// `putHttpResponseCode`.
    fn judge_status(&mut self, now: Nanos, peer: PeerId, status: u16) -> Option<OutlierKind> {
        let Self { config, records, .. } = self;
        let record = records.get_mut(peer.index())?;
        let fails = (500..600).contains(&status);
        record.external_rate.add(!fails);
        if !fails {
            (record.fives, record.gateway) = (0, 0);
            return None;
        }
        let gateway = matches!(status, 502..=504);
        record.gateway = if gateway { record.gateway + 1 } else { 0 };
        record.fives += 1;
        let fires_gateway =
            gateway && record.gateway == config.consecutive_gateway_failure.threshold;
        let fires_fives = record.fives == config.consecutive_5xx.threshold;
        let mut verdict = None;
        if fires_gateway && record.ejected.is_none() {
            record.gateway = 0;
            let enforcing = config.consecutive_gateway_failure.enforcing;
            verdict = self.detect(now, peer, OutlierKind::ConsecutiveGatewayFailure, enforcing);
        }
        let record = self.records.get_mut(peer.index())?;
        if fires_fives && record.ejected.is_none() {
            record.fives = 0;
            let enforcing = self.config.consecutive_5xx.enforcing;
            verdict = self.detect(now, peer, OutlierKind::Consecutive5xx, enforcing);
        }
        verdict
    }

    fn judge_local(&mut self, now: Nanos, peer: PeerId) -> Option<OutlierKind> {
        let Consecutive { threshold, enforcing } = self.config.consecutive_local_origin_failure;
        let record = self.records.get_mut(peer.index())?;
        if record.local != threshold || record.ejected.is_some() {
            return None;
        }
        record.local = 0;
        self.detect(now, peer, OutlierKind::ConsecutiveLocalOriginFailure, enforcing)
    }

    /// `ejectHost`: counts the detection, and ejects if that is allowed and enforced.
    fn detect(
        &mut self,
        now: Nanos,
        peer: PeerId,
        kind: OutlierKind,
        enforcing: Ratio,
    ) -> Option<OutlierKind> {
        *self.counts.detected.entry(kind).or_default() += 1;
        let (members, ejected) = self.census();
        let share = 100.0 * (ejected + 1) as f64 / members.max(1) as f64;
        let first_of_all = ejected == 0 && self.config.always_eject_one;
        if share > 100.0 * self.config.max_ejection_percent.0 + 1e-9 && !first_of_all {
            self.counts.overflow += 1;
            return None;
        }
        let Self { config, records, seed, .. } = self;
        let record = records.get_mut(peer.index())?;
        let mut draw = seed.draw(Purpose::Outlier, u64::from(peer.0), record.ejections);
        record.ejections = record.ejections.wrapping_add(1);
        if enforcing.0 < 1.0 && draw.uniform() >= enforcing.0 {
            return None;
        }
        record.ejected = Some(now);
        record.jitter = config.max_ejection_time_jitter.scaled(draw.uniform());
        let longest = config.max_ejection_time + config.base_ejection_time;
        if config.base_ejection_time * u64::from(record.backoff) < longest {
            record.backoff += 1;
        }
        self.counts.enforced += 1;
        Some(kind)
    }

    fn census(&self) -> (usize, usize) {
        let members = self.records.iter().filter(|record| record.member);
        members.fold((0, 0), |(all, out), record| {
            (all + 1, out + usize::from(record.ejected.is_some()))
        })
    }

    /// A health check of `peer` passed; whether that returns it.
    pub(in crate::policy) fn check_passed(&mut self, now: Nanos, peer: PeerId) -> bool {
        let Some(record) = self.records.get_mut(peer.index()) else { return false };
        let returns = record.ejected.is_some();
        if returns {
            record.come_back(now);
        }
        returns
    }

    /// Lets time pass to `now`. Gives the peers that return, then those that are ejected.
    pub(in crate::policy) fn tick(&mut self, now: Nanos) -> Changes {
        let mut changes = Changes::default();
        let Some(due) = self.next_tick else {
            self.next_tick = Some(now + self.config.interval);
            return changes;
        };
        if now < due {
            return changes;
        }
        let missed = now.since(due).0 / self.config.interval.0.max(1);
        self.next_tick = Some(due + self.config.interval * (missed + 1));
        for place in 0..self.records.len() {
            if self.records[place].end_interval(now, &self.config) {
                changes.returned.push(PeerId(place as u32));
            }
        }
        self.judge_rates(now, false, &mut changes);
        if self.config.split_local_origin_errors {
            self.judge_rates(now, true, &mut changes);
        }
        changes
    }

    /// `processSuccessRateEjections`.
    fn judge_rates(&mut self, now: Nanos, local: bool, changes: &mut Changes) {
        let SuccessRate { minimum_hosts, request_volume, stdev_factor, .. } =
            self.config.success_rate;
        let failures = self.config.failure_percentage;
        let (members, _) = self.census();
        let rates = self.rates(local);
        let busy = |volume: u32| rates.iter().filter(move |rate| rate.volume >= volume);
        let mut found = Vec::new();
        let judged: Vec<f64> = busy(request_volume).map(|rate| rate.percent).collect();
        if members >= minimum_hosts as usize && judged.len() >= minimum_hosts as usize {
            let bound = threshold(&judged, stdev_factor);
            let (kind, enforcing) = if local {
                let enforcing = self.config.success_rate.enforcing_local_origin;
                (OutlierKind::LocalOriginSuccessRate, enforcing)
            } else {
                (OutlierKind::SuccessRate, self.config.success_rate.enforcing)
            };
            let below = busy(request_volume).filter(|rate| rate.percent < bound);
            found.extend(below.map(|rate| (rate.peer, kind, enforcing)));
        }
        if members >= failures.minimum_hosts as usize
            && busy(failures.request_volume).count() >= failures.minimum_hosts as usize
        {
            let (kind, enforcing) = if local {
                (OutlierKind::LocalOriginFailurePercentage, failures.enforcing_local_origin)
            } else {
                (OutlierKind::FailurePercentage, failures.enforcing)
            };
            let bound = 100.0 * failures.threshold.0;
            let above = busy(failures.request_volume).filter(|rate| 100.0 - rate.percent >= bound);
            found.extend(above.map(|rate| (rate.peer, kind, enforcing)));
        }
        for (peer, kind, enforcing) in found {
            let ejected = |record: &Record| record.ejected.is_some();
            if !self.records.get(peer.index()).is_some_and(ejected) {
                let verdict = self.detect(now, peer, kind, enforcing);
                changes.ejected.extend(verdict.map(|kind| (peer, kind)));
            }
        }
    }

    /// Rates of the last full interval of peers that are not ejected and had requests.
    fn rates(&self, local: bool) -> Vec<Rate> {
        let records = self.records.iter().enumerate();
        let open = records.filter(|(_, record)| record.member && record.ejected.is_none());
        open.filter_map(|(place, record)| {
            let window = if local { &record.local_rate } else { &record.external_rate };
            window.last(PeerId(place as u32))
        })
        .collect()
    }
}

/// What a tick did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct Changes {
    pub(in crate::policy) returned: Vec<PeerId>,
    pub(in crate::policy) ejected: Vec<(PeerId, OutlierKind)>,
}

impl Record {
    /// `checkHostForUneject`, and a new interval; whether the peer returns.
    fn end_interval(&mut self, now: Nanos, config: &OutlierConfig) -> bool {
        self.external_rate.turn();
        self.local_rate.turn();
        let Some(since) = self.ejected else {
            let settled = |returned| now.since(returned) >= config.interval;
            if self.returned.is_some_and(settled) {
                self.backoff = self.backoff.saturating_sub(1);
            }
            return false;
        };
        let lasts = config.base_ejection_time * u64::from(self.backoff);
        let returns = now.since(since) >= lasts.min(config.max_ejection_time) + self.jitter;
        if returns {
            self.come_back(now);
        }
        returns
    }

    fn come_back(&mut self, now: Nanos) {
        self.ejected = None;
        self.returned = Some(now);
        (self.fives, self.gateway, self.local) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests;
