//! Compose itself: the plugin of Docker, or the program before it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why Compose does not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComposeError {
    #[error(
        "neither `docker compose` nor `docker-compose` is installed: Docker's packages have docker-compose-plugin, Debian has docker-compose"
    )]
    Missing,
    #[error("there is no {}: go to lab's source, or name the file with --file", .0.display())]
    NoFile(PathBuf),
    #[error("cannot start {command}: {error}")]
    Start { command: String, error: io::Error },
    #[error("{command} ended with {status}; what it said is above")]
    Failed { command: String, status: std::process::ExitStatus },
    #[error("cannot write {}: {error}", path.display())]
    Token { path: PathBuf, error: io::Error },
}

/// Compose, with the file and the project it is for.
#[derive(Debug)]
pub(super) struct Compose {
    words: Vec<String>,
    project: String,
}

impl Compose {
    pub(super) fn find(file: &Path, project: &str) -> Result<Self, ComposeError> {
        if !file.is_file() {
            return Err(ComposeError::NoFile(file.to_owned()));
        }
        let forms: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
        let words = forms.into_iter().find(|words| answers(words)).ok_or(ComposeError::Missing)?;
        let file = file.display().to_string();
        let rest = ["--project-name", project, "--file", &file];
        let words = words.iter().chain(&rest).map(|word| (*word).to_owned()).collect();
        Ok(Self { words, project: project.to_owned() })
    }

    /// Starts everything, without waiting longer than the order of the start needs.
    pub(super) fn up(&self, profiles: &[String]) -> Result<(), ComposeError> {
        let mut words: Vec<&str> = Vec::new();
        for profile in profiles {
            words.extend(["--profile", profile]);
        }
        words.extend(["up", "--detach", "--remove-orphans"]);
        self.run(&words)
    }

    /// Stops the autoscaler, which would replace what is removed; a file without one has nothing to
    /// stop.
    pub(super) fn stop_autoscaler(&self) {
        let _ = self.run(&["stop", "--timeout", "5", "autoscaler"]);
    }

    pub(super) fn down(&self, volumes: bool) -> Result<(), ComposeError> {
        // A service of a profile that is not named is an orphan.
        let mut words = vec!["down", "--remove-orphans", "--timeout", "10"];
        if volumes {
            words.push("--volumes");
        }
        self.run(&words)
    }

    /// Runs it; what it says on stdout goes to stderr, as talk does.
    fn run(&self, words: &[&str]) -> Result<(), ComposeError> {
        let command = format!("{} {}", self.words.join(" "), words.join(" "));
        let status = Command::new(&self.words[0])
            // Names in the file are made of it.
            .env("COMPOSE_PROJECT_NAME", &self.project)
            .args(&self.words[1..])
            .args(words)
            .stdin(Stdio::null())
            .stdout(io::stderr())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(ComposeError::Failed { command, status }),
            Err(error) => Err(ComposeError::Start { command, error }),
        }
    }
}

fn answers(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg("version");
    let run = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

/// The token that the proxy's admin interface asks for, made once beside the Compose file. Its folder
/// is the user's alone; in the containers other users read the file.
pub(super) fn make_token(file: &Path) -> Result<(), ComposeError> {
    let folder = file.parent().unwrap_or(Path::new(".")).join("secrets");
    let path = folder.join("admin-token");
    if path.exists() {
        return Ok(());
    }
    let write = || {
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        let mut random = [0u8; 24];
        io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut random)?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let partial = folder.join(".admin-token");
        fs::write(&partial, token + "\n")?;
        fs::set_permissions(&partial, fs::Permissions::from_mode(0o444))?;
        fs::rename(&partial, &path)
    };
    write().map_err(|error| ComposeError::Token { path: path.clone(), error })
}
