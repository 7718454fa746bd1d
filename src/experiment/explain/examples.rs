//! Some requests in full: each attempt, and what its decision saw.

use super::rows::Rows;
use super::state::States;
use crate::compare::breakdown::breakdown;
use crate::compare::explanation::{Decision, Example, Saw};
use crate::experiment::recorded::Recorded;
use crate::record::{
    AttemptOutcome, AttemptRow, PickedBecause, RecordError, RequestError, RequestRow, read,
};
use crate::sim::{self, Options};
use crate::units::World;

/// `picked`, told from their attempts in `rows`.
pub(super) fn of(
    recorded: &Recorded,
    world: World,
    picked: &[RequestRow],
    rows: &Rows,
    states: &States,
) -> Result<Vec<Example>, RecordError> {
    if picked.is_empty() {
        return Ok(Vec::new());
    }
    let decided: Vec<AttemptRow> =
        picked.iter().flat_map(|row| rows.attempts_of(row.id)).copied().collect();
    let in_flight = in_flight(recorded, world, &decided)?;
    let reasons = if world == World::Sim { reasons(recorded, picked) } else { Vec::new() };
    let mut place = 0;
    let mut examples = Vec::new();
    for row in picked {
        let attempts = rows.attempts_of(row.id);
        let mut decisions = Vec::new();
        for attempt in attempts {
            let saw = saw(recorded, states, attempt, &in_flight[place]);
            place += 1;
            let reason = reasons
                .iter()
                .find(|(at, id, _)| *at == attempt.start_ns && *id == row.id)
                .map(|(_, _, text)| text.clone());
            decisions.push(decision(recorded, attempt, saw, reason));
        }
        examples.push(Example {
            world,
            id: row.id,
            due_ns: row.scheduled_ns,
            latency_ns: row.latency_ns(),
            ended: ended(row),
            parts: breakdown(row, attempts, states.disturbed()),
            decisions,
        });
    }
    Ok(examples)
}

/// Attempts in flight per server just before each decision, the decision's own request left out.
fn in_flight(
    recorded: &Recorded,
    world: World,
    decided: &[AttemptRow],
) -> Result<Vec<Vec<u32>>, RecordError> {
    let mut counts = vec![vec![0u32; recorded.layout().peers.len()]; decided.len()];
    read::attempts(&recorded.folder().join("attempts.parquet"), |row| {
        if row.world != world || row.replication != 0 || row.number == 0 {
            return;
        }
        for (counts, at) in counts.iter_mut().zip(decided) {
            if row.start_ns < at.start_ns
                && at.start_ns < row.end_ns
                && row.id != at.id
                && let Some(count) = counts.get_mut(row.upstream as usize)
            {
                *count += 1;
            }
        }
    })?;
    Ok(counts)
}

fn saw(recorded: &Recorded, states: &States, attempt: &AttemptRow, in_flight: &[u32]) -> Vec<Saw> {
    let peers = recorded.layout().peers.iter().zip(in_flight).enumerate();
    peers
        .map(|(place, (peer, in_flight))| {
            let mut state = states.of(place, attempt.start_ns);
            if state.is_empty() && peer.backup {
                "backup".clone_into(&mut state);
            }
            Saw { server: peer.name.clone(), in_flight: *in_flight, state }
        })
        .collect()
}

/// What the model says of these requests when it decides about them again: when, which request,
/// and why.
fn reasons(recorded: &Recorded, picked: &[RequestRow]) -> Vec<(u64, u64, String)> {
    let costs = recorded.costs().cloned().unwrap_or_default();
    let ids: Vec<u64> = picked.iter().map(|row| row.id).collect();
    let options = Options { costs, ..Options::default() };
    let steps = sim::trace_of(recorded.scenario(), &options, &ids);
    let picks = steps.into_iter().filter(|step| step.text.contains("→ "));
    picks
        .filter_map(|step| {
            let (_, rest) = step.text.split_once("→ ")?;
            let (_, why) = rest.trim().split_once(' ')?;
            let why = why.trim_start();
            let why = why.strip_prefix("retry, ").unwrap_or(why);
            Some((step.at.0, step.request?, why.to_owned()))
        })
        .collect()
}

fn decision(
    recorded: &Recorded,
    attempt: &AttemptRow,
    saw: Vec<Saw>,
    reason: Option<String>,
) -> Decision {
    let peers = &recorded.layout().peers;
    let server = peers.get(attempt.upstream as usize).map_or(String::new(), |it| it.name.clone());
    let because = match attempt.because {
        PickedBecause::Picked => "picked",
        PickedBecause::Retry => "retry",
        PickedBecause::Turn => "its turn had come",
        PickedBecause::Hedge => "hedge",
    };
    Decision {
        at_ns: attempt.start_ns,
        server: if attempt.number == 0 { String::new() } else { server },
        because: because.to_owned(),
        outcome: outcome(attempt),
        until_ns: attempt.end_ns.max(attempt.start_ns),
        saw: if attempt.number == 0 { Vec::new() } else { saw },
        reason,
    }
}

fn outcome(attempt: &AttemptRow) -> String {
    match attempt.outcome {
        AttemptOutcome::Passed => format!("answered {}", attempt.status),
        AttemptOutcome::StatusRetried => format!("answered {}, to be tried again", attempt.status),
        AttemptOutcome::ConnectFailed => "refused the connection".to_owned(),
        AttemptOutcome::ConnectTimedOut => "did not connect".to_owned(),
        AttemptOutcome::Closed => "broke the connection".to_owned(),
        AttemptOutcome::ReadTimedOut => "did not answer".to_owned(),
        AttemptOutcome::InvalidHead => "answered nonsense".to_owned(),
        AttemptOutcome::ClientGone => "left by its client".to_owned(),
        AttemptOutcome::Refused => {
            format!(
                "refused by the balancer with {}: no server may be picked, or the waiting line is full or too long",
                attempt.status
            )
        }
        AttemptOutcome::RetryWithheld => "not tried again: over the retry budget".to_owned(),
        AttemptOutcome::Superseded => "overtaken by the other attempt".to_owned(),
    }
}

fn ended(row: &RequestRow) -> String {
    match row.error {
        RequestError::None => format!("answered {}", row.status),
        RequestError::Timeout => "given up by its client".to_owned(),
        RequestError::Connect => "without a connection".to_owned(),
        RequestError::Reset => "its connection broken".to_owned(),
        RequestError::Invalid => "answered nonsense".to_owned(),
        RequestError::Dropped => "never sent: too many were in flight".to_owned(),
        RequestError::Interrupted => "interrupted".to_owned(),
    }
}
