//! `lab new NAME`: a commented scenario to begin with.

use std::path::{Path, PathBuf};

use super::{NewError, write_new};
use crate::scenario;

/// What a new scenario begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Template {
    /// Every section once, with what it is for, and a server that crashes
    Start,
    /// Steady load at 70 % of capacity, so that queueing shows
    Steady,
    /// Weights, a backup, health checks, and one server that crashes and returns
    Failover,
    /// More load than the servers can do
    Overload,
    /// Three times the load at once, then a ramp down
    Spike,
    /// One of twenty servers is slow, and no health check sees it
    SlowNode,
    /// An autoscaler that follows a load which steps up and down
    Autoscale,
}

impl Template {
    const fn text(self) -> &'static str {
        match self {
            Self::Start => include_str!("start.toml"),
            Self::Steady => include_str!("../../../scenarios/steady.toml"),
            Self::Failover => include_str!("../../../scenarios/failover.toml"),
            Self::Overload => include_str!("../../../scenarios/overload.toml"),
            Self::Spike => include_str!("../../../scenarios/spike.toml"),
            Self::SlowNode => include_str!("../../../scenarios/slow-node.toml"),
            Self::Autoscale => include_str!("../../../scenarios/autoscale.toml"),
        }
    }

    /// The text for a scenario `name` in the file `shown`: what names the shipped file names this
    /// one.
    fn renamed(self, name: &str, shown: &str) -> String {
        let own = |line: &&str| {
            !line.starts_with("#:schema") && !line.starts_with("name = \"autoscale\"")
        };
        let line = |line: &str| {
            let mut words = line.split(' ').map(|word| {
                let shipped = word.starts_with("scenarios/") && word.ends_with(".toml");
                if shipped || word == "FILE" { shown } else { word }
            });
            let first = words.next().unwrap_or_default().to_owned();
            words.fold(first, |line, word| line + " " + word)
        };
        let lines = self.text().lines().filter(own).map(line);
        lines.map(|line| line + "\n").collect::<String>().replace("NAME", name)
    }
}

/// Writes `name` from `template` into the folder `into`, and tells what to do next.
pub(super) fn write(name: &str, template: Template, into: &Path) -> Result<String, NewError> {
    let stem = name.strip_suffix(".toml").unwrap_or(name);
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if stem.is_empty() || !stem.chars().all(fine) {
        return Err(NewError::ScenarioName(name.to_owned()));
    }
    let target: PathBuf = into.join(format!("{stem}.toml"));
    let shown = target.strip_prefix(".").unwrap_or(&target).display().to_string();
    let text = template.renamed(stem, &shown);
    scenario::parse(&text, &target).map_err(NewError::Wrong)?;
    write_new(target, &text)?;
    Ok(format!(
        "wrote {shown}; make it yours, then\n  lab check {shown}\n  lab run {shown} --only sim\n  lab run {shown}\n"
    ))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_template_is_right_and_names_its_own_file() {
        for template in Template::value_variants() {
            let text = template.renamed("mine", "folder/mine.toml");
            let scenario = scenario::parse(&text, "folder/mine.toml")
                .unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(scenario.name, "mine", "{template:?}");
            for left in ["scenarios/", "FILE", "NAME", "#:schema"] {
                assert!(!text.contains(left), "{template:?} has {left}:\n{text}");
            }
            assert!(text.starts_with("# "), "{template:?} is commented");
        }
    }

    #[test]
    fn options_of_the_start_can_be_used() {
        let text = Template::Start.renamed("mine", "mine.toml");
        let option = |line: &str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned(),
            _ => line.to_owned(),
        };
        let used: Vec<String> = text.lines().map(option).collect();
        let changed = used.iter().zip(text.lines()).filter(|(one, other)| one != other).count();
        assert!(changed >= 8, "{changed} options");
        scenario::parse(&used.join("\n"), "mine.toml").unwrap_or_else(|wrong| panic!("{wrong}"));
    }
}
