//! What can go wrong with Docker, said to the person who has to mend it.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use bollard::errors::Error;

/// Why something could not be done with Docker.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// `DOCKER_HOST` is not a Unix socket.
    #[error(
        "DOCKER_HOST is {host:?}: lab speaks to Docker over a Unix socket alone, such as unix:///var/run/docker.sock"
    )]
    Scheme {
        /// As given.
        host: String,
    },
    /// Nobody answers at the socket.
    #[error(
        "no Docker daemon answers at {host} ({why}): is it running? `sudo systemctl start docker` or `sudo dockerd` starts it; DOCKER_HOST names another socket"
    )]
    NoDaemon {
        /// The socket.
        host: String,
        /// What the system said.
        why: String,
    },
    /// The socket is somebody else's.
    #[error(
        "no permission for Docker's socket {host}: join the group that owns it (`sudo usermod -aG docker $USER`, then log in again) or use sudo"
    )]
    Permission {
        /// The socket.
        host: String,
    },
    /// The image is not on this machine; nothing is pulled.
    #[error(
        "the image {image:?} is not on this machine: `docker build -t {image} .` in lab's source makes it, and --image names another"
    )]
    NoImage {
        /// As asked for.
        image: String,
    },
    /// A container never got healthy.
    #[error("{name} did not get healthy within {waited:?}: {probe}{log}")]
    Unhealthy {
        /// Which.
        name: String,
        /// How long it had.
        waited: Duration,
        /// What the last health check said.
        probe: String,
        /// The end of its log, on lines of its own; may be empty.
        log: String,
    },
    /// A container ended before it was ready.
    #[error("{name} ended before it was ready ({status}){log}")]
    Ended {
        /// Which.
        name: String,
        /// How.
        status: String,
        /// The end of its log, on lines of its own; may be empty.
        log: String,
    },
    /// The container serves, but not for this process.
    #[error(
        "{name} is healthy, but {address} cannot be reached from here ({why}): lab has to run on the host of the Docker daemon itself, in no container and no virtual machine"
    )]
    OutOfReach {
        /// Which.
        name: String,
        /// Where it serves.
        address: std::net::SocketAddr,
        /// What was seen.
        why: String,
    },
    /// The balancer runs elsewhere and knows fixed addresses.
    #[error(
        "a balancer that runs elsewhere knows its backends' addresses, and those of containers are new in each run: leave --provider docker away"
    )]
    Elsewhere,
    /// The daemon refused.
    #[error("Docker would not {what}: {message}")]
    Refused {
        /// What it was asked.
        what: String,
        /// What it said.
        message: String,
    },
    /// The daemon does not answer any more.
    #[error("Docker went away ({why}) when it was asked to {what}")]
    Gone {
        /// What it was asked.
        what: String,
        /// What was seen.
        why: String,
    },
    /// A container of a stack is not as it should be.
    #[error("{0}")]
    Unwell(String),
    /// A file of the run could not be written.
    #[error("cannot write {}: {error}", path.display())]
    Log {
        /// Which.
        path: std::path::PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl DockerError {
    /// The daemon at `host` could not be spoken to.
    pub(crate) fn unreachable(host: &str, error: &Error) -> Self {
        let host = host.to_owned();
        match kind(error) {
            Some(ErrorKind::PermissionDenied) => Self::Permission { host },
            _ => Self::NoDaemon { host, why: root(error) },
        }
    }

    /// The daemon did not do `what`.
    pub(crate) fn of(what: impl Into<String>, error: &Error) -> Self {
        let what = what.into();
        match error {
            Error::DockerResponseServerError { message, .. } => {
                Self::Refused { what, message: message.trim().to_owned() }
            }
            other => Self::Gone { what, why: root(other) },
        }
    }
}

/// Whether the daemon answered with `status`.
pub(crate) fn is_status(error: &Error, status: u16) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code, .. } if *status_code == status)
}

/// The system's error at the bottom of `error`.
fn kind(error: &Error) -> Option<ErrorKind> {
    if let Error::IOError { err } = error {
        return Some(err.kind());
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(system) = error.downcast_ref::<std::io::Error>() {
            return Some(system.kind());
        }
        cause = error.source();
    }
    None
}

/// The innermost cause in words: the outer ones say no more than that there is one.
fn root(error: &Error) -> String {
    if let Error::SocketNotFoundError(_) = error {
        return "there is no such socket".to_owned();
    }
    let mut innermost = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        innermost = error.to_string();
        cause = error.source();
    }
    innermost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_what_docker_said() {
        let error =
            Error::DockerResponseServerError { status_code: 409, message: "in use\n".to_owned() };
        assert_eq!(
            DockerError::of("remove b1", &error).to_string(),
            "Docker would not remove b1: in use"
        );
        assert!(is_status(&error, 409));
    }

    #[test]
    fn a_socket_without_permission_is_told_from_none() {
        let error = |kind| Error::IOError { err: std::io::Error::from(kind) };
        let denied = DockerError::unreachable("unix:///s", &error(ErrorKind::PermissionDenied));
        assert!(matches!(denied, DockerError::Permission { .. }), "{denied}");
        let refused = DockerError::unreachable("unix:///s", &error(ErrorKind::ConnectionRefused));
        assert!(matches!(refused, DockerError::NoDaemon { .. }), "{refused}");
        let none = Error::SocketNotFoundError("/s".to_owned());
        let none = DockerError::unreachable("unix:///s", &none).to_string();
        assert!(none.contains("unix:///s (there is no such socket): is it running?"), "{none}");
    }
}
