use proptest::prelude::*;

use super::*;
use crate::import::SourceFile;
use crate::policy::scale::{
    Behavior, PolicyKind, ScaleMetric, ScaleRule, ScalingPolicy, ScalingRules, SelectPolicy,
    TargetConfig,
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
    assert_eq!(hpa.scale.metric, ScaleMetric::Cpu);
    let ScaleRule::Target(target) = &hpa.scale.rule else { panic!() };
    let behavior = target.behavior.as_ref().unwrap();
    assert_eq!((target.value, behavior.up.tolerance), (0.5, Some(0.05)));
    assert_eq!(behavior.up.policies, ScalingRules::up().policies);
    assert_eq!(behavior.down.stabilization, Some(Span::from_secs(60)));
    assert_eq!(behavior.down.select, SelectPolicy::Min);
    let notes: Vec<String> = hpa.not_taken.iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    let memory = "hpa.yaml:20: spec.metrics.resource.name: memory: lab measures no memory";
    assert!(notes[0].starts_with(memory), "{notes:?}");
    let object = "hpa.yaml:30: spec.metrics.type: Object: a metric of type Object";
    assert!(notes[1].starts_with(object), "{notes:?}");
}

#[test]
fn a_manifest_of_v1_and_one_without_metrics_follow_cpu() {
    let spec =
        |more: &str| format!("kind: HorizontalPodAutoscaler\nspec:\n  maxReplicas: 3\n{more}");
    let target = |text: String| {
        let hpa = read(&file(&text)).unwrap();
        let ScaleRule::Target(target) = hpa.scale.rule else { panic!() };
        (hpa.scale.metric, target.value)
    };
    let v1 = target(spec("  targetCPUUtilizationPercentage: 65\n"));
    assert_eq!([v1, target(spec(""))], [(ScaleMetric::Cpu, 0.65), (ScaleMetric::Cpu, 0.8)]);
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
    assert_eq!(target["value"].as_str(), Some("50%"));
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

fn metrics() -> impl Strategy<Value = (ScaleMetric, f64)> {
    let share = (1..200u32).prop_map(|percent| (ScaleMetric::Cpu, f64::from(percent) / 100.0));
    let kinds = vec![
        ScaleMetric::Utilization,
        ScaleMetric::InFlight,
        ScaleMetric::Queue,
        ScaleMetric::Requests,
    ];
    let plain = (prop::sample::select(kinds), 1..900_000u32)
        .prop_map(|(metric, thousandths)| (metric, f64::from(thousandths) / 1000.0));
    prop_oneof![share, plain]
}

proptest! {
    /// What is written is read again as it was, with nothing left out.
    #[test]
    fn a_manifest_that_was_written_is_read_again(
        (min, more) in (1..50u32, 0..50u32),
        (metric, value) in metrics(),
        behavior in prop::option::of((rules(), rules())),
    ) {
        let behavior = behavior.map(|(up, down)| Behavior { up, down });
        let rule = ScaleRule::Target(TargetConfig { behavior, ..TargetConfig::new(value) });
        let scale = ScaleConfig { metric, rule, ..ScaleConfig::new(min, min + more) };
        let (text, left_out) = manifest("api", &scale).unwrap();
        prop_assert!(left_out.is_empty());
        let hpa = read(&file(&text)).unwrap();
        prop_assert_eq!(&hpa.scale, &scale, "{}", text);
        prop_assert_eq!((hpa.group.as_str(), hpa.not_taken.len()), ("api", 0));
        let parsed: Result<toml::Table, _> = hpa.scenario().parse();
        prop_assert!(parsed.is_ok());
    }

    /// No text makes the reader panic.
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}", cut in 0..1200usize) {
        let _ = read(&file(&format!("kind: HorizontalPodAutoscaler\n{text}")));
        let cut = DOCUMENTED.floor_char_boundary(cut.min(DOCUMENTED.len()));
        let _ = read(&file(&DOCUMENTED[..cut]));
    }
}
