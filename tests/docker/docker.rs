//! Docker by its own client, and lab's image with the program under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// lab's image, with the program under test.
pub(crate) const IMAGE: &str = "lab:test";

/// The repository's own files.
pub(crate) fn source() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `docker` with `arguments`; what it printed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = try_docker(arguments);
    assert!(output.status.success(), "docker {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn try_docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("docker is not installed: see tests/run")
}

/// Builds lab's image from the public Dockerfile, once.
pub(crate) fn image() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let script = source().join("compose/local-image.sh");
        let output =
            Command::new("sh").arg(script).args([env!("CARGO_BIN_EXE_lab"), IMAGE]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
    });
    IMAGE
}

/// The same image, looked at each half second: its own ten seconds are for real life.
pub(crate) fn quick_image() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    const QUICK: &str = "lab:test-quick";
    BUILT.get_or_init(|| {
        let check = r#"CMD ["/usr/local/bin/lab", "health", "http://127.0.0.1:8080/health"]"#;
        let options = "--interval=500ms --timeout=3s --start-period=10s --retries=3";
        build(QUICK, &format!("FROM {}\nHEALTHCHECK {options} {check}\n", image()));
    });
    QUICK
}

/// Builds an image of `text`, a Dockerfile, with nothing beside it.
pub(crate) fn build(tag: &str, text: &str) {
    let folder = crate::support::Folder::new();
    folder.file("Dockerfile", text);
    docker(&["build", "--quiet", "--tag", tag, &folder.path().display().to_string()]);
}

pub(crate) fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What it stands for is removed when it goes, also if the test fails.
pub(crate) struct Removed(pub(crate) Vec<Vec<String>>);

impl Removed {
    pub(crate) fn later(commands: &[&[&str]]) -> Self {
        let words = |command: &&[&str]| command.iter().map(|word| (*word).to_owned()).collect();
        Self(commands.iter().map(words).collect())
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        for command in &self.0 {
            let _ = Command::new("docker").args(command).output();
        }
    }
}

/// A tool that `tests/run` puts into an environment beside the build, or one on the search path.
pub(crate) fn tool(name: &str, beside: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_lab")).ancestors().nth(2).unwrap().join(beside);
    if target.exists() { target } else { PathBuf::from(name) }
}
