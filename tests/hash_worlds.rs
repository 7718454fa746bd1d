//! The two worlds hash the same bytes: wherever the key is, the load generator, the proxy and real
//! sockets send each request to the peer that the model sends it to.
#![cfg(feature = "live")]

use std::net::SocketAddr;

use lab::backend::{BackendConfig, Server};
use lab::host::clock;
use lab::load::{LoadConfig, Target};
use lab::proxy::{Proxy, ProxyConfig};
use lab::record::spool::read_spool;
use lab::record::{RequestError, RequestRow, Sink};
use lab::scenario::{self, Scenario};
use lab::sim;
use lab::units::{Seed, Span};

/// Rows of the model: which peer got each request, by id.
#[derive(Default)]
struct Rows(Vec<RequestRow>);

impl Sink for Rows {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;
    fn request(&mut self, row: &RequestRow) {
        self.0.push(*row);
    }
}

fn scenario(balancer: &str) -> Scenario {
    let text = format!(
        "schema_version = 1\n\
         [scenario]\nduration = \"1s\"\nseed = 5\n\
         [traffic]\nrate = \"300/s\"\nkeys = {{ count = 100, exponent = 0.5 }}\n\
         [[traffic.class]]\nname = \"read\"\npath = \"/shop/item?lang=en\"\nshare = \"70%\"\n\
         [[traffic.class]]\nname = \"write\"\npath = \"/cart/\"\nmethod = \"POST\"\nshare = \"30%\"\n\
         [balancer]\n{balancer}\n\
         [[backend]]\nname = \"a\"\nweight = 2\ncount = 4\nworkers = 64\n\
         service = {{ law = \"constant\", value = \"1ms\" }}\n"
    );
    scenario::parse(&text, "hash.toml").unwrap_or_else(|problems| panic!("{problems}"))
}

fn modelled(scenario: &Scenario) -> Vec<(u64, u32)> {
    let mut rows = Rows::default();
    sim::run(scenario, 0, &sim::Options::default(), &mut rows);
    picks(rows.0)
}

fn picks(mut rows: Vec<RequestRow>) -> Vec<(u64, u32)> {
    rows.sort_by_key(|row| row.id);
    rows.iter()
        .map(|row| {
            assert_eq!((row.error, row.status), (RequestError::None, 200), "request {}", row.id);
            (row.id, row.upstream)
        })
        .collect()
}

async fn lived(scenario: &Scenario, name: &str) -> Vec<(u64, u32)> {
    let seed = Seed::new(scenario.seed, 0);
    let addresses: Vec<SocketAddr> =
        scenario.backends.iter().map(|b| backend(scenario, &b.name)).collect();
    let mut config = ProxyConfig::new(scenario.balancer.clone(), addresses);
    config.seed = seed;
    let proxy = Proxy::start(&config).unwrap();
    let target = Target::resolve(&format!("http://{}", proxy.address())).unwrap();
    let zero = clock::now() + Span::from_millis(50);
    let spool = std::env::temp_dir().join(format!("lab-hash-{}-{name}.jsonl", std::process::id()));
    let mut load = LoadConfig::from_scenario(scenario, vec![target], seed, zero);
    load.spool = Some(spool.clone());
    lab::load::run(load, std::future::pending()).await.unwrap();
    let mut rows = Vec::new();
    let end = read_spool(&spool, |row| rows.push(row)).unwrap();
    assert!(!end.torn);
    let _ = std::fs::remove_file(&spool);
    proxy.stop().unwrap();
    picks(rows)
}

fn backend(scenario: &Scenario, name: &str) -> SocketAddr {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let config = BackendConfig::named(&scenario.backends, name, Seed::new(5, 0), any).unwrap();
    let server = Server::bind(config).unwrap();
    let address = server.listen();
    tokio::spawn(server.run(std::future::pending()));
    address
}

async fn agree(name: &str, balancer: &str) {
    let scenario = scenario(balancer);
    let (modelled, lived) = (modelled(&scenario), lived(&scenario, name).await);
    assert!(modelled.len() > 200, "{} requests", modelled.len());
    let used: std::collections::BTreeSet<u32> = modelled.iter().map(|(_, peer)| *peer).collect();
    assert_eq!(used.len(), 4, "{balancer}: every peer has keys");
    for (model, live) in modelled.iter().zip(&lived) {
        assert_eq!(model, live, "{balancer}: request and peer");
    }
    assert_eq!(modelled.len(), lived.len());
}

#[tokio::test]
async fn every_part_of_a_request_leads_to_the_same_peer() {
    for (name, key) in [
        ("header", "header:X-User"),
        ("cookie", "cookie:session"),
        ("uri", "uri"),
        ("path", "path"),
        ("host", "host"),
        ("client", "client"),
    ] {
        agree(name, &format!("algorithm = \"hash\"\nhash_key = \"{key}\"")).await;
    }
}

#[tokio::test]
async fn every_hash_leads_to_the_same_peer() {
    let header = "hash_key = \"header:x-user\"";
    agree("ip_hash", "algorithm = \"ip_hash\"").await;
    agree("maglev", &format!("algorithm = \"maglev\"\n{header}")).await;
    agree("ketama", &format!("algorithm = \"consistent_hash\"\n{header}")).await;
    agree("envoy", &format!("algorithm = \"consistent_hash\"\nring = \"envoy\"\n{header}")).await;
}
