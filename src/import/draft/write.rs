//! The draft as the text of a scenario.

use std::fmt::Write as _;

use super::{Draft, DraftBackend, Setting};
use crate::import::toml_text::{commented, quoted};

/// Sections in the order in which people read them; `balancer` itself comes first.
const ORDER: [&str; 11] = [
    "balancer",
    "balancer.retry",
    "balancer.health",
    "balancer.queue",
    "balancer.affinity",
    "balancer.client",
    "balancer.forward",
    "balancer.upstream",
    "balancer.upstream.tls",
    "balancer.outlier",
    "balancer.admin",
];

impl Draft {
    /// The text of the scenario. What was not taken over stands at its end as comments; lines with
    /// PLACEHOLDER hold what no configuration tells.
    #[must_use]
    pub fn scenario(&self) -> String {
        let mut text = self.head();
        text.push_str(TRAFFIC);
        let hashes = self.section("balancer").iter().any(|setting| setting.key == "hash_key");
        if hashes || !self.section("balancer.affinity").is_empty() {
            text.push_str("keys = { count = 1000 } # PLACEHOLDER: sessions, or what is hashed\n");
        }
        for section in ORDER {
            let settings = self.section(section);
            if section == "balancer" {
                let _ = write!(text, "\n[balancer]\nengine = {}\n", quoted(self.engine));
            } else if !settings.is_empty() {
                let _ = write!(text, "\n[{section}]\n");
            }
            settings.iter().for_each(|setting| push(&mut text, setting));
        }
        for backend in &self.backends {
            push_backend(&mut text, backend);
        }
        text.push_str(&self.tail());
        text
    }

    fn head(&self) -> String {
        let mut text =
            format!("# From {}, upstream {}.\n", commented(&self.file), commented(&self.upstream));
        if !self.others.is_empty() {
            let others: Vec<String> = self.others.iter().map(|name| commented(name)).collect();
            let _ = writeln!(
                text,
                "# There are others, which --upstream takes: {}.",
                others.join(", ")
            );
        }
        text.push_str(
            "#\n# A configuration does not tell how many requests come nor how long they take: the lines \
             with\n# PLACEHOLDER are guesses to be replaced.\n",
        );
        text
    }

    fn tail(&self) -> String {
        if self.not_taken.is_empty() {
            return "\n# Nothing was left out of the upstream, nor of what its proxy says about requests to it.\n"
                .to_owned();
        }
        let mut text = "\n# Not taken over:\n".to_owned();
        for note in &self.not_taken {
            let _ = writeln!(text, "# - {}", commented(&note.to_string()));
        }
        text
    }
}

const TRAFFIC: &str = r#"schema_version = 1

[scenario]
seed = 1
duration = "60s" # PLACEHOLDER
warm_up = "5s"   # PLACEHOLDER

[traffic]
rate = "100/s" # PLACEHOLDER
"#;

fn push_backend(text: &mut String, backend: &DraftBackend) {
    let name = quoted(&backend.name);
    let _ =
        write!(text, "\n[[backend]] # {}\nname = {name}\n", commented(&backend.origin.to_string()));
    backend.settings.iter().for_each(|setting| push(text, setting));
    text.push_str("workers = 16 # PLACEHOLDER: requests that it serves at once\n");
    text.push_str(
        "service = { law = \"log_normal\", mean = \"50ms\", sigma = 0.8 } # PLACEHOLDER\n",
    );
}

fn push(text: &mut String, setting: &Setting) {
    let Setting { key, value, comment } = setting;
    let _ = write!(text, "{key} = {value}");
    if !comment.is_empty() {
        let _ = write!(text, " # {}", commented(comment));
    }
    text.push('\n');
}
