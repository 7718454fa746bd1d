//! Backends: groups expanded to instances, and the peers that the balancer sees. A group that is
//! scaled is expanded to as many as it may ever have.

use std::net::SocketAddr;
use std::ops::Range;

use super::{autoscaler, check_names, law, or, probability};
use crate::policy::peer::PeerConfig;
use crate::scenario::checked::{Backend, Discipline};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{BackendSection, BalancerSection, ScenarioFile};
use crate::scenario::reader::Written;
use crate::traffic::Law;
use crate::units::{Ratio, Span};

/// More instances than one host or one report can hold; a slip of the keyboard.
pub(super) const MAX_INSTANCES: u64 = 10_000;

/// Every instance as the backend itself.
pub(super) fn lower(file: &ScenarioFile, problems: &mut Problems) -> Vec<Backend> {
    let mut backends = Vec::new();
    let mut addresses = addresses(file, problems).into_iter();
    for group in groups(file) {
        let service = service(group.written, problems);
        let present = group.present();
        let (names, group) = (group.names(), group.written);
        let health_failure =
            group.value.health_failure.as_ref().map_or(Ratio(0.0), |p| probability(p, problems));
        let speed = group.value.speed.as_ref().map_or(1.0, |s| super::above(s, 0.0, problems));
        backends.extend(names.zip(1..).map(|(name, number)| Backend {
            name,
            group: or(group.value.name.as_ref(), String::new()),
            absent: number > present,
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

/// A group as written, and the autoscaler's word on its instances.
#[derive(Clone, Copy)]
struct Group<'a> {
    written: &'a Written<BackendSection>,
    /// Present at the start, and at most, if it is scaled.
    scaled: Option<(u32, u32)>,
}

impl Group<'_> {
    /// All its instances, those included that may come.
    fn instances(&self) -> u64 {
        let count = self.written.value.count.as_ref().map_or(1, |count| count.value.0);
        u64::from(self.scaled.map_or(count, |(_, most)| most)).min(MAX_INSTANCES)
    }

    /// Those that are there at the start: the first ones.
    fn present(&self) -> u64 {
        self.scaled.map_or(self.instances(), |(present, _)| u64::from(present))
    }

    /// The names of its instances; those of a scaled group are always numbered.
    fn names(&self) -> impl Iterator<Item = String> + use<> {
        let name = or(self.written.value.name.as_ref(), String::new());
        let (count, numbered) = (self.instances(), self.is_numbered());
        (1..=count).map(move |i| if numbered { format!("{name}-{i}") } else { name.clone() })
    }

    fn is_numbered(&self) -> bool {
        self.scaled.is_some() || self.instances() > 1
    }
}

fn groups(file: &ScenarioFile) -> impl Iterator<Item = Group<'_>> {
    let list: &[_] = file.backend.as_ref().map_or(&[], |list| &list.value);
    let scaled = autoscaler::scaled_group(file);
    let size = scaled.map(|place| autoscaler::size(file, &list[place].value));
    list.iter().enumerate().map(move |(place, written)| Group {
        written,
        scaled: size.filter(|_| scaled == Some(place)),
    })
}

/// The places of the instances of group number `wanted` in the list of all.
pub(super) fn places(file: &ScenarioFile, wanted: usize) -> Range<usize> {
    let count = |group: Group<'_>| group.instances() as usize;
    let before = groups(file).take(wanted).map(count).sum();
    before..before + groups(file).nth(wanted).map_or(0, count)
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

/// Every instance as the balancer sees it; peer `i` is backend `i`.
pub(super) fn peers(
    file: &ScenarioFile,
    balancer: &BalancerSection,
    problems: &mut Problems,
) -> Vec<PeerConfig> {
    let groups: Vec<Group<'_>> = groups(file).collect();
    check_groups(&groups, problems);
    check_weights(&groups, problems);
    let max_fails = or(balancer.max_fails.as_ref(), 1);
    let fail_timeout = or(balancer.fail_timeout.as_ref(), Span::from_secs(10));
    let slow_start = or(balancer.slow_start.as_ref(), Span::ZERO);
    groups
        .iter()
        .flat_map(|group| group.names().zip(1..).map(move |(name, number)| (group, name, number)))
        .map(|(group, name, number)| (group.written, name, number > group.present()))
        .map(|(group, name, absent)| PeerConfig {
            name,
            absent,
            weight: or(group.value.weight.as_ref(), 1).max(1),
            backup: or(group.value.backup.as_ref(), false),
            down: or(group.value.down.as_ref(), false),
            max_conns: or(group.value.max_conns.as_ref(), 0),
            max_fails: or(group.value.max_fails.as_ref(), max_fails),
            fail_timeout: or(group.value.fail_timeout.as_ref(), fail_timeout),
            slow_start: or(group.value.slow_start.as_ref(), slow_start),
        })
        .collect()
}

fn check_groups(groups: &[Group<'_>], problems: &mut Problems) {
    check_names("backend", groups.iter().filter_map(|g| g.written.value.name.as_ref()), problems);
    check_instance_names(groups, problems);
    if groups.iter().map(Group::instances).sum::<u64>() > MAX_INSTANCES
        && let Some(count) =
            groups.iter().filter_map(|g| g.written.value.count.as_ref()).next_back()
    {
        problems.report(&count.place, format!("more than {MAX_INSTANCES} instances altogether"));
    }
    let Some(first) = groups.first() else { return };
    let flag = |field: &Option<Written<bool>>| or(field.as_ref(), false);
    if groups.iter().all(|group| flag(&group.written.value.backup)) {
        let message = "every backend is a backup";
        problems.report_with(&first.written.place, message, "at least one must serve ordinarily");
    }
    if groups.iter().all(|group| flag(&group.written.value.down)) {
        problems.report(&first.written.place, "every backend is down");
    }
}

/// A group `a` of two has an instance `a-1`, which another group may be called already.
fn check_instance_names(groups: &[Group<'_>], problems: &mut Problems) {
    for group in groups.iter().filter(|group| group.is_numbered()) {
        for other in groups.iter().filter_map(|g| g.written.value.name.as_ref()) {
            if group.names().any(|name| name == other.value) {
                let owner = or(group.written.value.name.as_ref(), String::new());
                let message = format!("`{owner}` has an instance named `{}`", other.value);
                problems.report(&other.place, message);
            }
        }
    }
}

fn check_weights(groups: &[Group<'_>], problems: &mut Problems) {
    let weights = groups.iter().filter_map(|group| group.written.value.weight.as_ref());
    let zeros: Vec<_> = weights.filter(|weight| weight.value == 0).collect();
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
        let address = group.written.value.address.as_ref().and_then(|written| {
            if group.instances() > 1 {
                problems.report(&written.place, "an address can stand for one instance only");
            }
            let parsed = written.value.parse();
            if parsed.is_err() {
                let message = format!("`{}` is no address", written.value);
                problems.report_with(&written.place, message, "such as \"127.0.0.1:8081\"");
            }
            parsed.ok()
        });
        list.extend((0..group.instances()).map(|_| address));
    }
    list
}
