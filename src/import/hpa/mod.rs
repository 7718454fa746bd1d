//! Horizontal Pod Autoscalers of Kubernetes (`autoscaling/v2`, and what v1 says) as autoscalers of
//! scenarios, and back.
//!
//! Resources and metrics of pods are those of the instances, metrics of an object those of the
//! balancer, and external ones are asked of Prometheus. What a manifest says and a scenario cannot is
//! noted with its line.

mod metrics;
mod names;
mod quantity;
mod read;
mod scenario;
mod write;

pub use read::read;
pub use write::manifest;

use super::NotTaken;
use crate::policy::scale::ScaleConfig;

/// An autoscaler as a manifest has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hpa {
    /// The file that was read.
    pub file: String,
    /// What is scaled, as a name that scenarios allow.
    pub group: String,
    /// The autoscaler, with the defaults of Kubernetes for what the manifest does not say.
    pub scale: ScaleConfig,
    /// What was not taken over, in the order of the lines.
    pub not_taken: Vec<NotTaken>,
}

/// Whether a text is such a manifest, or a stream of documents with one.
#[must_use]
pub fn is_manifest(text: &str) -> bool {
    let is_kind = |line: &str| {
        let value = line.trim().strip_prefix("kind:").map(str::trim);
        value.is_some_and(|kind| kind.trim_matches(['"', '\'']) == KIND)
    };
    text.lines().any(is_kind)
}

const KIND: &str = "HorizontalPodAutoscaler";

#[cfg(test)]
mod tests;
