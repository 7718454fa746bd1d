//! An autoscaler of a manifest as the text of a scenario.

use std::fmt::Write as _;

use super::Hpa;
use crate::import::toml_text::{commented, quoted, span};
use crate::policy::scale::{
    Behavior, Metric, PolicyKind, ScaleConfig, ScaleMetric, ScaleRule, ScalingPolicy, ScalingRules,
    SelectPolicy, TargetConfig, TargetValue,
};

impl Hpa {
    /// The text of a scenario with this autoscaler; what a manifest does not tell is marked
    /// PLACEHOLDER, and what was not taken over stands at its end.
    #[must_use]
    pub fn scenario(&self) -> String {
        let name = quoted(&self.group);
        let mut text = format!("# From the autoscaler of {}.\n", commented(&self.file));
        text.push_str(HEAD);
        let _ = write!(text, "\n[[backend]]\nname = {name}\n{BACKEND}\n{}", self.autoscaler());
        if !self.not_taken.is_empty() {
            text.push_str("\n# Not taken over:\n");
            for note in &self.not_taken {
                let _ = writeln!(text, "# - {}", commented(&note.to_string()));
            }
        }
        text
    }

    /// The section `[autoscaler]` alone.
    #[must_use]
    pub fn autoscaler(&self) -> String {
        let ScaleConfig { min, max, metrics, rule, .. } = &self.scale;
        let group = quoted(&self.group);
        let mut text = format!("[autoscaler]\nbackend = {group}\nmin = {min}\nmax = {max}\n");
        let ScaleRule::Target(target) = rule else { return text };
        match (&metrics[..], &target.values[..]) {
            ([Metric::Instances(metric)], [value]) => {
                let _ = writeln!(text, "metric = {}", quoted(metric.word()));
                text.push_str("\n[autoscaler.target]\n");
                let _ = writeln!(text, "value = {}", level(*metric, value.number()));
            }
            (metrics, values) => {
                for (metric, value) in metrics.iter().zip(values) {
                    push_metric(&mut text, metric, *value);
                }
                text.push_str("\n[autoscaler.target]\n");
            }
        }
        push_target(&mut text, target);
        text
    }
}

/// A table of a metric.
fn push_metric(text: &mut String, metric: &Metric, target: TargetValue) {
    text.push_str("\n[[autoscaler.metric]]\n");
    match metric {
        Metric::Instances(_) => {}
        Metric::Balancer(_) => text.push_str("of = \"balancer\"\n"),
        Metric::External(_) => text.push_str("of = \"external\"\n"),
    }
    let _ = writeln!(text, "name = {}", quoted(metric.name()));
    if let Metric::External(external) = metric {
        if let Some(query) = &external.query {
            let _ = writeln!(text, "query = {}", quoted(query));
        }
        let value = target.number();
        let _ = writeln!(
            text,
            "series = [{{ at = \"0s\", value = {value} }}] # PLACEHOLDER: what it is over time, for \
             the model"
        );
    }
    let key = match target {
        TargetValue::Average(_) => "average_value",
        TargetValue::Whole(_) => "value",
    };
    let _ = writeln!(text, "{key} = {}", level(metric.unit(), target.number()));
}

const HEAD: &str = r#"#
# A manifest does not tell how many requests come nor how long they take: the lines with
# PLACEHOLDER are guesses to be replaced.
schema_version = 1

[scenario]
seed = 1
duration = "20m" # PLACEHOLDER
warm_up = "5s"   # PLACEHOLDER

[traffic]
rate = "100/s" # PLACEHOLDER

[balancer]
algorithm = "round_robin"
"#;

const BACKEND: &str = "workers = 16 # PLACEHOLDER: requests that an instance serves at once
service = { law = \"log_normal\", mean = \"50ms\", sigma = 0.8 } # PLACEHOLDER
";

/// A target in the unit of its metric.
fn level(metric: ScaleMetric, value: f64) -> String {
    match metric {
        ScaleMetric::Utilization | ScaleMetric::Cpu => percent(value),
        ScaleMetric::Requests => format!("\"{value}/s\""),
        ScaleMetric::InFlight | ScaleMetric::Queue => value.to_string(),
    }
}

fn push_target(text: &mut String, target: &TargetConfig) {
    let _ = writeln!(text, "tolerance = {}", percent(target.tolerance));
    if let Some(Behavior { up, down }) = &target.behavior {
        push_rules(text, "scale_up", up);
        push_rules(text, "scale_down", down);
    }
}

/// Rounded where a number has no short form as percent.
fn percent(share: f64) -> String {
    format!("\"{}%\"", (share * 1e8).round() / 1e6)
}

fn push_rules(text: &mut String, key: &str, rules: &ScalingRules) {
    let _ = write!(text, "\n[autoscaler.target.{key}]\n");
    if let Some(window) = rules.stabilization {
        let _ = writeln!(text, "stabilization = {}", span(window));
    }
    if let Some(tolerance) = rules.tolerance {
        let _ = writeln!(text, "tolerance = {}", percent(tolerance));
    }
    let select = match rules.select {
        SelectPolicy::Max => "max",
        SelectPolicy::Min => "min",
        SelectPolicy::Disabled => "disabled",
    };
    let policy = |policy: &ScalingPolicy| {
        let kind = match policy.kind {
            PolicyKind::Pods => "pods",
            PolicyKind::Percent => "percent",
        };
        let (value, period) = (policy.value, span(policy.period));
        format!("{{ type = \"{kind}\", value = {value}, period = {period} }}")
    };
    let policies: Vec<String> = rules.policies.iter().map(policy).collect();
    let _ = write!(text, "select = \"{select}\"\npolicies = [{}]\n", policies.join(", "));
}
