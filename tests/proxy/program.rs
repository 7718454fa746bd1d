//! The program: told things by signals, replaced while clients are served.
//!
//! `the_program` is no test: it is what these tests start, so that they need no other binary. It
//! does nothing unless their variable is set.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use lab::proxy::{ProxyConfig, program};
use lab::scenario::load_balancer;

use super::client::Wire;
use super::peer::{Answer, Peer};
use super::reload::Load;
use super::setup::eventually;

const CONFIG: &str = "LAB_TEST_CONFIG";

fn load(path: &Path) -> Result<ProxyConfig, String> {
    let file = load_balancer(path).map_err(|wrong| wrong.to_string())?;
    ProxyConfig::of_file(file, &[])
}

#[test]
fn the_program() {
    let Some(path) = std::env::var_os(CONFIG).map(PathBuf::from) else { return };
    let config = load(&path).expect("a configuration");
    let options = program::Options {
        pid_file: Some(path.with_extension("pid")),
        ..program::Options::default()
    };
    let source = move || load(&path);
    let ended = program::serve(&config, &options, source, |ready| ready.announce());
    assert!(ended.is_ok(), "{ended:?}");
}

/// A running program and its folder; killed when dropped.
struct Running {
    child: Child,
    folder: PathBuf,
    listen: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Running {
    fn start(name: &str, text: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("lab-program-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("lab.toml"), text).expect("written");
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["program::the_program", "--exact", "--nocapture"])
            .env(CONFIG, folder.join("lab.toml"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join("stderr")).expect("a file"))
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let ready = lines.by_ref().map(|line| line.expect("a line")).find_map(|line| {
            let json = line.get(line.find('{')?..)?;
            serde_json::from_str::<serde_json::Value>(json).ok()
        });
        let ready = ready.expect("it says when it is ready");
        let address = |key: &str| ready[key].as_str().and_then(|at| at.parse().ok());
        // Nobody must be stopped by a full pipe.
        thread::spawn(move || lines.for_each(drop));
        let (listen, admin) = (address("listen").expect("an address"), address("control"));
        Self { child, folder, listen, admin }
    }

    /// The process that serves now.
    fn pid(&self) -> i32 {
        let text = std::fs::read_to_string(self.folder.join("lab.pid")).expect("a number");
        text.trim().parse().expect("a number")
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).expect("a process");
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.join("lab.toml"), text).expect("written");
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("stderr")).expect("what it said")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = std::fs::read_to_string(self.folder.join("lab.pid"))
            .ok()
            .and_then(|text| rustix::process::Pid::from_raw(text.trim().parse().ok()?))
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn file(peers: &[&Peer], more: &str) -> String {
    let backends = peers.iter().enumerate().map(|(number, peer)| {
        format!("[[backend]]\nname = \"b{number}\"\naddress = \"{}\"\n", peer.address)
    });
    format!(
        "schema_version = 1\n[balancer]\ndrain_timeout = \"5s\"\n{more}\n\
         [[balancer.listen]]\naddress = \"127.0.0.1:0\"\n{}",
        backends.collect::<String>()
    )
}

#[test]
fn it_is_replaced_four_times_and_reloaded_between_without_losing_a_request() {
    let peers = [Peer::good("a"), Peer::good("b")];
    let both = [&peers[0], &peers[1]];
    let running = Running::start("replaced", &file(&both, "workers = 2"));
    let load = Load::start(running.listen, 4);
    let slow = Peer::always("slow", Answer::Slow(Duration::from_millis(1500)));
    for round in 0..4 {
        running.write(&file(&both, &format!("workers = {}", 1 + round % 3)));
        running.signal(rustix::process::Signal::HUP);
        thread::sleep(Duration::from_millis(200));
        let old = running.pid();
        running.signal(rustix::process::Signal::USR2);
        eventually("another process serves", || running.pid() != old);
        thread::sleep(Duration::from_millis(200));
    }
    // A long request that began before the last replacement ends after it.
    running.write(&file(&[&slow], ""));
    running.signal(rustix::process::Signal::HUP);
    eventually("the slow peer is in use", || running.said().contains("reloaded: 3 peers"));
    let (good, wrong) = load.end();
    let mut long = Wire::connect(running.listen);
    long.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
    eventually("it arrives", || {
        slow.seen().iter().any(|seen| seen.message.start.contains("GET /"))
    });
    let old = running.pid();
    running.signal(rustix::process::Signal::USR2);
    eventually("another process serves", || running.pid() != old);
    assert_eq!(long.response(false).text(), "slow");
    assert!(
        wrong.is_empty(),
        "{} of {good} failed: {:?}\n{}",
        wrong.len(),
        wrong[0],
        running.said()
    );
    assert!(good > 300, "only {good} requests");
    running.signal(rustix::process::Signal::TERM);
    eventually("nobody listens", || std::net::TcpStream::connect(running.listen).is_err());
}

#[test]
fn a_wrong_file_and_a_successor_that_fails_leave_it_serving() {
    let peer = Peer::good("a");
    let running = Running::start("wrong", &file(&[&peer], ""));
    let pid = running.pid();
    running.write("schema_version = 1\n[balancer]\nalgoritm = \"random\"\n");
    running.signal(rustix::process::Signal::HUP);
    eventually("it says why", || running.said().contains("did you mean `algorithm`?"));
    running.signal(rustix::process::Signal::USR2);
    eventually("it says so", || running.said().contains("not replaced"));
    assert_eq!(Wire::connect(running.listen).get().status(), 200);
    assert_eq!(running.pid(), pid);
}

#[test]
fn an_order_reads_the_file_again_and_a_successor_takes_orders_at_the_same_address() {
    let (a, b) = (Peer::good("a"), Peer::good("b"));
    let admin = "[balancer.admin]\nlisten = \"127.0.0.1:0\"";
    let running = Running::start("order", &file(&[&a], admin));
    let reload = || {
        let mut wire = Wire::connect(running.admin.expect("an admin interface"));
        let answer = wire.ask("POST /reload HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        (answer.status(), body)
    };
    running.write(&file(&[&b], admin));
    let (status, done) = reload();
    assert_eq!((status, &done["peers"], &done["workers"]), (200, &2.into(), &false.into()));
    assert_eq!(Wire::connect(running.listen).get().text(), "b");
    running.write("nonsense");
    let (status, wrong) = reload();
    assert_eq!(status, 422);
    assert!(wrong["error"].as_str().is_some_and(|why| why.contains("not valid TOML")), "{wrong}");
    running.write(&file(&[&a], admin));
    let old = running.pid();
    running.signal(rustix::process::Signal::USR2);
    eventually("another process serves", || running.pid() != old);
    eventually("it takes orders", || reload().1["generation"] == 1);
    assert_eq!(Wire::connect(running.listen).get().text(), "a");
}

#[test]
fn told_to_stop_it_lets_requests_end_and_told_twice_it_does_not() {
    let peer = Peer::always("a", Answer::Slow(Duration::from_millis(600)));
    let mut running = Running::start("stop", &file(&[&peer], ""));
    let ask = |running: &Running| {
        let mut wire = Wire::connect(running.listen);
        wire.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
        wire
    };
    let mut busy = ask(&running);
    eventually("the request arrives", || peer.seen().len() == 1);
    running.signal(rustix::process::Signal::QUIT);
    assert_eq!(busy.response(false).status(), 200);
    assert!(running.child.wait().expect("it ends").success(), "{}", running.said());
    assert!(!running.folder.join("lab.pid").exists());
    peer.now(Answer::Hang);
    let mut running = Running::start("twice", &file(&[&peer], ""));
    let mut busy = ask(&running);
    eventually("the request arrives", || peer.seen().len() == 2);
    running.signal(rustix::process::Signal::INT);
    eventually("nobody listens", || std::net::TcpStream::connect(running.listen).is_err());
    running.signal(rustix::process::Signal::INT);
    assert!(running.child.wait().expect("it ends").success(), "{}", running.said());
    assert!(busy.closed());
}
