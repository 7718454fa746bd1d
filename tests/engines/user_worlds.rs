//! Configurations as users have them, run as they are: what the user's file says holds in the live
//! world, whatever the scenario says.

use std::path::Path;

use serde_json::Value;

use crate::support::{Folder, ran, stderr, stdout};
use crate::worlds::{alone, json};

/// Three equal backends: weights come from the user's file alone.
const SCENARIO: &str = r#"
schema_version = 1

[scenario]
name = "mine"
seed = 3
duration = "4s"
warm_up = "500ms"

[traffic]
rate = "80/s"

[traffic.client]
timeout = "2s"

[[traffic.class]]
name = "api"
path = "/api/items"

[[backend]]
name = "app"
count = 3
workers = 16
service = { law = "uniform", low = "10ms", high = "40ms" }
"#;

/// Runs `text` as `engine`; the folder that the engine left, and the results.
fn run(engine: &str, file: &str, text: &str) -> (Value, Value, String) {
    let _alone = alone();
    let folder = Folder::new();
    folder.file("mine.toml", SCENARIO);
    folder.file(file, text);
    let arguments = ["run", "mine.toml", "--engine", engine, "--engine-config", file];
    let output = folder.run(&[&arguments[..], &["--rounds", "1"]].concat());
    assert!(ran(&output), "{}\n{}", stdout(&output), stderr(&output));
    let run = folder.runs("mine").remove(0);
    let results = json(&run.join("summary.json"));
    let manifest = json(&run.join("run.json"));
    let live = results["worlds"][1].clone();
    assert_eq!(live["failed"], 0, "{live}");
    assert!(live["requests"].as_u64().unwrap() > 200, "{live}");
    assert_eq!(manifest["engine"]["name"], engine);
    assert!(!manifest["engine"]["config_sha256"].as_str().unwrap().is_empty());
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert!(said.contains(&format!("+++ {file} (as run)")), "the difference is shown: {said}");
    (live, manifest, kept(&run, file))
}

/// The configuration that was kept with the results.
fn kept(run: &Path, file: &str) -> String {
    let name = format!("engine/{file}");
    let path = run.join(&name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Shares are those of weights 3, 2 and 1, which only the user's file has.
fn shares_by_weight(live: &Value) {
    for (place, expected) in [3.0 / 6.0, 2.0 / 6.0, 1.0 / 6.0].into_iter().enumerate() {
        let share = live["shares"][place]["share"].as_f64().unwrap();
        assert!((share - expected).abs() < 0.04, "backend {place}: {share}");
    }
}

/// As `nginx -T` prints what Debian's package and a site make together.
const NGINX: &str = r#"# configuration file /etc/nginx/nginx.conf:
user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
include /etc/nginx/modules-enabled/*.conf;

events {
	worker_connections 768;
	# multi_accept on;
}

http {
	sendfile on;
	tcp_nopush on;
	types_hash_max_size 2048;
	# server_tokens off;

	include /etc/nginx/mime.types;
	default_type application/octet-stream;

	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_prefer_server_ciphers on;

	log_format timed '$remote_addr "$request" $status $upstream_addr $upstream_response_time';
	access_log /dev/null timed;

	gzip on;

	include /etc/nginx/conf.d/*.conf;
	include /etc/nginx/sites-enabled/*;
}

# configuration file /etc/nginx/mime.types:

types {
    text/html                             html htm shtml;
    application/javascript                js;
}

# configuration file /etc/nginx/conf.d/upstreams.conf:
upstream app {
    zone app 64k;
    server app1.internal:8000 weight=3 max_fails=2 fail_timeout=5s;
    server app2.internal:8000 weight=2 max_fails=2 fail_timeout=5s;
    server app3.internal:8000 weight=1 max_fails=2 fail_timeout=5s;
    keepalive 32;
}

# configuration file /etc/nginx/sites-enabled/shop:
map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      '';
}

server {
    listen 80 default_server;
    listen [::]:80 default_server;
    server_name shop.example.com;
    root /var/www/html;

    location = /favicon.ico { access_log off; log_not_found off; return 204; }

    location /api/ {
        proxy_pass http://app;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_next_upstream error timeout http_502 http_503;
        proxy_next_upstream_tries 2;
        proxy_connect_timeout 2s;
        proxy_read_timeout 30s;
    }

    location / {
        try_files $uri $uri/ =404;
    }
}
"#;

#[test]
fn a_users_nginx_runs_as_it_is() {
    let (live, _, kept) = run("nginx", "nginx.conf", NGINX);
    shares_by_weight(&live);
    assert!(kept.contains("log_format timed"), "{kept}");
    assert!(kept.contains("server 127.0.0.1:"), "{kept}");
}

const HAPROXY: &str = r#"global
    log /dev/log local0
    log /dev/log local1 notice
    chroot /var/lib/haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin
    stats timeout 30s
    user haproxy
    group haproxy
    daemon

    # Default SSL material locations
    ca-base /etc/ssl/certs
    crt-base /etc/ssl/private

defaults
    log     global
    mode    http
    option  httplog
    option  dontlognull
    timeout connect 5000
    timeout client  50000
    timeout server  50000
    errorfile 503 /etc/haproxy/errors/503.http

listen stats
    bind *:8404
    stats enable
    stats uri /stats
    stats refresh 10s

frontend web
    bind *:80
    option forwardfor
    acl is_api path_beg /api
    http-request set-header X-Forwarded-Proto http
    use_backend app if is_api
    default_backend static

backend app
    balance roundrobin
    option httpchk GET /health
    option redispatch
    retries 2
    cookie SRV insert indirect nocache
    default-server inter 500ms fall 2 rise 1
    server app-1 app1.internal:8000 check weight 30 cookie a
    server app-2 app2.internal:8000 check weight 20 cookie b
    server app-3 app3.internal:8000 check weight 10 cookie c

backend static
    http-request return status 404
"#;

#[test]
fn a_users_haproxy_runs_as_it_is() {
    let (live, manifest, kept) = run("haproxy", "haproxy.cfg", HAPROXY);
    shares_by_weight(&live);
    assert!(kept.contains("stats refresh 10s"), "{kept}");
    let statistics = manifest["engine"]["statistics"].to_string();
    assert!(statistics.contains("app-1"), "{statistics}");
}

const ENVOY: &str = r#"admin:
  address:
    socket_address: { address: 0.0.0.0, port_value: 9901 }

static_resources:
  listeners:
    - name: web
      address:
        socket_address:
          address: 0.0.0.0
          port_value: 10000
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress_http
                access_log:
                  - name: envoy.access_loggers.stdout
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
                route_config:
                  name: local_route
                  virtual_hosts:
                    - name: shop
                      domains: ["*"]
                      routes:
                        - match: { prefix: "/api" }
                          route:
                            cluster: app
                            timeout: 5s
                            retry_policy: { retry_on: "5xx", num_retries: 2 }
                        - match: { prefix: "/" }
                          direct_response: { status: 404 }
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router

  clusters:
    - name: app
      type: STRICT_DNS
      connect_timeout: 1s
      lb_policy: ROUND_ROBIN
      load_assignment:
        cluster_name: app
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address:
                    socket_address:
                      address: app1.internal
                      port_value: 8000
                load_balancing_weight: 3
              - endpoint:
                  address:
                    socket_address: { address: app2.internal, port_value: 8000 }
                load_balancing_weight: 2
              - endpoint: { address: { socket_address: { address: app3.internal, port_value: 8000 } } }
                load_balancing_weight: 1
      health_checks:
        - timeout: 1s
          interval: 1s
          unhealthy_threshold: 2
          healthy_threshold: 1
          http_health_check: { path: "/health" }
"#;

#[test]
fn a_users_envoy_runs_as_it_is() {
    let (live, manifest, kept) = run("envoy", "envoy.yaml", ENVOY);
    shares_by_weight(&live);
    assert!(kept.contains("stat_prefix: ingress_http"), "{kept}");
    let statistics = manifest["engine"]["statistics"].to_string();
    assert!(statistics.contains("cluster.app.upstream_rq_total"), "{statistics}");
}
