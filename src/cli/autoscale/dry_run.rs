//! What would be done about the instances that a running Prometheus knows. Nothing is touched.
//!
//! The group stays as it is whatever is decided, so each decision that would change it is said, and
//! the next is made afresh for the group as Prometheus shows it then: cooldowns and windows begin
//! anew after a change that nobody made.

use std::future::Future;
use std::pin::pin;

use super::Failure;
use crate::autoscaler::prometheus::Element;
use crate::autoscaler::{Happening, Prometheus};
use crate::host::clock;
use crate::policy::scale::{
    Change, InstanceSample, MetricsError, Phase, Reading, ScaleConfig, Scaler, Usage,
};
use crate::scenario::AutoscalerFacts;
use crate::units::{Nanos, Seed};

/// Asks and decides at each poll until `stop`.
pub(super) async fn run(
    asked: &[&Prometheus],
    facts: &AutoscalerFacts,
    seed: u64,
    mut say: impl FnMut(Nanos, &Happening),
    stop: impl Future<Output = std::io::Result<()>>,
) -> Result<(), Failure> {
    let mut stop = pin!(stop);
    if facts.scale.by_instances().is_none() {
        let what = "a dry run learns from a metric of the instances which there are: none is";
        return Err(Failure::usage(what));
    }
    let queries: Vec<_> = asked.iter().map(|one| format!("`{}`", one.query())).collect();
    eprintln!("dry run: nothing is started or stopped; asking {}", queries.join(", "));
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
        let found = known(asked, facts, now).await;
        let size = found.as_ref().map_or(facts.scale.initial, |found| found.instances.len() as u32);
        let kept = scaler.take().filter(|scaler| found.is_err() || scaler.desired() == size);
        let mut polled = kept.unwrap_or_else(|| {
            let config = ScaleConfig { initial: size, ..facts.scale.clone() };
            Scaler::new(config, Seed::new(seed, 0))
        });
        let decision = match &found {
            Ok(found) => polled.poll(now, Ok((&found.instances, &found.readings))),
            Err(error) => polled.poll(now, Err(error.clone())),
        };
        next = polled.next_poll();
        scaler = (decision.change == Change::None).then_some(polled);
        say(now, &Happening::Decided(decision));
    }
}

/// What Prometheus knows.
struct Known {
    instances: Vec<InstanceSample>,
    readings: Vec<Result<Reading, MetricsError>>,
}

/// An instance for each element of the answer about the first metric of theirs, in the order of
/// their labels; another metric's are told apart by their label `instance`.
async fn known(
    asked: &[&Prometheus],
    facts: &AutoscalerFacts,
    now: Nanos,
) -> Result<Known, MetricsError> {
    let mut names: Option<Vec<String>> = None;
    let mut readings = Vec::new();
    for (metric, prometheus) in facts.scale.metrics.iter().zip(asked) {
        if metric.of_instances().is_none() {
            readings.push(prometheus.sum().await.map(Reading::Whole));
            continue;
        }
        let mut elements = match prometheus.ask().await {
            Ok(elements) => elements,
            Err(error) if names.is_none() => return Err(MetricsError(error.to_string())),
            Err(error) => {
                readings.push(Err(MetricsError(error.to_string())));
                continue;
            }
        };
        elements.sort_by(|a, b| a.metric.cmp(&b.metric));
        let name = |element: &Element| element.metric.get("instance").cloned().unwrap_or_default();
        let known = names.get_or_insert_with(|| elements.iter().map(name).collect());
        if known.is_empty() {
            let why = format!("Prometheus knows nothing for `{}`", prometheus.query());
            return Err(MetricsError(why));
        }
        let from = Nanos(now.0.saturating_sub(facts.rate_window.0));
        let mut usages = Vec::new();
        for (place, element) in elements.iter().enumerate() {
            let slot = known.iter().position(|known| *known == name(element)).unwrap_or(place);
            // Without such a label they are told apart by their order.
            let slot = if known[0].is_empty() { place } else { slot };
            let usage = element.value().map(|value| Usage { value, from, until: now });
            usages.extend(usage.map(|usage| (slot as u32, usage)));
        }
        readings.push(Ok(Reading::Instances(usages)));
    }
    let sample = |slot| InstanceSample {
        slot,
        phase: Phase::Ready,
        started_at: Nanos::ZERO,
        readiness_changed_at: Nanos::ZERO,
    };
    let count = names.map_or(0, |names| names.len() as u32);
    Ok(Known { instances: (0..count).map(sample).collect(), readings })
}
