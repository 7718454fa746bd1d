//! Reads the metrics of a manifest.

use serde_json::{Map, Value};

use super::read::Reader;
use super::{names, quantity};
use crate::import::ImportError;
use crate::policy::scale::{External, Metric, ScaleMetric, TargetValue};

/// A metric and its target.
type Taken = (Metric, TargetValue);

impl Reader {
    /// The metrics that lab can scale by, with their targets. Without any, Kubernetes takes 80 % of
    /// CPU.
    pub(super) fn metrics(
        &mut self,
        spec: &Map<String, Value>,
    ) -> Result<(Vec<Metric>, Vec<TargetValue>), ImportError> {
        const V1: [&str; 2] = ["spec", "targetCPUUtilizationPercentage"];
        let metrics = spec.get("metrics").and_then(Value::as_array);
        let Some(metrics) = metrics.filter(|metrics| !metrics.is_empty()) else {
            let percent = self.count(spec, &V1)?.unwrap_or(80);
            let cpu = Metric::Instances(ScaleMetric::Cpu);
            return Ok((vec![cpu], vec![TargetValue::Average(f64::from(percent) / 100.0)]));
        };
        let mut taken = Vec::new();
        for metric in metrics {
            let kind = metric.get("type").and_then(Value::as_str).unwrap_or_default();
            taken.extend(match kind {
                "Resource" => self.resource(metric, "resource")?,
                "ContainerResource" => self.resource(metric, "containerResource")?,
                "Pods" => Some(self.pods(metric)?),
                "Object" => self.object(metric)?,
                "External" => Some(self.external(metric)?),
                other => {
                    let why = format!("lab knows no metric of type {other}");
                    self.leave(&["spec", "metrics", &format!("type: {other}")], why);
                    None
                }
            });
        }
        if taken.is_empty() {
            let message = "none is one that lab has: CPU utilization, a metric of pods, of an \
                           object or an external one";
            return self.wrong(&["spec", "metrics"], message);
        }
        Ok(taken.into_iter().unzip())
    }

    fn resource(
        &mut self,
        metric: &Value,
        key: &'static str,
    ) -> Result<Option<Taken>, ImportError> {
        let path = ["spec", "metrics", key];
        let resource = metric.get(key).unwrap_or(&Value::Null);
        let name = resource.get("name").and_then(Value::as_str).unwrap_or_default();
        if name != "cpu" {
            let path = ["spec", "metrics", key, &format!("name: {name}")];
            self.leave(&path, format!("lab measures no {name} of its instances"));
            return Ok(None);
        }
        if let Some(container) = resource.get("container").and_then(Value::as_str) {
            let why = "an instance of lab is one container: all of it counts";
            self.leave(&["spec", "metrics", key, &format!("container: {container}")], why);
        }
        let percent = resource.get("target").and_then(|target| target.get("averageUtilization"));
        match percent.and_then(Value::as_u64) {
            Some(percent) if percent > 0 => {
                let cpu = Metric::Instances(ScaleMetric::Cpu);
                Ok(Some((cpu, TargetValue::Average(percent as f64 / 100.0))))
            }
            Some(_) => self.wrong(&path, "averageUtilization must be above 0"),
            None => {
                let why = "only averageUtilization is known: what a CPU is requested is not";
                self.leave(&path, why);
                Ok(None)
            }
        }
    }

    fn pods(&mut self, metric: &Value) -> Result<Taken, ImportError> {
        let path = ["spec", "metrics", "pods"];
        let pods = metric.get("pods").unwrap_or(&Value::Null);
        let Some(TargetValue::Average(value)) = target(pods) else {
            return self.wrong(&path, "target.averageValue must be a quantity above 0");
        };
        let name = name(pods);
        let (metric, certain) = names::metric(name);
        if !certain {
            let why = format!("is taken for {metric}, by its name alone");
            self.leave(&["spec", "metrics", "pods", &format!("name: {name}")], why);
        }
        Ok((Metric::Instances(metric), TargetValue::Average(value)))
    }

    /// Of an object: what lab has of the kind is its balancer.
    fn object(&mut self, metric: &Value) -> Result<Option<Taken>, ImportError> {
        let path = ["spec", "metrics", "object"];
        let object = metric.get("object").unwrap_or(&Value::Null);
        let name = name(object);
        let (metric, certain) = names::of_balancer(name);
        let Some(metric) = metric else {
            let why = "is none of a balancer: its requests, those in flight, or those that wait";
            self.leave(&["spec", "metrics", "object", &format!("name: {name}")], why);
            return Ok(None);
        };
        let Some(target) = target(object) else {
            return self.wrong(&path, "target.value or target.averageValue must be above 0");
        };
        if !certain {
            let why = format!("is taken for {metric} at the balancer, by its name alone");
            self.leave(&["spec", "metrics", "object", &format!("name: {name}")], why);
        }
        Ok(Some((Metric::Balancer(metric), target)))
    }

    /// What it is is asked of Prometheus, by its name and labels.
    fn external(&mut self, metric: &Value) -> Result<Taken, ImportError> {
        let path = ["spec", "metrics", "external"];
        let external = metric.get("external").unwrap_or(&Value::Null);
        let name = name(external);
        if name.is_empty() {
            return self.wrong(&path, "metric.name is missing");
        }
        let Some(target) = target(external) else {
            return self.wrong(&path, "target.value or target.averageValue must be above 0");
        };
        let selector = external.get("metric").and_then(|metric| metric.get("selector"));
        let part = |key| selector.and_then(|selector| selector.get(key));
        if part("matchExpressions").is_some() {
            let why = "is not part of the query that stands for the metric";
            self.leave(&["spec", "metrics", "external", "matchExpressions"], why);
        }
        let labels = part("matchLabels").and_then(Value::as_object);
        let labels: Vec<(&str, &str)> = labels
            .into_iter()
            .flatten()
            .filter_map(|(label, value)| Some((label.as_str(), value.as_str()?)))
            .collect();
        let query = Some(names::query(name, &labels));
        let external = External { name: name.to_owned(), query, series: Vec::new() };
        Ok((Metric::External(external), target))
    }
}

/// `metric.name` of a metric.
fn name(of: &Value) -> &str {
    let name = of.get("metric").and_then(|metric| metric.get("name"));
    name.and_then(Value::as_str).unwrap_or_default()
}

/// `target` of a metric, if it is above 0.
fn target(of: &Value) -> Option<TargetValue> {
    let number = |key| {
        let written = of.get("target").and_then(|target| target.get(key))?;
        let number = match written {
            Value::String(text) => quantity::parse(text),
            other => other.as_f64(),
        };
        number.filter(|number| *number > 0.0)
    };
    let average = number("averageValue").map(TargetValue::Average);
    average.or_else(|| number("value").map(TargetValue::Whole))
}
