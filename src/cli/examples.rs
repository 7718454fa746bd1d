//! Examples at the end of each `--help`, for the commands that do not tell their own.

use clap::Command;

/// By command: command lines, each with what it is for.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "run",
        &[
            ("Both worlds, then how far apart they are", "lab run scenarios/failover.toml"),
            ("The model alone, which takes a moment", "lab run scenarios/steady.toml --only sim"),
            (
                "Another algorithm, with rounds to see how far the live world repeats itself",
                "lab run scenarios/steady.toml --set balancer.algorithm=random --rounds 2",
            ),
            (
                "Real balancers by turns",
                "lab run scenarios/nginx-classic.toml --engine own,nginx,haproxy",
            ),
            (
                "In CI: the exit code, and the numbers",
                "lab run scenarios/steady.toml --only sim --json",
            ),
        ],
    ),
    (
        "check",
        &[
            ("Everything that is wrong, at once", "lab check scenarios/steady.toml"),
            (
                "What these engines cannot do of it",
                "lab check scenarios/slow-node.toml --engine nginx,envoy",
            ),
        ],
    ),
    (
        "config",
        &[
            ("On the terminal", "lab config nginx scenarios/failover.toml"),
            ("As files", "lab config envoy scenarios/failover.toml --out envoy"),
            ("For Kubernetes", "lab config hpa scenarios/autoscale.toml"),
        ],
    ),
    (
        "diff",
        &[
            ("Two files", "lab diff scenarios/thrash.toml scenarios/thrash-naive.toml"),
            (
                "What was run, with its overrides, against the file as it is now",
                "lab diff results/steady/latest scenarios/steady.toml",
            ),
            ("In a script", "lab diff --quiet scenarios/steady.toml mine.toml"),
        ],
    ),
    (
        "trace",
        &[(
            "Why the first requests went where they went",
            "lab trace scenarios/failover.toml --requests 5",
        )],
    ),
    ("theory", &[("With all cores", "lab theory"), ("For a program", "lab theory --json")]),
    ("calibrate", &[("Behind three balancers", "lab calibrate --engine own,nginx,haproxy")]),
    (
        "new",
        &[
            ("A commented scenario to begin with", "lab new shop"),
            ("With an autoscaler", "lab new shop --template autoscale"),
            ("As a balancer is configured", "lab new --from /etc/nginx/nginx.conf"),
            ("As Kubernetes scales", "lab new shop --from hpa.yaml"),
            ("A balancing policy of one's own", "lab new --policy shortest_queue"),
        ],
    ),
    (
        "import",
        &[
            ("What is in it", "lab import access.log"),
            (
                "As a trace, with a scenario that plays it",
                "lab import access.log --output day.csv --scenario day.toml",
            ),
        ],
    ),
    (
        "doctor",
        &[
            ("What is here, and is this host fit to measure?", "lab doctor"),
            ("In CI: fail without them", "lab doctor --require nginx,docker,fit"),
        ],
    ),
    ("schema", &[("For an editor", "lab schema")]),
    (
        "completions",
        &[
            ("Bash, in ~/.bashrc", "lab completions bash"),
            ("Fish, in ~/.config/fish/config.fish", "lab completions fish"),
        ],
    ),
    (
        "man",
        &[
            ("One page", "lab man run"),
            ("All of them, for man(1)", "lab man --into /usr/local/share/man/man1"),
        ],
    ),
    (
        "backend",
        &[
            ("Two workers, 20 ms each request", "lab backend --workers 2 --service constant:20ms"),
            (
                "One of a scenario",
                "lab backend --scenario scenarios/failover.toml --name b1 --listen 127.0.0.1:8081",
            ),
        ],
    ),
    (
        "stack",
        &[
            ("Up, with NGINX beside", "lab stack up --profile nginx"),
            ("How it is", "lab stack status"),
            ("Down, with its data", "lab stack down --volumes"),
        ],
    ),
];

/// `command` with examples at each subcommand that has none yet.
pub(super) fn added(command: Command) -> Command {
    command.mut_subcommands(|sub| {
        let known = EXAMPLES.iter().find(|(name, _)| *name == sub.get_name());
        match known {
            Some((_, examples)) if help_after(&sub).is_empty() => {
                sub.after_long_help(text(examples))
            }
            _ => sub,
        }
    })
}

fn text(examples: &[(&str, &str)]) -> String {
    let lines = examples.iter().map(|(about, line)| format!("\n  {about}\n    {line}"));
    "Examples:".to_owned() + &lines.collect::<String>()
}

/// What stands behind the options of a command.
fn help_after(command: &Command) -> String {
    let told = command.get_after_long_help().or_else(|| command.get_after_help());
    told.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command lines in a help.
    fn lines(help: &str) -> Vec<String> {
        let joined = help.split("\\\n").map(str::trim_start).collect::<Vec<_>>().join(" ");
        let lines = joined.lines().map(str::trim).filter(|line| line.starts_with("lab "));
        // What stands far behind a command line is said about it.
        let command = |line: &str| {
            line.split("   ").next().unwrap_or(line).trim_end_matches('&').trim().to_owned()
        };
        lines.map(command).collect()
    }

    /// As a shell splits it, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_command_has_examples_and_each_of_them_is_right() {
        let command = crate::cli::command();
        let mut lacking = Vec::new();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let found = lines(&help_after(sub));
            if found.is_empty() {
                lacking.push(sub.get_name().to_owned());
            }
            for line in found {
                let parsed = command.clone().try_get_matches_from(words(&line));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                for file in words(&line).iter().filter(|word| word.starts_with("scenarios/")) {
                    let there =
                        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists();
                    assert!(there, "{line}: there is no {file}");
                }
            }
        }
        assert!(lacking.is_empty(), "without an example in --help: {}", lacking.join(", "));
    }

    #[test]
    fn every_entry_is_a_command() {
        let command = crate::cli::command();
        for (name, _) in EXAMPLES {
            assert!(command.find_subcommand(name).is_some(), "{name}");
        }
    }
}
