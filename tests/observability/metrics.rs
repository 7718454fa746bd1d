//! The flow of a metric: a backend counts, Prometheus finds it and scrapes it, a panel shows it.

use lab::exposition::{BACKEND_LABEL, TargetGroup};
use lab::live::prometheus::{Prometheus, PrometheusOptions};
use lab::monitor::{Board, Job, Server};
use lab::units::Span;

use super::panels::{Dashboard, Filled};
use super::programs::{Backend, free};
use super::prometheus::{Api, PATIENCE, get};
use super::support::{Folder, wait_until};

#[test]
fn a_request_at_a_backend_is_seen_in_a_panel() {
    let folder = Folder::new();
    let backend = Backend::start(&folder, "b1");
    let board = Board::default();
    let server = Server::start(([127, 0, 0, 1], 0).into(), board.clone()).expect("served");
    let prometheus = Prometheus::start(&PrometheusOptions {
        listen: free(),
        scrape_interval: Span::from_millis(500),
        lab: server.address(),
        folder: folder.path().join("prometheus"),
    })
    .expect("Prometheus");
    let api = Api(prometheus.address());
    // It is found where lab says, not before.
    assert_eq!(api.now("up{job=\"backends\"}").expect("answered").len(), 0);
    let target = TargetGroup::new(backend.address).label(BACKEND_LABEL, "b1");
    board.found(Job::Backends, "b1", target);
    api.comes_to("up{job=\"backends\", backend=\"b1\"}", 1.0);

    (0..7).for_each(|_| drop(get(backend.address, "/anything")));
    let own = get(backend.address, "/metrics");
    let counted = "lab_backend_requests_total{status=\"200\"} 7";
    assert!(own.lines().any(|line| line == counted), "{own}");
    api.comes_to("lab_backend_requests_total{backend=\"b1\", status=\"200\"}", 7.0);
    // And the time that the workers were held: seven times five milliseconds at least.
    let busy = api.one("lab_backend_busy_seconds_total{backend=\"b1\"}");
    assert!((0.035..0.2).contains(&busy), "{busy}");

    let dashboard = Dashboard::load("backends");
    let filled = Filled::new(&dashboard, api);
    let query = filled.query("Requests by status");
    let shown = || {
        let found = api.now(&query).unwrap_or_default();
        found.iter().any(|one| one.label("backend") == "b1" && one.label("status") == "200")
    };
    assert!(wait_until(PATIENCE, shown), "{query} shows nothing");

    // What is gone is scraped no longer.
    board.lost(Job::Backends, "b1");
    let gone = || api.targets().iter().all(|target| target["labels"]["job"] != "backends");
    assert!(wait_until(PATIENCE, gone), "{:?}", api.targets());
}
