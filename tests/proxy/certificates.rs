//! Certificates for tests: an authority of their own, and what it issues, in a temporary folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use lab::proxy::ProxyConfig;
use lab::scenario::edge::{Listener, ListenerTls, UpstreamTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A folder of certificates, removed when dropped.
pub(crate) struct Certificates {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl Certificates {
    pub(crate) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("lab-certificates-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        std::fs::write(folder.join("ca.pem"), authority.pem()).expect("written");
        Self { folder, authority }
    }

    /// The authority's certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate for `name`, in files called `file`, which are replaced whole.
    pub(crate) fn issue(&self, file: &str, name: &str) -> ListenerTls {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.authority).expect("signed");
        let files = ListenerTls {
            certificate: self.folder.join(format!("{file}.pem")),
            key: self.folder.join(format!("{file}.key")),
        };
        replace(&files.certificate, &certificate.pem());
        replace(&files.key, &key.serialize_pem());
        files
    }

    /// What the proxy needs to verify a peer called `name`.
    pub(crate) fn peer(&self, name: &str) -> UpstreamTls {
        UpstreamTls { verify: true, ca: Some(self.ca()), server_name: Some(name.to_owned()) }
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

pub(crate) fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).expect("written");
    std::fs::rename(fresh, path).expect("renamed");
}

/// One listener, changed so.
pub(crate) fn listen(config: &mut ProxyConfig, change: impl FnOnce(&mut Listener)) {
    let mut listener = Listener::http(config.listen);
    change(&mut listener);
    config.balancer.edge.listeners = vec![listener];
}
