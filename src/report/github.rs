//! What failed as annotations of a GitHub workflow: `::error file=…,title=…::…` on stdout (GitHub,
//! "Workflow commands for GitHub Actions").

use super::verdicts::{Case, cases};
use crate::compare::{Results, Verdict};

/// A line for everything that did not hold (errors) or could not be told (warnings), and for each
/// warning of a world. `file` is the scenario's, from where the workflow runs.
#[must_use]
pub fn annotations(results: &Results, file: &str) -> String {
    let mut text = String::new();
    let mut line = |level: &str, title: &str, message: &str| {
        text.push_str(&format!(
            "::{level} file={},title={}::{}\n",
            property(file),
            property(title),
            data(message)
        ));
    };
    for Case { suite, name, verdict, measured } in cases(results) {
        match verdict {
            Verdict::Held => {}
            Verdict::Failed if suite == "validity" => {
                line("error", "not a valid measurement", &format!("{name}: {measured}"));
            }
            Verdict::Failed => line("error", &name, &measured),
            Verdict::Undecided => line("warning", &name, &format!("undecided: {measured}")),
        }
    }
    for world in &results.worlds {
        for warning in &world.warnings {
            line("warning", &format!("{} world", world.world), warning);
        }
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{CheckResult, Evidence, results};
    use crate::units::World;

    #[test]
    fn what_has_a_meaning_to_the_workflow_is_escaped() {
        let mut results = results(&Evidence::default());
        let check = |verdict, text: &str, measured: &str| CheckResult {
            text: text.to_owned(),
            world: Some(World::Sim),
            verdict,
            measured: measured.to_owned(),
        };
        results.checks = vec![
            check(Verdict::Held, "mean < 1s", "1ms"),
            check(Verdict::Failed, "errors < 0.1%", "5%\nof all"),
            check(Verdict::Undecided, "p99 ~ live.p99 ± 1%", "no live"),
        ];
        assert_eq!(
            annotations(&results, "a,b.toml"),
            "::error file=a%2Cb.toml,title=errors < 0.1%25 (sim)::5%25%0Aof all\n\
             ::warning file=a%2Cb.toml,title=p99 ~ live.p99 ± 1%25 (sim)::undecided: no live\n"
        );
    }
}
