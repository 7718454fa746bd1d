use proptest::prelude::*;

use super::*;
use crate::import::SourceFile;
use crate::policy::scale::{
    Behavior, External, Metric, PolicyKind, ScaleMetric, ScaleRule, ScalingPolicy, ScalingRules,
    SelectPolicy, TargetConfig, TargetValue,
};
use crate::units::Span;

fn file(text: &str) -> SourceFile {
    SourceFile { name: "hpa.yaml".to_owned(), text: text.to_owned() }
}

/// As the documentation of Kubernetes shows one, with much that lab has not.
const DOCUMENTED: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: php-apache
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: php-apache
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: php-apache
  minReplicas: 2
  maxReplicas: 10
  metrics:
  - type: Resource
    resource:
      name: memory
      target:
        type: AverageValue
        averageValue: 500Mi
  - type: Resource
    resource:
      name: cpu
      target:
        type: Utilization
        averageUtilization: 50
  - type: Object
    object:
      metric:
        name: requests-per-second
      describedObject:
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        name: main-route
      target:
        type: Value
        value: 10k
  - type: Object
    object:
      metric:
        name: disk-full
  - type: External
    external:
      metric:
        name: queue_messages_ready
        selector:
          matchLabels:
            queue: worker_tasks
      target:
        type: AverageValue
        averageValue: 30
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 60
      policies:
      - type: Percent
        value: 10
        periodSeconds: 60
      selectPolicy: Min
    scaleUp:
      tolerance: 50m
";

#[test]
fn a_manifest_is_read_with_what_is_left_out_by_line() {
    let hpa = read(&file(DOCUMENTED)).unwrap();
    assert_eq!((hpa.group.as_str(), hpa.scale.min, hpa.scale.max), ("php-apache", 2, 10));
    let external = External {
        name: "queue_messages_ready".to_owned(),
        query: Some("sum(queue_messages_ready{queue=\"worker_tasks\"})".to_owned()),
        series: Vec::new(),
    };
    let metrics = [
        Metric::Instances(ScaleMetric::Cpu),
        Metric::Balancer(ScaleMetric::Requests),
        Metric::External(external),
    ];
    assert_eq!(hpa.scale.metrics, metrics);
    let ScaleRule::Target(target) = &hpa.scale.rule else { panic!() };
    let behavior = target.behavior.as_ref().unwrap();
    let values =
        [TargetValue::Average(0.5), TargetValue::Whole(10_000.0), TargetValue::Average(30.0)];
    assert_eq!((&target.values[..], behavior.up.tolerance), (&values[..], Some(0.05)));
    assert_eq!(behavior.up.policies, ScalingRules::up().policies);
    assert_eq!(behavior.down.stabilization, Some(Span::from_secs(60)));
    assert_eq!(behavior.down.select, SelectPolicy::Min);
    let notes: Vec<String> = hpa.not_taken.iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
    let memory = "hpa.yaml:20: spec.metrics.resource.name: memory: lab measures no memory";
    assert!(notes[0].starts_with(memory), "{notes:?}");
    let object = "hpa.yaml:33: spec.metrics.object.name: requests-per-second: is taken for request \
                  rate at the balancer";
    assert!(notes[1].starts_with(object), "{notes:?}");
    let disk = "hpa.yaml:44: spec.metrics.object.name: disk-full: is none of a balancer";
    assert!(notes[2].starts_with(disk), "{notes:?}");
}

#[test]
fn a_manifest_of_v1_and_one_without_metrics_follow_cpu() {
    let spec =
        |more: &str| format!("kind: HorizontalPodAutoscaler\nspec:\n  maxReplicas: 3\n{more}");
    let target = |text: String| {
        let hpa = read(&file(&text)).unwrap();
        let ScaleRule::Target(target) = hpa.scale.rule else { panic!() };
        (hpa.scale.metrics[0].clone(), target.values[0].number())
    };
    let cpu = || Metric::Instances(ScaleMetric::Cpu);
    let v1 = target(spec("  targetCPUUtilizationPercentage: 65\n"));
    assert_eq!([v1, target(spec(""))], [(cpu(), 0.65), (cpu(), 0.8)]);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let said = |text: &str| read(&file(text)).unwrap_err().to_string();
    let head = "kind: HorizontalPodAutoscaler\nspec:\n";
    assert_eq!(
        said("kind: Service\n"),
        "hpa.yaml:1: there is no `kind: HorizontalPodAutoscaler` in it"
    );
    assert_eq!(
        said(&format!("{head}  minReplicas: 5\n  maxReplicas: 3\n")),
        "hpa.yaml:4: spec.maxReplicas: is below minReplicas, 5"
    );
    assert_eq!(
        said(&format!("{head}  maxReplicas: many\n")),
        "hpa.yaml:3: spec.maxReplicas: expected a whole number, found \"many\""
    );
    let broken = said(&format!("{head}  maxReplicas: [3\n"));
    assert!(broken.starts_with("hpa.yaml:"), "{broken}");
}

#[test]
fn the_scenario_names_what_was_taken() {
    let text = read(&file(DOCUMENTED)).unwrap().scenario();
    let table: toml::Table = text.parse().unwrap();
    let target = &table["autoscaler"]["target"];
    let metrics = table["autoscaler"]["metric"].as_array().unwrap();
    assert_eq!(metrics[0]["average_value"].as_str(), Some("50%"));
    assert_eq!(
        (metrics[1]["of"].as_str(), metrics[1]["value"].as_str()),
        (Some("balancer"), Some("10000/s"))
    );
    assert_eq!(metrics[2]["average_value"].as_integer(), Some(30));
    let scenario = crate::scenario::parse(&text, "hpa.toml").unwrap();
    assert_eq!(scenario.autoscaler.unwrap().scale.metrics.len(), 3);
    assert_eq!(target["scale_down"]["select"].as_str(), Some("min"));
    assert!(text.contains("# Not taken over:\n# - hpa.yaml:"));
}

fn rules() -> impl Strategy<Value = ScalingRules> {
    let policy = (any::<bool>(), 1..500u32, 1..1800u64).prop_map(|(pods, value, seconds)| {
        let kind = if pods { PolicyKind::Pods } else { PolicyKind::Percent };
        ScalingPolicy { kind, value, period: Span::from_secs(seconds) }
    });
    let select =
        prop::sample::select(vec![SelectPolicy::Max, SelectPolicy::Min, SelectPolicy::Disabled]);
    let tolerance =
        prop::option::of((0..300u32).prop_map(|thousandths| f64::from(thousandths) / 1000.0));
    let window = prop::option::of(0..3600u64);
    (window, select, prop::collection::vec(policy, 1..4), tolerance).prop_map(
        |(window, select, policies, tolerance)| ScalingRules {
            stabilization: window.map(Span::from_secs),
            select,
            policies,
            tolerance,
        },
    )
}

fn metric() -> impl Strategy<Value = (Metric, TargetValue)> {
    let cpu = Metric::Instances(ScaleMetric::Cpu);
    let share = (1..200u32)
        .prop_map(move |percent| (cpu.clone(), TargetValue::Average(f64::from(percent) / 100.0)));
    let number = || (1..900_000u32).prop_map(|thousandths| f64::from(thousandths) / 1000.0);
    let either = move || {
        let value = |(whole, value)| match whole {
            true => TargetValue::Whole(value),
            false => TargetValue::Average(value),
        };
        (any::<bool>(), number()).prop_map(value)
    };
    let busy = (1..=1000u32).prop_map(|thousandths| {
        let value = TargetValue::Average(f64::from(thousandths) / 1000.0);
        (Metric::Instances(ScaleMetric::Utilization), value)
    });
    let kinds = vec![ScaleMetric::Requests, ScaleMetric::InFlight, ScaleMetric::Queue];
    let pods = (prop::sample::select(kinds.clone()), number())
        .prop_map(|(metric, value)| (Metric::Instances(metric), TargetValue::Average(value)));
    let object = (prop::sample::select(kinds), either())
        .prop_map(|(metric, value)| (Metric::Balancer(metric), value));
    let external = ("[a-z_][a-z0-9_./-]{0,20}", either()).prop_map(|(name, value)| {
        let query = Some(names::query(&name, &[]));
        (Metric::External(External { name, query, series: Vec::new() }), value)
    });
    prop_oneof![share, busy, pods, object, external]
}

proptest! {
    /// What is written is read again as it was, with nothing left out.
    #[test]
    fn a_manifest_that_was_written_is_read_again(
        (min, more) in (1..50u32, 0..50u32),
        metrics in prop::collection::vec(metric(), 1..4),
        behavior in prop::option::of((rules(), rules())),
    ) {
        let behavior = behavior.map(|(up, down)| Behavior { up, down });
        let (metrics, values) = metrics.into_iter().unzip();
        let rule = TargetConfig { values, behavior, ..TargetConfig::new(1.0) };
        let rule = ScaleRule::Target(rule);
        let scale = ScaleConfig { metrics, rule, ..ScaleConfig::new(min, min + more) };
        let (text, left_out) = manifest("api", &scale).unwrap();
        prop_assert!(left_out.is_empty());
        let hpa = read(&file(&text)).unwrap();
        prop_assert_eq!(&hpa.scale, &scale, "{}", text);
        prop_assert_eq!((hpa.group.as_str(), hpa.not_taken.len()), ("api", 0));
        let scenario = hpa.scenario();
        prop_assert!(crate::scenario::parse(&scenario, "hpa.toml").is_ok(), "{}", scenario);
    }

    /// No text makes the reader panic.
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}", cut in 0..1200usize) {
        let _ = read(&file(&format!("kind: HorizontalPodAutoscaler\n{text}")));
        let cut = DOCUMENTED.floor_char_boundary(cut.min(DOCUMENTED.len()));
        let _ = read(&file(&DOCUMENTED[..cut]));
    }
}
