//! What a balancer that runs already (`engine = "url:http://…"`) asks of a scenario: it knows its
//! backends by their addresses, and takes no orders from lab.

use crate::scenario::checked::{Backend, Engine};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{FaultKindWord, ScenarioFile};

/// Reports backends without an address or with that of another, and faults that the balancer
/// would have to be told of.
pub(super) fn check(file: &ScenarioFile, backends: &[Backend], problems: &mut Problems) {
    let balancer = file.balancer.as_ref().map(|section| &section.value);
    let Some(engine) = balancer.and_then(|section| section.engine.as_ref()) else { return };
    let Engine::Elsewhere(url) = &engine.value else { return };
    let groups = file.backend.as_ref().map_or(&[][..], |list| &list.value);
    for group in groups.iter().filter(|group| group.value.address.is_none()) {
        let message = format!("the balancer at {url} runs already and must find this backend");
        let help = "add the address that it knows, such as address = \"127.0.0.1:8081\"";
        problems.report_with(&group.place, message, help);
    }
    for (i, backend) in backends.iter().enumerate() {
        let Some(address) = backend.address else { continue };
        let twice = backends[..i].iter().find(|other| other.address == Some(address));
        let written = groups.iter().find(|group| {
            group.value.name.as_ref().is_some_and(|name| name.value == backend.group)
        });
        if let (Some(other), Some(place)) =
            (twice, written.and_then(|group| group.value.address.as_ref()).map(|a| &a.place))
        {
            problems.report(place, format!("`{}` listens at {address} too", other.name));
        }
    }
    let faults = file.fault.as_ref().map_or(&[][..], |list| &list.value);
    for kind in faults.iter().filter_map(|fault| fault.value.kind.as_ref()) {
        if kind.value == FaultKindWord::Drain {
            let message = format!("the balancer at {url} takes no orders from lab");
            problems.report_with(&kind.place, message, "a crash, hang or slow backend is possible");
        }
    }
}
