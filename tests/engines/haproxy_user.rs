//! A `haproxy.cfg` of the user's own, as it is run, passes HAProxy's own check.

use std::process::Command;

use lab::engine::{self, Wiring};
use lab::scenario::{self, Engine};

const MINE: &str = "\
global
    log /dev/log local0
    chroot /var/lib/haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin
    user haproxy
    group haproxy
    daemon
defaults
    log global
    mode http
    option httplog
    timeout connect 5000
    timeout client  50000
    timeout server  50000
listen stats
    bind :8404
    stats enable
    stats uri /stats
frontend web
    bind *:80
    acl is_api path_beg /api
    use_backend app if is_api
    default_backend app
backend app
    balance leastconn
    option httpchk GET /health
    default-server inter 1s fall 2 rise 2
    server app1 app1.internal:8000 check weight 5
    server app2 app2.internal:8000 check port 8001 weight 5
    server app3 app3.internal:8000 check weight 3
    server app4 app4.internal:8000 check backup # spare
";

#[test]
fn haproxy_accepts_a_configuration_bound_to_lab() {
    let scenario = scenario::load("scenarios/failover.toml").unwrap();
    let wiring = Wiring::example(scenario.backends.len());
    let mine = engine::user_configuration(&Engine::Haproxy, MINE, &scenario, &wiring).unwrap();
    let text = &mine.configuration.files[0].text;
    let file = std::env::temp_dir().join(format!("lab-haproxy-user-{}.cfg", std::process::id()));
    std::fs::write(&file, text).unwrap();
    let output = Command::new("haproxy").arg("-c").arg("-f").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{text}");
    std::fs::remove_file(&file).unwrap();
    assert!(mine.diff.contains("+    server app2 127.0.0.1:9002 check port 9002 weight 5"));
    assert_eq!(mine.diff.matches("+    # ").count(), 3, "chroot, user, group: {}", mine.diff);
}
