//! Backends: groups expanded to instances, and the peers that the balancer sees.

use std::net::SocketAddr;

use super::{check_names, law, or, probability};
use crate::policy::peer::PeerConfig;
use crate::scenario::checked::{Backend, Discipline};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{BackendSection, BalancerSection, ScenarioFile};
use crate::scenario::reader::Written;
use crate::traffic::Law;
use crate::units::{Ratio, Span};

/// More instances than one host or one report can hold; a slip of the keyboard.
const MAX_INSTANCES: u64 = 10_000;

/// Every instance as the backend itself.
pub(super) fn lower(file: &ScenarioFile, problems: &mut Problems) -> Vec<Backend> {
    let groups = groups(file);
    let mut backends = Vec::new();
    let mut addresses = addresses(file, problems).into_iter();
    for group in groups {
        let service = service(group, problems);
        let health_failure =
            group.value.health_failure.as_ref().map_or(Ratio(0.0), |p| probability(p, problems));
        let speed = group.value.speed.as_ref().map_or(1.0, |s| super::above(s, 0.0, problems));
        backends.extend(instance_names(group).map(|name| Backend {
            name,
            group: or(group.value.name.as_ref(), String::new()),
            workers: group.value.workers.as_ref().map_or(1, |w| w.value.0),
            queue_limit: group.value.queue_limit.as_ref().map(|limit| limit.value),
            speed,
            service: service.clone(),
            discipline: or(group.value.discipline.as_ref(), Discipline::Fifo),
            health_failure,
            address: addresses.next().flatten(),
        }));
    }
    backends
}

fn groups(file: &ScenarioFile) -> &[Written<BackendSection>] {
    file.backend.as_ref().map_or(&[], |list| &list.value)
}

fn service(group: &Written<BackendSection>, problems: &mut Problems) -> Law {
    match &group.value.service {
        Some(service) => law(service, problems),
        None => {
            if !problems.mentions(&format!("{}.service", group.place.key)) {
                let help = r#"such as service = { law = "exponential", mean = "10ms" }"#;
                problems.report_with(&group.place, "the key `service` is missing", help);
            }
            Law::Constant(Span::ZERO)
        }
    }
}

/// The names of a group's instances.
fn instance_names(group: &Written<BackendSection>) -> impl Iterator<Item = String> {
    let name = or(group.value.name.as_ref(), String::new());
    let count = instances(group);
    (1..=count).map(move |i| if count == 1 { name.clone() } else { format!("{name}-{i}") })
}

fn instances(group: &Written<BackendSection>) -> u64 {
    u64::from(group.value.count.as_ref().map_or(1, |count| count.value.0)).min(MAX_INSTANCES)
}

/// Every instance as the balancer sees it; peer `i` is backend `i`.
pub(super) fn peers(
    file: &ScenarioFile,
    balancer: &BalancerSection,
    problems: &mut Problems,
) -> Vec<PeerConfig> {
    let groups = groups(file);
    check_groups(groups, problems);
    check_weights(groups, problems);
    let max_fails = or(balancer.max_fails.as_ref(), 1);
    let fail_timeout = or(balancer.fail_timeout.as_ref(), Span::from_secs(10));
    let slow_start = or(balancer.slow_start.as_ref(), Span::ZERO);
    groups
        .iter()
        .flat_map(|group| instance_names(group).map(move |name| (group, name)))
        .map(|(group, name)| PeerConfig {
            name,
            weight: or(group.value.weight.as_ref(), 1).max(1),
            backup: or(group.value.backup.as_ref(), false),
            down: or(group.value.down.as_ref(), false),
            absent: false,
            max_conns: or(group.value.max_conns.as_ref(), 0),
            max_fails: or(group.value.max_fails.as_ref(), max_fails),
            fail_timeout: or(group.value.fail_timeout.as_ref(), fail_timeout),
            slow_start: or(group.value.slow_start.as_ref(), slow_start),
        })
        .collect()
}

fn check_groups(groups: &[Written<BackendSection>], problems: &mut Problems) {
    check_names("backend", groups.iter().filter_map(|g| g.value.name.as_ref()), problems);
    check_instance_names(groups, problems);
    if groups.iter().map(instances).sum::<u64>() > MAX_INSTANCES
        && let Some(count) = groups.iter().filter_map(|g| g.value.count.as_ref()).next_back()
    {
        problems.report(&count.place, format!("more than {MAX_INSTANCES} instances altogether"));
    }
    let Some(first) = groups.first() else { return };
    let flag = |field: &Option<Written<bool>>| or(field.as_ref(), false);
    if groups.iter().all(|group| flag(&group.value.backup)) {
        let message = "every backend is a backup";
        problems.report_with(&first.place, message, "at least one must serve ordinarily");
    }
    if groups.iter().all(|group| flag(&group.value.down)) {
        problems.report(&first.place, "every backend is down");
    }
}

/// A group `a` of two has an instance `a-1`, which another group may be called already.
fn check_instance_names(groups: &[Written<BackendSection>], problems: &mut Problems) {
    for group in groups.iter().filter(|group| instances(group) > 1) {
        for other in groups.iter().filter_map(|g| g.value.name.as_ref()) {
            if instance_names(group).any(|name| name == other.value) {
                let owner = or(group.value.name.as_ref(), String::new());
                let message = format!("`{owner}` has an instance named `{}`", other.value);
                problems.report(&other.place, message);
            }
        }
    }
}

fn check_weights(groups: &[Written<BackendSection>], problems: &mut Problems) {
    let zero = |group: &&Written<BackendSection>| {
        group.value.weight.as_ref().is_some_and(|weight| weight.value == 0)
    };
    let zeros: Vec<_> =
        groups.iter().filter(zero).filter_map(|g| g.value.weight.as_ref()).collect();
    let help = "at least 1; to take a backend out write `down = true`";
    if let ([first, ..], true) = (zeros.as_slice(), zeros.len() == groups.len()) {
        return problems.report_with(&first.place, "the weights of all backends are 0", help);
    }
    for weight in zeros {
        problems.report_with(&weight.place, "a weight of 0 would get no request", help);
    }
}

/// The address of each instance, where given.
pub(in crate::scenario) fn addresses(
    file: &ScenarioFile,
    problems: &mut Problems,
) -> Vec<Option<SocketAddr>> {
    let mut list = Vec::new();
    for group in groups(file) {
        let address = group.value.address.as_ref().and_then(|written| {
            if instances(group) > 1 {
                problems.report(&written.place, "an address can stand for one instance only");
            }
            let parsed = written.value.parse();
            if parsed.is_err() {
                let message = format!("`{}` is no address", written.value);
                problems.report_with(&written.place, message, "such as \"127.0.0.1:8081\"");
            }
            parsed.ok()
        });
        list.extend((0..instances(group)).map(|_| address));
    }
    list
}
