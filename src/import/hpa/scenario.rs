//! An autoscaler of a manifest as the text of a scenario.

use std::fmt::Write as _;

use super::Hpa;
use crate::import::toml_text::{commented, quoted, span};
use crate::policy::scale::{
    Behavior, PolicyKind, ScaleConfig, ScaleMetric, ScaleRule, ScalingPolicy, ScalingRules,
    SelectPolicy, TargetConfig,
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
        let ScaleConfig { min, max, metric, rule, .. } = &self.scale;
        let mut text = format!(
            "[autoscaler]\nbackend = {}\nmin = {min}\nmax = {max}\nmetric = {}\n",
            quoted(&self.group),
            quoted(word(*metric)),
        );
        if let ScaleRule::Target(target) = rule {
            push_target(&mut text, *metric, target);
        }
        text
    }
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

const fn word(metric: ScaleMetric) -> &'static str {
    match metric {
        ScaleMetric::Utilization => "utilization",
        ScaleMetric::Cpu => "cpu",
        ScaleMetric::InFlight => "in_flight",
        ScaleMetric::Queue => "queue",
        ScaleMetric::Requests => "requests",
    }
}

fn push_target(text: &mut String, metric: ScaleMetric, target: &TargetConfig) {
    let value = match metric {
        ScaleMetric::Utilization | ScaleMetric::Cpu => percent(target.value),
        ScaleMetric::Requests => format!("\"{}/s\"", target.value),
        ScaleMetric::InFlight | ScaleMetric::Queue => target.value.to_string(),
    };
    let _ = write!(text, "\n[autoscaler.target]\nvalue = {value}\n");
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
