//! What would be done about the instances that a running Prometheus knows. Nothing is touched.
//!
//! The group stays as it is whatever is decided, so each decision that would change it is said, and
//! the next is made afresh for the group as Prometheus shows it then: cooldowns and windows begin
//! anew after a change that nobody made.

use std::future::Future;
use std::pin::pin;

use super::Failure;
use crate::autoscaler::{Happening, Prometheus};
use crate::host::clock;
use crate::policy::scale::{
    Change, InstanceSample, MetricsError, Phase, ScaleConfig, Scaler, Usage,
};
use crate::scenario::AutoscalerFacts;
use crate::units::{Nanos, Seed};

/// Asks and decides at each poll until `stop`.
pub(super) async fn run(
    prometheus: &Prometheus,
    facts: &AutoscalerFacts,
    seed: u64,
    mut say: impl FnMut(Nanos, &Happening),
    stop: impl Future<Output = std::io::Result<()>>,
) -> Result<(), Failure> {
    let mut stop = pin!(stop);
    eprintln!("dry run: nothing is started or stopped; asking `{}`", prometheus.query());
    let zero = clock::now();
    let mut scaler: Option<Scaler> = None;
    let mut next = Nanos::ZERO;
    loop {
        let wait = (zero + next.since(Nanos::ZERO)).since(clock::now());
        tokio::select! {
            _ = &mut stop => return Ok(()),
            () = tokio::time::sleep(wait.to_std()) => {}
        }
        let now = Nanos(clock::now().since(zero).0);
        let found = samples(prometheus, facts, now).await;
        let size = found.as_ref().map_or(facts.scale.initial, |found| found.len() as u32);
        let asked = scaler.take().filter(|scaler| found.is_err() || scaler.desired() == size);
        let mut asked = asked.unwrap_or_else(|| {
            let config = ScaleConfig { initial: size, ..facts.scale.clone() };
            Scaler::new(config, Seed::new(seed, 0))
        });
        let decision = match &found {
            Ok(samples) => asked.poll(now, Ok(samples)),
            Err(error) => asked.poll(now, Err(error.clone())),
        };
        next = asked.next_poll();
        scaler = (decision.change == Change::None).then_some(asked);
        say(now, &Happening::Decided(decision));
    }
}

/// An instance for each element of the answer, in the order of their labels.
async fn samples(
    prometheus: &Prometheus,
    facts: &AutoscalerFacts,
    now: Nanos,
) -> Result<Vec<InstanceSample>, MetricsError> {
    let mut elements = prometheus.ask().await.map_err(|error| MetricsError(error.to_string()))?;
    if elements.is_empty() {
        let why = format!("Prometheus knows nothing for `{}`", prometheus.query());
        return Err(MetricsError(why));
    }
    elements.sort_by(|a, b| a.metric.cmp(&b.metric));
    let from = Nanos(now.0.saturating_sub(facts.rate_window.0));
    let sample = |(slot, element): (u32, &crate::autoscaler::prometheus::Element)| InstanceSample {
        slot,
        phase: Phase::Ready,
        started_at: Nanos::ZERO,
        readiness_changed_at: Nanos::ZERO,
        usage: element.value().map(|value| Usage { value, from, until: now }),
    };
    Ok((0..).zip(&elements).map(sample).collect())
}
