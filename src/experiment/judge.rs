//! From how the live rounds went to the facts by which they are judged.

use super::reality::Round;
use crate::compare::validity::judge;
use crate::compare::{Digest, Little, LiveFacts, ProcessExit, Validity, validity};
use crate::host::usage;

/// The judgement over all rounds; `None` if the live world did not run.
pub(super) fn validity(rounds: &[Round], digests: &[Digest]) -> Option<Validity> {
    Validity::worst(rounds.iter().zip(digests).map(|(round, digest)| judge(&facts(round, digest))))
}

fn facts(round: &Round, digest: &Digest) -> LiveFacts {
    let (run, load) = (&round.run, &round.run.load);
    LiveFacts {
        schedule_error_p99_ns: load.schedule_error_p99_ns,
        latency_p50_ns: digest.summary().latency.p50.value as u64,
        generator_cpu: load.busiest_thread_cpu_ns as f64 / load.wall_ns.max(1) as f64,
        stolen_cpu: run.stolen,
        waited_for_core_ns: run.waited_for_core.0 / load.requests.max(1),
        dropped: load.dropped,
        descriptors_used: run.descriptors,
        descriptors_limit: usage::descriptor_limit(),
        connections_opened: load.connections_opened,
        ports: usage::local_ports(),
        clock_drift_ns: run.clock_drift_ns,
        in_flight_mean: load.littles_law.mean_in_flight,
        little: Little {
            throughput: load.littles_law.throughput_per_second,
            response_s: load.littles_law.mean_residence_ns as f64 / 1e9,
        },
        faults: proofs(round),
        exits: exits(round),
    }
}

fn proofs(round: &Round) -> Vec<validity::FaultProof> {
    let named = |proof: &crate::live::fault::FaultProof| validity::FaultProof {
        name: format!("{} on {}", proof.fault, proof.target),
        proved: proof.bit,
        observed: proof.during.clone(),
    };
    // A round that was cut short never came to its later faults.
    let reached = |proof: &&crate::live::fault::FaultProof| {
        round.run.interrupted.is_none() || !proof.during.is_empty()
    };
    round.run.proofs.iter().filter(reached).map(named).collect()
}

fn exits(round: &Round) -> Vec<ProcessExit> {
    let exit = |exit: &crate::live::ProgramExit| ProcessExit {
        name: exit.name.clone(),
        status: exit.status.clone(),
        expected: exit.orderly,
    };
    round.run.exits.iter().map(exit).collect()
}
