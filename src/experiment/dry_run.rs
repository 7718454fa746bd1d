//! The timeline of a run as what a rule of scaling is tried on.

use std::collections::BTreeMap;
use std::path::Path;

use crate::policy::PeerState;
use crate::policy::scale::{RecordedRow, Recording, ScaleMetric};
use crate::record::{NO_UPSTREAM, RecordError, TimelineRow, read};
use crate::units::{Nanos, Span, World};

/// The load of `group` in the `timeline.parquet` of a run: of the live world if it was there, of its
/// first round. Of a share, what the timeline has is that of the workers in the model, and that of
/// the process' CPU in the live world.
///
/// # Errors
/// When the file cannot be read, or holds nothing of the group.
pub fn recording(path: &Path, group: &str, metric: ScaleMetric) -> Result<Recording, RecordError> {
    let names = read::facts(path)?.names.upstreams;
    let is_member = |name: &str| {
        let number = name.strip_prefix(group).and_then(|rest| rest.strip_prefix('-'));
        name == group || number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let member: Vec<bool> = names.iter().map(|name| is_member(name)).collect();
    let mut worlds: BTreeMap<bool, BTreeMap<u32, Second>> = BTreeMap::new();
    read::timeline(path, |row: &TimelineRow| {
        let counts = row.upstream != NO_UPSTREAM
            && row.replication == 0
            && member.get(row.upstream as usize) == Some(&true);
        if counts {
            let world = worlds.entry(row.world == World::Live).or_default();
            world.entry(row.second).or_default().take_in(row, metric);
        }
    })?;
    let Some((_, seconds)) = worlds.pop_last() else {
        let why = format!("no backend in it belongs to the group `{group}`");
        return Err(RecordError::malformed(path, "the timeline of a run", why));
    };
    let first = seconds.first_key_value().map_or(0, |(second, _)| *second);
    let row = |(second, of): (u32, Second)| RecordedRow {
        at: Nanos::ZERO + Span::from_secs(u64::from(second - first)),
        instances: of.instances,
        mean: (of.measured > 0).then(|| of.sum / f64::from(of.measured)),
    };
    Ok(Recording { rows: seconds.into_iter().map(row).collect() })
}

/// What a second holds of the group.
#[derive(Default)]
struct Second {
    instances: u32,
    measured: u32,
    sum: f64,
}

impl Second {
    fn take_in(&mut self, row: &TimelineRow, metric: ScaleMetric) {
        if row.state == PeerState::Removed {
            return;
        }
        self.instances += 1;
        let value = match metric {
            ScaleMetric::Utilization | ScaleMetric::Cpu => f64::from(row.cpu),
            ScaleMetric::InFlight => f64::from(row.in_flight),
            ScaleMetric::Queue => f64::from(row.queue),
            ScaleMetric::Requests => f64::from(row.finished),
        };
        if value.is_finite() {
            self.measured += 1;
            self.sum += value;
        }
    }
}
