//! The dashboards: of Grafana's schema, and with queries that find something. Grafana itself is not
//! started; what it would ask Prometheus for is asked here, with its variables filled in.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::files::shipped;
use super::prometheus::Api;
use super::support::{stderr, stdout};

/// All of them.
pub(crate) const NAMES: [&str; 4] = ["overview", "backends", "autoscaler", "worlds"];

/// A dashboard as it is shipped.
pub(crate) struct Dashboard(Value);

/// A query of a dashboard: what shows it, what it asks, and whether for one instant.
pub(crate) struct Asked {
    pub(crate) title: String,
    pub(crate) query: String,
    pub(crate) instant: bool,
}

impl Dashboard {
    pub(crate) fn load(name: &str) -> Self {
        let path = shipped("grafana/dashboards").join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).expect("a dashboard");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    fn list<'a>(&'a self, pointer: &str) -> &'a [Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn panels(&self) -> impl Iterator<Item = &Value> {
        self.list("/panels").iter().filter(|panel| panel["type"] != "row")
    }
}

/// A dashboard's queries with its variables filled in, as Grafana fills them.
pub(crate) struct Filled<'a> {
    dashboard: &'a Dashboard,
    values: Vec<(String, String)>,
}

impl<'a> Filled<'a> {
    /// With what Prometheus has for each variable now: all of its values.
    pub(crate) fn new(dashboard: &'a Dashboard, api: Api) -> Self {
        let mut filled = Self { dashboard, values: Vec::new() };
        for variable in dashboard.list("/templating/list") {
            let name = variable["name"].as_str().expect("a name").to_owned();
            let value = match variable["type"].as_str() {
                Some("query") => filled.asked(variable, api),
                // The shortest that is offered: these runs are short.
                Some("interval") => {
                    let all = variable["query"].as_str().expect("intervals");
                    all.split(',').next().expect("an interval").to_owned()
                }
                Some("datasource") => "prometheus".to_owned(),
                other => panic!("a variable of type {other:?}"),
            };
            filled.values.push((name, value));
        }
        filled
    }

    /// All values of a query variable, joined as Grafana joins them for a matcher.
    fn asked(&self, variable: &Value, api: Api) -> String {
        let query = self.fill(variable["query"]["query"].as_str().expect("a query"));
        let inner = query.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')'));
        let (metric, label) = inner.and_then(|it| it.rsplit_once(", ")).expect("label_values");
        let values = api.label_values(metric, label);
        assert!(!values.is_empty(), "variable {} has no value: {query}", variable["name"]);
        values.join("|")
    }

    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.values {
            text = text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
        }
        assert!(!text.contains('$'), "a variable that the dashboard does not have: {text}");
        text
    }

    /// Every query of every panel.
    pub(crate) fn all(&self) -> Vec<Asked> {
        let mut all = Vec::new();
        for panel in self.dashboard.panels() {
            for target in panel["targets"].as_array().expect("targets") {
                all.push(Asked {
                    title: panel["title"].as_str().expect("a title").to_owned(),
                    query: self.fill(target["expr"].as_str().expect("an expression")),
                    instant: target["instant"] == true,
                });
            }
        }
        all
    }

    /// The first query of the panel with this title.
    pub(crate) fn query(&self, title: &str) -> String {
        let found = self.all().into_iter().find(|asked| asked.title == title);
        found.unwrap_or_else(|| panic!("no panel is called {title}")).query
    }

    /// Those queries of panels that find nothing, each with what was asked.
    pub(crate) fn silent(&self, api: Api, seconds: f64) -> Vec<String> {
        let silent = self.all().into_iter().filter_map(|asked| {
            let Asked { title, query, instant } = asked;
            let found = if instant { api.now(&query) } else { api.over(&query, seconds) };
            match found {
                Err(error) => Some(format!("{title}: {error}: {query}")),
                Ok(found) if found.iter().all(|one| one.values.is_empty()) => {
                    Some(format!("{title}: nothing: {query}"))
                }
                Ok(_) => None,
            }
        });
        silent.collect()
    }

    /// What annotations of this name find, as their titles would be.
    pub(crate) fn annotated(&self, name: &str, api: Api, seconds: f64) -> Vec<String> {
        let all = self.dashboard.list("/annotations/list");
        let annotation = all.iter().find(|one| one["name"] == name).expect(name);
        let query = self.fill(annotation["expr"].as_str().expect("an expression"));
        let format = annotation["titleFormat"].as_str().expect("a title").to_owned();
        let found = api.over(&query, seconds).unwrap_or_else(|error| panic!("{query}: {error}"));
        found
            .iter()
            .filter(|one| !one.values.is_empty())
            .map(|one| {
                let labels = one.labels.as_object().into_iter().flatten();
                labels.fold(format.clone(), |text, (label, value)| {
                    text.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default())
                })
            })
            .collect()
    }
}

/// The Python that `tests/run` makes beside the build, or the system's.
fn python() -> PathBuf {
    let own = std::env::current_exe().expect("this test");
    let beside = own.ancestors().map(|folder| folder.join("python/bin/python"));
    let candidates = beside.chain([PathBuf::from("python3")]);
    let knows = |python: &Path| {
        let mut command = Command::new(python);
        command.args(["-c", "import grafana_foundation_sdk"]);
        command.output().is_ok_and(|output| output.status.success())
    };
    candidates
        .into_iter()
        .find(|python| knows(python))
        .expect("no Python with grafana-foundation-sdk; `sh tests/run` makes one")
}

fn schema(files: &[PathBuf]) -> std::process::Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/observability/schema.py");
    Command::new(python()).arg(script).args(files).output().expect("Python")
}

#[test]
fn dashboards_are_of_grafanas_schema() {
    let path = |name: &str| shipped("grafana/dashboards").join(format!("{name}.json"));
    let files: Vec<PathBuf> = NAMES.iter().map(|name| path(name)).collect();
    let there = std::fs::read_dir(shipped("grafana/dashboards")).expect("dashboards").count();
    assert_eq!(there, files.len(), "every dashboard is checked");
    let output = schema(&files);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
}

/// Each of these slips is one that the library by itself would not say.
#[test]
fn the_schema_finds_what_is_wrong() {
    let folder = super::support::Folder::new();
    let slips: [(&str, &str, Value); 6] = [
        ("/panels/1", "tittle", "x".into()),
        ("/panels/1/gridPos", "w", "4".into()),
        ("/panels/1/options", "colorMode", "rainbow".into()),
        ("/panels/1/fieldConfig/defaults/thresholds", "mode", "some".into()),
        ("/panels/1", "type", "statt".into()),
        ("/panels/1/targets/0", "exprr", "up".into()),
    ];
    for (pointer, key, value) in slips {
        let Dashboard(mut dashboard) = Dashboard::load("overview");
        dashboard.pointer_mut(pointer).expect(pointer)[key] = value;
        let output = schema(&[folder.file("slip.json", &dashboard.to_string())]);
        assert_eq!(output.status.code(), Some(1), "{pointer}/{key}: {}", stdout(&output));
    }
}

/// What the pictures are made of, and what leads from one to the other.
#[test]
fn dashboards_have_what_they_are_asked_to_have() {
    let dashboards: Vec<Dashboard> = NAMES.iter().map(|name| Dashboard::load(name)).collect();
    let kinds: Vec<&str> = dashboards
        .iter()
        .flat_map(Dashboard::panels)
        .filter_map(|panel| panel["type"].as_str())
        .collect();
    for kind in ["timeseries", "gauge", "bargauge", "heatmap", "stat", "state-timeline"] {
        assert!(kinds.contains(&kind), "no {kind}");
    }
    for (name, dashboard) in NAMES.iter().zip(&dashboards) {
        assert_eq!(dashboard.0["uid"], format!("lab-{name}"));
        assert_eq!(dashboard.0["refresh"], "5s");
        let names = |pointer: &str| -> Vec<&str> {
            dashboard.list(pointer).iter().filter_map(|one| one["name"].as_str()).collect()
        };
        for variable in ["datasource", "job", "interval"] {
            assert!(names("/templating/list").contains(&variable), "{name} has no {variable}");
        }
        for annotation in ["Faults", "Scaling"] {
            assert!(names("/annotations/list").contains(&annotation), "{name}: no {annotation}");
        }
        // Each links to all that have the tag, and has it.
        assert_eq!(dashboard.0["links"][0]["tags"], dashboard.0["tags"]);
        for panel in dashboard.panels() {
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')));
            assert_eq!(panel["datasource"]["uid"], "${datasource}");
        }
    }
}
