//! A door to the Docker Engine that is open as far as an autoscaler needs it, and no further.
//!
//! Whoever may speak to Docker's socket is root on the host: a container can be told to mount `/`.
//! So the autoscaler of a stack gets this program's socket instead. Through it, containers of one
//! group can be made from named images on named networks, started, stopped, removed and looked at;
//! everything else is refused, and said so on stderr. Nothing is passed on as it came: a request is
//! read, held against [`rules`] and [`body`], and written anew, so that no second meaning of the same
//! bytes gets through.

pub mod body;
pub mod program;
pub mod rules;

/// What may be done through the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Containers carry the label `lab.group` with this value: only they are seen and touched.
    pub group: String,
    /// Images that they may be made from.
    pub images: Vec<String>,
    /// Networks that they may be on.
    pub networks: Vec<String>,
}

/// The label of a container that names its group.
pub const GROUP_LABEL: &str = "lab.group";
