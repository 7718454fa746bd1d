//! The listening sockets of a process. They outlive reloads, and the program that takes this one's
//! place inherits them: a client that is connecting meanwhile waits in the queue of a socket that
//! is never closed.
//!
//! Each worker has a socket of its own at each address (`SO_REUSEPORT`), and the kernel spreads
//! new connections over them. With fewer workers than before some have several: closing a socket
//! would reset the clients in its queue.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::error::ProxyError;
use crate::scenario::edge::AdminAddress;

const BACKLOG: i32 = 4096;

/// Names in the environment of a program that inherits sockets.
pub(super) const SOCKETS: &str = "LAB_PROXY_SOCKETS";
pub(super) const ADMIN: &str = "LAB_PROXY_ADMIN";

/// Listening sockets, by address.
#[derive(Clone, Debug, Default)]
pub(super) struct Sockets {
    groups: Vec<Group>,
    admin: Option<(AdminAddress, Arc<AdminSocket>)>,
}

/// The sockets at one address.
#[derive(Clone, Debug)]
struct Group {
    /// As configured: the port may be 0.
    written: SocketAddr,
    sockets: Vec<Arc<TcpListener>>,
}

/// The socket of the admin interface.
#[derive(Debug)]
pub(super) enum AdminSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Sockets {
    /// Sockets for `workers` threads at each of `addresses`, and for the admin interface. Those
    /// that `self` has are kept, in order where an address comes more than once.
    ///
    /// # Errors
    /// When an address cannot be bound; `self` is as it was.
    pub(super) fn arrange(
        &self,
        addresses: &[SocketAddr],
        workers: usize,
        admin: Option<&AdminAddress>,
    ) -> Result<Self, ProxyError> {
        let mut spare: Vec<Option<&Group>> = self.groups.iter().map(Some).collect();
        let mut groups = Vec::new();
        for &written in addresses {
            let place = spare.iter().position(|group| group.is_some_and(|g| g.written == written));
            let sockets = place
                .and_then(|place| spare[place].take())
                .map_or_else(Vec::new, |group| group.sockets.clone());
            let mut group = Group { written, sockets };
            group.fill(workers).map_err(|source| ProxyError::Bind { address: written, source })?;
            groups.push(group);
        }
        let admin = match (admin, &self.admin) {
            (None, _) => None,
            (Some(wanted), Some((had, socket))) if had == wanted => {
                Some((wanted.clone(), Arc::clone(socket)))
            }
            (Some(wanted), _) => Some((wanted.clone(), Arc::new(AdminSocket::bind(wanted)?))),
        };
        Ok(Self { groups, admin })
    }

    /// Lets go of the sockets for clients.
    pub(super) fn close(&mut self) {
        self.groups.clear();
    }

    /// Where each group listens, with the ports that the system chose.
    pub(super) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let first = |group: &Group| {
            group.sockets.first().map_or(Ok(group.written), |socket| socket.local_addr())
        };
        self.groups.iter().map(first).collect()
    }

    /// Copies of the sockets of worker `number` of `workers`, with the place of their address.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub(super) fn of_worker(
        &self,
        number: usize,
        workers: usize,
    ) -> io::Result<Vec<(usize, TcpListener)>> {
        let mut mine = Vec::new();
        for (place, group) in self.groups.iter().enumerate() {
            for socket in group.sockets.iter().skip(number).step_by(workers) {
                mine.push((place, socket.try_clone()?));
            }
        }
        Ok(mine)
    }

    /// The admin interface's socket.
    pub(super) fn admin(&self) -> Option<&Arc<AdminSocket>> {
        self.admin.as_ref().map(|(_, socket)| socket)
    }

    /// The descriptors, for a program that is to inherit them, and the text that tells it which is
    /// which: `0/127.0.0.1:8080=5,…` by place and address, and `7=127.0.0.1:9901` or
    /// `7=unix:/path` for the admin interface.
    pub(super) fn bequest(&self) -> (Vec<BorrowedFd<'_>>, String, Option<String>) {
        let mut descriptors = Vec::new();
        let mut entries = Vec::new();
        for (place, group) in self.groups.iter().enumerate() {
            for socket in &group.sockets {
                descriptors.push(socket.as_fd());
                entries.push(format!("{place}/{}={}", group.written, socket.as_raw_fd()));
            }
        }
        let admin = self.admin.as_ref().map(|(address, socket)| {
            descriptors.push(socket.as_fd());
            let address = match address {
                AdminAddress::Tcp(address) => address.to_string(),
                AdminAddress::Unix(path) => format!("unix:{}", path.display()),
            };
            format!("{}={address}", socket.as_fd().as_raw_fd())
        });
        (descriptors, entries.join(","), admin)
    }

    /// The sockets that a predecessor left, as its [`Self::bequest`] names them. What cannot be
    /// used is left out; an address without a socket is then bound anew.
    ///
    /// # Safety
    /// Nothing else in this process uses the descriptors named.
    pub(super) unsafe fn inherit(sockets: Option<&str>, admin: Option<&str>) -> Self {
        let mut inherited = Self::default();
        let mut last_place = None;
        for entry in sockets.into_iter().flat_map(|text| text.split(',')) {
            let parsed = entry.split_once('/').and_then(|(place, rest)| {
                let (address, fd) = rest.split_once('=')?;
                Some((place, address.parse().ok()?, fd.parse().ok()?))
            });
            let Some((place, written, fd)) = parsed else { continue };
            // SAFETY: the caller says that nobody else uses it.
            let Some(socket) = (unsafe { listening(fd) }) else { continue };
            if last_place != Some(place) {
                last_place = Some(place);
                inherited.groups.push(Group { written, sockets: Vec::new() });
            }
            if let Some(group) = inherited.groups.last_mut() {
                group.sockets.push(Arc::new(socket.into()));
            }
        }
        if let Some((fd, address)) = admin.and_then(|text| text.split_once('='))
            && let Ok(fd) = fd.parse()
            // SAFETY: as above.
            && let Some(socket) = unsafe { listening(fd) }
        {
            inherited.admin = match address.strip_prefix("unix:") {
                Some(path) => {
                    let socket = AdminSocket::Unix(socket.into());
                    Some((AdminAddress::Unix(path.into()), Arc::new(socket)))
                }
                None => address.parse().ok().map(|address| {
                    (AdminAddress::Tcp(address), Arc::new(AdminSocket::Tcp(socket.into())))
                }),
            };
        }
        inherited
    }
}

/// Takes over descriptor `fd` if it is a listening socket.
///
/// # Safety
/// Nothing else uses it.
unsafe fn listening(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: it is only looked at, and an invalid one gives an error.
    let borrowed = (fd > 2).then(|| unsafe { BorrowedFd::borrow_raw(fd) })?;
    let flags = fcntl_getfd(borrowed).ok()?;
    if !sockopt::socket_acceptconn(borrowed).unwrap_or(false) {
        return None;
    }
    fcntl_setfd(borrowed, flags | FdFlags::CLOEXEC).ok()?;
    // SAFETY: open, as the calls above have shown, and nobody else's.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Group {
    /// Opens sockets until there is one for each worker.
    fn fill(&mut self, workers: usize) -> io::Result<()> {
        while self.sockets.len() < workers {
            let address = match self.sockets.first() {
                // Port 0 was chosen by the first.
                Some(first) => first.local_addr()?,
                None => self.written,
            };
            self.sockets.push(Arc::new(bind(address)?));
        }
        Ok(())
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = open(family)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    // Clients' connections inherit it: their responses are written whole, or as they come.
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn open(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}

impl AdminSocket {
    fn bind(address: &AdminAddress) -> Result<Self, ProxyError> {
        match address {
            AdminAddress::Tcp(address) => match bind(*address) {
                Ok(socket) => Ok(Self::Tcp(socket)),
                Err(source) => Err(ProxyError::Bind { address: *address, source }),
            },
            AdminAddress::Unix(path) => match bind_unix(path) {
                Ok(socket) => Ok(Self::Unix(socket)),
                Err(source) => Err(ProxyError::BindUnix { path: path.clone(), source }),
            },
        }
    }

    /// Where it listens, as one would write it.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Tcp(socket) => {
                socket.local_addr().map_or_else(|e| e.to_string(), |a| a.to_string())
            }
            Self::Unix(socket) => {
                let address = socket.local_addr();
                let path = address.as_ref().ok().and_then(|address| address.as_pathname());
                path.map_or_else(String::new, |path| format!("unix:{}", path.display()))
            }
        }
    }
}

impl AsFd for AdminSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

/// A socket that only its owner may connect to. One that a dead program left is removed first.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = path.metadata().is_ok_and(|found| found.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let socket = open(AddressFamily::UNIX)?;
    // Before it has a name: the file is made with these permissions (Linux, unix(7)).
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn any_port() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[test]
    fn sockets_are_kept_by_address_and_shared_out_to_workers() {
        let two = Sockets::default().arrange(&[any_port(), any_port()], 3, None).expect("sockets");
        let addresses = two.addresses().expect("addresses");
        assert_ne!(addresses[0], addresses[1]);
        let fewer = two.arrange(&[any_port(), any_port()], 2, None).expect("sockets");
        assert_eq!(fewer.addresses().expect("addresses"), addresses);
        let counts = [0, 1].map(|worker| fewer.of_worker(worker, 2).expect("copies").len());
        assert_eq!(counts, [4, 2], "no socket is closed");
        let other = fewer.arrange(&[any_port()], 4, None).expect("sockets");
        assert_eq!(other.addresses().expect("addresses"), addresses[..1]);
        assert_eq!(other.of_worker(3, 4).expect("copies").len(), 1);
    }

    #[test]
    fn a_taken_address_leaves_everything_as_it_was() {
        let taken = TcpListener::bind(any_port()).expect("a port");
        let address = taken.local_addr().expect("an address");
        let had = Sockets::default().arrange(&[any_port()], 1, None).expect("sockets");
        let error = had.arrange(&[any_port(), address], 1, None).expect_err("taken");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        assert_eq!(had.of_worker(0, 1).expect("copies").len(), 1);
    }

    #[test]
    fn an_heir_finds_the_same_sockets_and_drops_what_is_none() {
        let path = std::env::temp_dir().join(format!("lab-heir-{}.sock", std::process::id()));
        let admin = AdminAddress::Unix(path.clone());
        let had = Sockets::default()
            .arrange(&[any_port(), any_port()], 2, Some(&admin))
            .expect("sockets");
        assert_eq!(path.metadata().expect("a socket").permissions().mode() & 0o777, 0o600);
        // In place of the descriptors of another process, copies of them.
        let copy = |text: &str| -> String {
            let copies = text.split(',').map(|entry| {
                let (name, fd) = entry.rsplit_once('=').expect("a descriptor");
                let fd: RawFd = fd.parse().expect("a number");
                // SAFETY: `had` keeps it open.
                let fd =
                    unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().expect("a copy");
                format!("{name}={}", fd.into_raw_fd())
            });
            copies.collect::<Vec<_>>().join(",")
        };
        let (descriptors, sockets, _) = had.bequest();
        assert_eq!(descriptors.len(), 5);
        let file = std::fs::File::open("/dev/null").expect("a file").into_raw_fd();
        let text = format!("{},9/127.0.0.1:1={file},9/127.0.0.1:1=9999,junk", copy(&sockets));
        // SAFETY: copies, made for this.
        let heir = unsafe { Sockets::inherit(Some(&text), None) };
        assert_eq!(heir.addresses().expect("addresses"), had.addresses().expect("addresses"));
        let again = heir.arrange(&[any_port(), any_port()], 2, Some(&admin));
        assert!(matches!(again, Err(ProxyError::BindUnix { .. })), "somebody listens there");
        drop(had);
        heir.arrange(&[any_port()], 2, Some(&admin)).expect("a dead socket is replaced");
        std::fs::remove_file(&path).expect("removed");
    }
}
