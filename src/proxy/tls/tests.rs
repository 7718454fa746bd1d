//! Handshakes between a listener and what goes to peers, over sockets of this host.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{client, server};

use super::{TlsError, TlsListener, TlsPeers};
use crate::scenario::edge::{ListenerTls, UpstreamProtocol, UpstreamTls};

const LIMIT: Duration = Duration::from_secs(5);

/// A folder of certificates, removed when dropped.
struct Folder {
    path: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lab-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        std::fs::write(path.join("ca.pem"), authority.pem()).expect("written");
        Self { path, authority }
    }

    /// Makes a certificate for `name`, written to the files called `file`.
    fn issue(&self, file: &str, name: &str) -> ListenerTls {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.authority).expect("signed");
        let files = self.files(file);
        replace(&files.certificate, &certificate.pem());
        replace(&files.key, &key.serialize_pem());
        files
    }

    fn files(&self, file: &str) -> ListenerTls {
        ListenerTls {
            certificate: self.path.join(format!("{file}.pem")),
            key: self.path.join(format!("{file}.key")),
        }
    }

    fn facts(&self, name: Option<&str>) -> UpstreamTls {
        UpstreamTls {
            verify: true,
            ca: Some(self.path.join("ca.pem")),
            server_name: name.map(str::to_owned),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// As certificate managers do: whole or not at all.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).expect("written");
    std::fs::rename(fresh, path).expect("renamed");
}

async fn meet(
    listener: &TlsListener,
    facts: &UpstreamTls,
    protocol: UpstreamProtocol,
) -> io::Result<(client::TlsStream<TcpStream>, server::TlsStream<TcpStream>)> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?;
    let peers = TlsPeers::new(facts, protocol).map_err(io::Error::other)?;
    let connect = async { peers.connect(TcpStream::connect(address).await?, address).await };
    let accept = async { listener.accept(socket.accept().await?.0, LIMIT).await };
    let (client, server) = tokio::join!(connect, accept);
    Ok((client?, server?))
}

/// Whether a client that asks for `name`, and believes it only with a valid certificate, is served.
async fn serves(listener: &TlsListener, folder: &Folder, name: &str) -> bool {
    meet(listener, &folder.facts(Some(name)), UpstreamProtocol::Http1).await.is_ok()
}

#[tokio::test]
async fn a_client_gets_the_certificate_made_out_to_the_name_it_asks_for() {
    let folder = Folder::new("sni");
    let files = [
        folder.issue("first", "one.test"),
        folder.issue("second", "*.two.test"),
        folder.issue("third", "127.0.0.1"),
    ];
    let listener = TlsListener::new(&files, true).expect("certificates");
    for (name, served) in
        [("one.test", true), ("a.two.test", true), ("two.test", false), ("three.test", false)]
    {
        assert_eq!(serves(&listener, &folder, name).await, served, "{name}");
    }
    let unnamed = meet(&listener, &folder.facts(None), UpstreamProtocol::Http1).await;
    assert!(unnamed.is_err(), "an address is not asked for: the first certificate is sent");
    let only = TlsListener::new(&files[2..], true).expect("certificates");
    assert!(meet(&only, &folder.facts(None), UpstreamProtocol::Http1).await.is_ok());
}

#[tokio::test]
async fn who_is_not_verified_is_believed() {
    let folder = Folder::new("anybody");
    let listener = TlsListener::new(&[folder.issue("a", "one.test")], true).expect("certificates");
    let facts = UpstreamTls { verify: false, ca: None, server_name: Some("two.test".to_owned()) };
    let (mut client, mut server) =
        meet(&listener, &facts, UpstreamProtocol::Http1).await.expect("a session");
    client.write_all(b"hello").await.expect("sent");
    client.flush().await.expect("flushed");
    let mut heard = [0; 5];
    server.read_exact(&mut heard).await.expect("heard");
    assert_eq!(&heard, b"hello");
}

#[tokio::test]
async fn the_protocol_is_agreed_on() {
    let folder = Folder::new("alpn");
    let files = [folder.issue("a", "one.test")];
    let both = TlsListener::new(&files, true).expect("certificates");
    let one = TlsListener::new(&files, false).expect("certificates");
    let facts = folder.facts(Some("one.test"));
    let (_, server) = meet(&both, &facts, UpstreamProtocol::H2).await.expect("a session");
    assert!(TlsListener::speaks_http2(&server));
    let (_, server) = meet(&both, &facts, UpstreamProtocol::Http1).await.expect("a session");
    assert!(!TlsListener::speaks_http2(&server));
    assert!(meet(&one, &facts, UpstreamProtocol::H2).await.is_err(), "HTTP/2 or nothing");
}

#[tokio::test]
async fn a_changed_certificate_is_for_those_who_come_later() {
    let folder = Folder::new("reload");
    let files = [folder.issue("a", "old.test")];
    let listener = TlsListener::new(&files, true).expect("certificates");
    let facts = folder.facts(Some("old.test"));
    let (mut client, mut server) =
        meet(&listener, &facts, UpstreamProtocol::Http1).await.expect("a session");
    listener.look();
    assert!(serves(&listener, &folder, "old.test").await, "nothing has changed");
    folder.issue("a", "new.test");
    listener.look();
    assert!(serves(&listener, &folder, "new.test").await);
    assert!(!serves(&listener, &folder, "old.test").await);
    server.write_all(b"still here").await.expect("sent");
    server.flush().await.expect("flushed");
    let mut heard = [0; 10];
    client.read_exact(&mut heard).await.expect("the old session goes on");
}

#[tokio::test]
async fn a_bad_certificate_leaves_the_old_one() {
    let folder = Folder::new("bad");
    let files = [folder.issue("a", "one.test")];
    let other = folder.issue("b", "one.test");
    let listener = TlsListener::new(&files, true).expect("certificates");
    let key = std::fs::read_to_string(&other.key).expect("the other key");
    replace(&files[0].key, &key);
    assert!(matches!(listener.reload(), Err(TlsError::Pair { .. })), "no pair");
    replace(&files[0].certificate, "-----BEGIN CERTIFICATE-----\nno\n");
    assert!(matches!(listener.reload(), Err(TlsError::Pem { .. })), "no PEM");
    replace(&files[0].certificate, "");
    assert!(matches!(listener.reload(), Err(TlsError::NoCertificate(_))), "empty");
    std::fs::remove_file(&files[0].certificate).expect("removed");
    assert!(matches!(listener.reload(), Err(TlsError::Read { .. })), "missing");
    listener.look();
    assert!(serves(&listener, &folder, "one.test").await);
    folder.issue("a", "two.test");
    listener.look();
    assert!(serves(&listener, &folder, "two.test").await, "a good one is taken again");
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_let_go() {
    let folder = Folder::new("silent");
    let listener = TlsListener::new(&[folder.issue("a", "one.test")], true).expect("certificates");
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    let _client = TcpStream::connect(address).await.expect("connected");
    let (stream, _) = socket.accept().await.expect("accepted");
    let ended = listener.accept(stream, Duration::from_millis(20)).await.map(drop);
    assert_eq!(ended.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
}

#[test]
fn what_cannot_be_verified_with_is_refused() {
    let folder = Folder::new("authorities");
    let refused = |facts: &UpstreamTls| TlsPeers::new(facts, UpstreamProtocol::H2).map(drop);
    let mut facts = folder.facts(Some("not a name"));
    assert!(matches!(refused(&facts), Err(TlsError::Name(_))));
    facts = folder.facts(None);
    facts.ca = Some(folder.path.join("nowhere.pem"));
    assert!(matches!(refused(&facts), Err(TlsError::Read { .. })));
    replace(&folder.path.join("empty.pem"), "nothing");
    facts.ca = Some(folder.path.join("empty.pem"));
    assert!(matches!(refused(&facts), Err(TlsError::NoCertificate(_))));
}

#[tokio::test]
async fn files_are_looked_after() {
    let folder = Folder::new("watch");
    let files = [folder.issue("a", "old.test")];
    let listener = Arc::new(TlsListener::new(&files, true).expect("certificates"));
    let watching = tokio::spawn(Arc::clone(&listener).watch());
    folder.issue("a", "new.test");
    tokio::time::timeout(LIMIT, async {
        while !serves(&listener, &folder, "new.test").await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the new certificate within its time");
    watching.abort();
}
