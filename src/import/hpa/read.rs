//! Reads a manifest.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Hpa, KIND, is_manifest, quantity};
use crate::import::toml_text::name_of;
use crate::import::{ImportError, NotTaken, Origin, SourceFile};
use crate::policy::scale::{
    Behavior, PolicyKind, ScaleConfig, ScaleRule, ScalingPolicy, ScalingRules, SelectPolicy,
    TargetConfig,
};
use crate::units::Span;

/// Reads the first Horizontal Pod Autoscaler of a file.
///
/// # Errors
/// When there is none, it is no YAML, or something that it must say is missing or out of range.
pub fn read(file: &SourceFile) -> Result<Hpa, ImportError> {
    let name: Arc<str> = file.name.as_str().into();
    let Some((first_line, text)) = document(&file.text) else {
        return Err(Origin::new(&name, 1).error(format!("there is no `kind: {KIND}` in it")));
    };
    let tree: Value = serde_saphyr::from_str(&text).map_err(|error| {
        let message = error.to_string();
        let line = error.location().map_or(1, |at| at.line() as u32);
        Origin::new(&name, first_line + line.max(1) - 1)
            .error(message.lines().next().unwrap_or("it is no YAML").to_owned())
    })?;
    let mut reader = Reader { name, first_line, text, not_taken: Vec::new() };
    reader.manifest(&tree)
}

/// The document with the autoscaler, and the line of the file at which it begins.
fn document(text: &str) -> Option<(u32, String)> {
    let mut documents = vec![(1, String::new())];
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_end() == "---" {
            documents.push((number + 1, String::new()));
        } else if let Some((_, document)) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.into_iter().find(|(_, text)| is_manifest(text))
}

pub(super) struct Reader {
    name: Arc<str>,
    first_line: u32,
    text: String,
    not_taken: Vec<NotTaken>,
}

/// Keys on the way to a value; the last may be a whole line, `type: External`.
type Path<'a> = &'a [&'a str];

impl Reader {
    /// The line of a value: its keys are looked for one after the other.
    fn at(&self, path: Path<'_>) -> Origin {
        let mut found = 0;
        for key in path {
            let starts = |line: &str| {
                let line = line.trim_start().trim_start_matches("- ").trim_start();
                line.trim_end() == *key
                    || line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))
            };
            let lines = self.text.lines().enumerate().skip(found);
            if let Some((place, _)) = lines.into_iter().find(|(_, line)| starts(line)) {
                found = place;
            }
        }
        Origin::new(&self.name, self.first_line + found as u32)
    }

    pub(super) fn leave(&mut self, path: Path<'_>, why: impl Into<String>) {
        let note = NotTaken { origin: self.at(path), what: path.join("."), why: why.into() };
        if !self.not_taken.contains(&note) {
            self.not_taken.push(note);
        }
    }

    pub(super) fn wrong<T>(
        &self,
        path: Path<'_>,
        message: impl Into<String>,
    ) -> Result<T, ImportError> {
        let message = message.into();
        Err(self.at(path).error(format!("{}: {message}", path.join("."))))
    }

    fn manifest(&mut self, tree: &Value) -> Result<Hpa, ImportError> {
        let empty = Map::new();
        let root = tree.as_object().unwrap_or(&empty);
        let Some(spec) = root.get("spec").and_then(Value::as_object) else {
            return self.wrong(&["spec"], "is missing");
        };
        let named = |value: Option<&Value>, key| {
            value.and_then(|value| value.get(key)).and_then(Value::as_str).map(name_of)
        };
        let group = named(spec.get("scaleTargetRef"), "name")
            .or_else(|| named(root.get("metadata"), "name"))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "api".to_owned());
        let max = self.count(spec, &["spec", "maxReplicas"])?;
        let Some(max) = max.filter(|max| *max > 0) else {
            return self.wrong(&["spec", "maxReplicas"], "must be 1 or more");
        };
        let mut min = self.count(spec, &["spec", "minReplicas"])?.unwrap_or(1);
        if min == 0 {
            self.leave(&["spec", "minReplicas"], "lab keeps one instance at least");
            min = 1;
        }
        if max < min {
            return self.wrong(&["spec", "maxReplicas"], format!("is below minReplicas, {min}"));
        }
        let (metrics, values) = self.metrics(spec)?;
        let behavior = self.behavior(spec)?;
        for key in spec.keys() {
            const KNOWN: [&str; 6] = [
                "scaleTargetRef",
                "minReplicas",
                "maxReplicas",
                "metrics",
                "behavior",
                "targetCPUUtilizationPercentage",
            ];
            if !KNOWN.contains(&key.as_str()) {
                self.leave(&["spec", key], "lab does not know it");
            }
        }
        let rule = ScaleRule::Target(TargetConfig { values, behavior, ..TargetConfig::new(1.0) });
        self.not_taken.sort_by_key(|note| note.origin.line);
        Ok(Hpa {
            file: self.name.to_string(),
            group,
            scale: ScaleConfig { metrics, rule, ..ScaleConfig::new(min, max) },
            not_taken: std::mem::take(&mut self.not_taken),
        })
    }

    /// A whole number, if it is there.
    pub(super) fn count(
        &self,
        of: &Map<String, Value>,
        path: Path<'_>,
    ) -> Result<Option<u32>, ImportError> {
        let key = path.last().copied().unwrap_or_default();
        match of.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().and_then(|count| u32::try_from(count).ok()) {
                Some(count) => Ok(Some(count)),
                None => self.wrong(path, format!("expected a whole number, found {value}")),
            },
        }
    }

    fn behavior(&mut self, spec: &Map<String, Value>) -> Result<Option<Behavior>, ImportError> {
        let Some(behavior) = spec.get("behavior").and_then(Value::as_object) else {
            return Ok(None);
        };
        let up = self.rules(behavior.get("scaleUp"), "scaleUp", ScalingRules::up())?;
        let down = self.rules(behavior.get("scaleDown"), "scaleDown", ScalingRules::down())?;
        Ok(Some(Behavior { up, down }))
    }

    fn rules(
        &mut self,
        written: Option<&Value>,
        key: &'static str,
        mut rules: ScalingRules,
    ) -> Result<ScalingRules, ImportError> {
        let Some(written) = written.and_then(Value::as_object) else { return Ok(rules) };
        let path = |last| ["spec", "behavior", key, last];
        if let Some(window) = self.count(written, &path("stabilizationWindowSeconds"))? {
            if window > 3600 {
                return self.wrong(&path("stabilizationWindowSeconds"), "is more than 3600");
            }
            rules.stabilization = Some(Span::from_secs(window.into()));
        }
        match written.get("selectPolicy").and_then(Value::as_str) {
            None | Some("Max") => {}
            Some("Min") => rules.select = SelectPolicy::Min,
            Some("Disabled") => rules.select = SelectPolicy::Disabled,
            Some(other) => {
                let message = format!("expected Max, Min or Disabled, found {other}");
                return self.wrong(&path("selectPolicy"), message);
            }
        }
        if let Some(policies) = written.get("policies").and_then(Value::as_array) {
            let policy = |policy| self.policy(policy, &path("policies"));
            rules.policies = policies.iter().map(policy).collect::<Result<_, _>>()?;
            if rules.policies.is_empty() {
                return self.wrong(&path("policies"), "must have one at least");
            }
        }
        match written.get("tolerance") {
            None | Some(Value::Null) => {}
            Some(tolerance) => {
                let number = match tolerance {
                    Value::String(text) => quantity::parse(text),
                    other => other.as_f64(),
                };
                let Some(number) = number.filter(|number| *number >= 0.0) else {
                    return self.wrong(&path("tolerance"), "must be a quantity of 0 or more");
                };
                rules.tolerance = Some(number);
            }
        }
        Ok(rules)
    }

    fn policy(&self, written: &Value, path: Path<'_>) -> Result<ScalingPolicy, ImportError> {
        let number = |key| {
            let number = written.get(key).and_then(Value::as_u64);
            number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
        };
        let kind = match written.get("type").and_then(Value::as_str) {
            Some("Pods") => PolicyKind::Pods,
            Some("Percent") => PolicyKind::Percent,
            _ => return self.wrong(path, "the type of a policy is Pods or Percent"),
        };
        match (number("value"), number("periodSeconds")) {
            (Some(value), Some(period)) if period <= 1800 => {
                Ok(ScalingPolicy { kind, value, period: Span::from_secs(period.into()) })
            }
            _ => self.wrong(path, "value must be above 0, and periodSeconds from 1 to 1800"),
        }
    }
}
