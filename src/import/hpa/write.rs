//! Writes a manifest.

use serde::Serialize;

use super::{KIND, names, quantity};
use crate::policy::scale::{
    Behavior, External, Metric, PolicyKind, ScaleConfig, ScaleRule, ScalingRules, SelectPolicy,
    TargetConfig, TargetValue,
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
            metrics: each(scale, target).map(|(of, value)| metric(group, of, value)).collect(),
            behavior: target.behavior.as_ref().map(Rules::of_both),
        },
    };
    let text = serde_saphyr::to_string(&manifest).ok()?;
    Some((text, left_out(scale, target)))
}

/// Each metric with its target.
fn each<'a>(
    scale: &'a ScaleConfig,
    target: &'a TargetConfig,
) -> impl Iterator<Item = (&'a Metric, TargetValue)> {
    scale.metrics.iter().zip(target.values.iter().copied())
}

/// What is set for the whole controller, or is lab's own.
fn left_out(scale: &ScaleConfig, target: &TargetConfig) -> Vec<&'static str> {
    let usual = TargetConfig::new(1.0);
    let plain = ScaleConfig::new(scale.min, scale.max);
    let external = || {
        scale.metrics.iter().filter_map(|metric| match metric {
            Metric::External(external) => Some(external),
            Metric::Instances(_) | Metric::Balancer(_) => None,
        })
    };
    let own_query = |external: &External| {
        external.query.as_ref().is_some_and(|query| *query != names::query(&external.name, &[]))
    };
    let checks = [
        (
            external().any(own_query),
            "query: the cluster's metrics adapter says what an external metric is",
        ),
        (external().any(|external| !external.series.is_empty()), "series: for lab alone"),
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
    metrics: Vec<Written<'a>>,
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
enum Written<'a> {
    Resource { resource: Resource },
    Pods { pods: Measured<'a> },
    Object { object: Object<'a> },
    External { external: Measured<'a> },
}

#[derive(Serialize)]
struct Resource {
    name: &'static str,
    target: Goal,
}

#[derive(Serialize)]
struct Measured<'a> {
    metric: MetricName<'a>,
    target: Goal,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    described_object: TargetRef<'a>,
    metric: MetricName<'a>,
    target: Goal,
}

#[derive(Serialize)]
struct MetricName<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
enum Goal {
    Utilization { average_utilization: u32 },
    AverageValue { average_value: String },
    Value { value: String },
}

impl Goal {
    fn of(target: TargetValue) -> Self {
        match target {
            TargetValue::Average(value) => {
                Self::AverageValue { average_value: quantity::show(value) }
            }
            TargetValue::Whole(value) => Self::Value { value: quantity::show(value) },
        }
    }
}

/// One metric; `group` is also the service in front of the pods.
fn metric<'a>(group: &'a str, metric: &'a Metric, target: TargetValue) -> Written<'a> {
    let measured = |name| Measured { metric: MetricName { name }, target: Goal::of(target) };
    match metric {
        Metric::Instances(metric) => match names::of(*metric) {
            None => {
                let percent = (target.number() * 100.0).round().max(1.0) as u32;
                let target = Goal::Utilization { average_utilization: percent };
                Written::Resource { resource: Resource { name: "cpu", target } }
            }
            Some(name) => Written::Pods { pods: measured(name) },
        },
        Metric::Balancer(metric) => {
            let described_object = TargetRef { api_version: "v1", kind: "Service", name: group };
            let Measured { metric, target } = measured(names::at_balancer(*metric));
            Written::Object { object: Object { described_object, metric, target } }
        }
        Metric::External(external) => Written::External { external: measured(&external.name) },
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
