//! Writes a manifest.

use serde::Serialize;

use super::{KIND, names, quantity};
use crate::policy::scale::{
    Behavior, PolicyKind, ScaleConfig, ScaleRule, ScalingRules, SelectPolicy, TargetConfig,
};

/// An `autoscaling/v2` manifest for the autoscaler of `group`, a deployment, and what of it the
/// manifest does not say. `None` for a rule other than that of the HPA.
#[must_use]
pub fn manifest(group: &str, scale: &ScaleConfig) -> Option<(String, Vec<&'static str>)> {
    let ScaleRule::Target(target) = &scale.rule else { return None };
    let manifest = Manifest {
        api_version: "autoscaling/v2",
        kind: KIND,
        metadata: Metadata { name: group },
        spec: Spec {
            scale_target_ref: TargetRef { api_version: "apps/v1", kind: "Deployment", name: group },
            min_replicas: scale.min,
            max_replicas: scale.max,
            metrics: [metric(scale, target)],
            behavior: target.behavior.as_ref().map(Rules::of_both),
        },
    };
    let text = serde_saphyr::to_string(&manifest).ok()?;
    Some((text, left_out(scale, target)))
}

/// What is set for the whole controller, or is lab's own.
fn left_out(scale: &ScaleConfig, target: &TargetConfig) -> Vec<&'static str> {
    let usual = TargetConfig::new(target.value);
    let plain = ScaleConfig::new(scale.min, scale.max);
    let checks = [
        (
            scale.poll != plain.poll,
            "poll: --horizontal-pod-autoscaler-sync-period of the controller",
        ),
        (
            target.tolerance != usual.tolerance,
            "tolerance: --horizontal-pod-autoscaler-tolerance of the controller",
        ),
        (
            target.stabilization != usual.stabilization,
            "stabilization: --horizontal-pod-autoscaler-downscale-stabilization of the controller",
        ),
        (
            target.initialization != usual.initialization,
            "initialization: --horizontal-pod-autoscaler-cpu-initialization-period of the controller",
        ),
        (
            target.initial_readiness_delay != usual.initial_readiness_delay,
            "initial_readiness_delay: --horizontal-pod-autoscaler-initial-readiness-delay of the \
             controller",
        ),
        (scale.cooldown_up != plain.cooldown_up, "cooldown_up: the HPA has none"),
        (scale.cooldown_down != plain.cooldown_down, "cooldown_down: the HPA has none"),
        (scale.max_step_up.is_some(), "max_step_up: a policy of scaleUp says the like"),
        (scale.max_step_down.is_some(), "max_step_down: a policy of scaleDown says the like"),
    ];
    checks.into_iter().filter(|(differs, _)| *differs).map(|(_, what)| what).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    scale_target_ref: TargetRef<'a>,
    min_replicas: u32,
    max_replicas: u32,
    metrics: [Metric; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    behavior: Option<Both>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetRef<'a> {
    api_version: &'static str,
    kind: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Metric {
    Resource { resource: Resource },
    Pods { pods: Pods },
}

#[derive(Serialize)]
struct Resource {
    name: &'static str,
    target: Utilization,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Utilization {
    r#type: &'static str,
    average_utilization: u32,
}

#[derive(Serialize)]
struct Pods {
    metric: MetricName,
    target: Average,
}

#[derive(Serialize)]
struct MetricName {
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Average {
    r#type: &'static str,
    average_value: String,
}

fn metric(scale: &ScaleConfig, target: &TargetConfig) -> Metric {
    match names::of(scale.metric) {
        None => {
            let average_utilization = (target.value * 100.0).round().max(1.0) as u32;
            let target = Utilization { r#type: "Utilization", average_utilization };
            Metric::Resource { resource: Resource { name: "cpu", target } }
        }
        Some(name) => {
            let average_value = quantity::show(target.value);
            let target = Average { r#type: "AverageValue", average_value };
            Metric::Pods { pods: Pods { metric: MetricName { name }, target } }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Both {
    scale_up: Rules,
    scale_down: Rules,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    #[serde(skip_serializing_if = "Option::is_none")]
    stabilization_window_seconds: Option<u64>,
    select_policy: &'static str,
    policies: Vec<Policy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerance: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    r#type: &'static str,
    value: u32,
    period_seconds: u64,
}

impl Rules {
    fn of_both(behavior: &Behavior) -> Both {
        Both { scale_up: Self::of(&behavior.up), scale_down: Self::of(&behavior.down) }
    }

    fn of(rules: &ScalingRules) -> Self {
        let policies = rules.policies.iter().map(|policy| Policy {
            r#type: match policy.kind {
                PolicyKind::Pods => "Pods",
                PolicyKind::Percent => "Percent",
            },
            value: policy.value,
            // Kubernetes counts whole seconds.
            period_seconds: policy.period.0.div_ceil(1_000_000_000).max(1),
        });
        Self {
            stabilization_window_seconds: rules
                .stabilization
                .map(|window| window.0.div_ceil(1_000_000_000)),
            select_policy: match rules.select {
                SelectPolicy::Max => "Max",
                SelectPolicy::Min => "Min",
                SelectPolicy::Disabled => "Disabled",
            },
            policies: policies.collect(),
            tolerance: rules.tolerance.map(quantity::show),
        }
    }
}
